# Runs where Snakemake does, since the nodes of a cluster often have no network.
localrules:
    prepare_data,


rule prepare_data:
    output:
        f"{RUN}/data/{{dataset}}.npz",
    log:
        f"{LOGS}/data/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/data/{{dataset}}.tsv"
    priority: 1  # others wait for it
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        stage=data_params,
        files=data_content,
    message:
        "Preparing the splits of {wildcards.dataset}"
    script:
        "../scripts/prepare_data.py"
