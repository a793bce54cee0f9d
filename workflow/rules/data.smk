rule preflight:
    """Builds every selected class once, so that a wrong argument stops the run at once."""
    output:
        f"{RUN}/preflight.txt",
    log:
        f"{LOGS}/preflight.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        stage=preflight_params,
    message:
        "Checking every selected class and its arguments"
    script:
        "../scripts/preflight.py"


rule prepare_data:
    input:
        preflight=ancient(rules.preflight.output[0]),
    output:
        f"{RUN}/data/{{dataset}}.npz",
    log:
        f"{LOGS}/data/{{dataset}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        stage=data_params,
        data_root=str(data_root(CONFIG)),
    message:
        "Preparing the splits of {wildcards.dataset}"
    script:
        "../scripts/prepare_data.py"
