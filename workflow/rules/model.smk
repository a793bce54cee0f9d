rule fit_model:
    """Fits one model that is no flow on an atlas; its files stand where a flow's do."""
    input:
        data=rules.prepare_data.output[0],
    output:
        model=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "model.pt")),
        history=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "history.csv")),
        snapshots=of_trials(
            flow_file("{dataset}", "{variant}", "{seed}", "snapshots.npz")
        ),
        provenance=of_trials(
            flow_file("{dataset}", "{variant}", "{seed}", "provenance.json")
        ),
    log:
        f"{LOGS}/flows/{{dataset}}/{{variant}}/{TRIALS}.log",
    benchmark:
        f"{BENCHMARKS}/flows/{{dataset}}/{{variant}}/{TRIALS}.tsv"
    wildcard_constraints:
        variant=one_of(DENSITY_VARIANTS),
    group:
        submission("fit")
    conda:
        "../../envs/environment.yaml"
    threads: variant_threads
    resources:
        mem_mb=asked(request_of_model, "mem_mb"),
        runtime=asked(request_of_model, "runtime"),
        gpu=variant_gpus,
    params:
        stage=density_params,
        seeds=trial_seeds,
        scratch=of_trials(
            f"{RUN}/checkpoints/flows/{{dataset}}/{{variant}}/seed{{seed}}"
        ),
    message:
        "Fitting {wildcards.variant} on {wildcards.dataset}, seeds {params.seeds}"
    script:
        "../scripts/fit_model.py"
