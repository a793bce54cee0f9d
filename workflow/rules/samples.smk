rule sample_flow:
    """Draws from a final model, and estimates how far charts keep to their regions."""
    input:
        model=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "model.pt")),
        provenance=of_trials(
            flow_file("{dataset}", "{variant}", "{seed}", "provenance.json")
        ),
    output:
        samples=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "samples.npz")),
        confinement=of_trials(
            flow_file("{dataset}", "{variant}", "{seed}", "confinement.npz")
        ),
        status=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "status.json")),
    log:
        f"{LOGS}/samples/{{dataset}}/{{variant}}/{TRIALS}.log",
    benchmark:
        f"{BENCHMARKS}/samples/{{dataset}}/{{variant}}/{TRIALS}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: variant_threads
    resources:
        mem_mb=6000,
        runtime=240,
        gpu=variant_gpus,
    params:
        stage=samples_params,
        seeds=trial_seeds,
    message:
        "Sampling {wildcards.variant} on {wildcards.dataset}, seeds {params.seeds}"
    script:
        "../scripts/sample_flow.py"
