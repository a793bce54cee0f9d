rule prepare_data:
    output:
        f"{RUN}/data/{{dataset}}.npz",
    log:
        f"{LOGS}/data/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/data/{{dataset}}.tsv"
    """Runs where Snakemake does, since nodes of a cluster often have no network."""
    localrule: True
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        stage=data_params,
    message:
        "Preparing the splits of {wildcards.dataset}"
    script:
        "../scripts/prepare_data.py"
