rule train_flow:
    """Trains one flow on one atlas.

    The rolling checkpoint is no declared output, so that Snakemake does not delete it
    when the job is killed; the next start resumes from it.
    """
    input:
        data=rules.prepare_data.output[0],
        atlas=flow_atlases,
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
        variant=one_of(FLOW_VARIANTS),
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
        stage=flow_params,
        seeds=trial_seeds,
        scratch=of_trials(
            f"{RUN}/checkpoints/flows/{{dataset}}/{{variant}}/seed{{seed}}"
        ),
    message:
        "Training {wildcards.variant} on {wildcards.dataset}, seeds {params.seeds}"
    script:
        "../scripts/train_flow.py"
