# Where the terminal is, which it prints to.
localrules:
    verify,


rule verify:
    """Compares a finished run with its reference: snakemake verify --configfile config/toy3d.yaml.

    It declares no output, and no benchmark, which would be one: so it is made whenever it is asked
    for, and Snakemake does not delete the comparison where the run differs, which fails the job.
    """
    input:
        unpack(reference_tables),
        metrics=rules.make_tables.output.metrics,
        config=rules.make_tables.output.config,
    log:
        f"{LOGS}/verify.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        table=f"{RUN}/verify.csv",
    message:
        "Comparing {CONFIG.run} with its reference"
    script:
        "../scripts/verify.py"
