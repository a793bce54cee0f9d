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
    group:
        submission("score")
    conda:
        "../../envs/environment.yaml"
    threads: variant_threads
    resources:
        mem_mb=asked(request_of_scoring, "mem_mb"),
        runtime=asked(request_of_scoring, "runtime"),
        gpu=variant_gpus,
    params:
        stage=samples_params,
        seeds=trial_seeds,
    message:
        "Sampling {wildcards.variant} on {wildcards.dataset}, seeds {params.seeds}"
    script:
        "../scripts/sample_flow.py"
