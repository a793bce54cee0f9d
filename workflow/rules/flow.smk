rule train_flow:
    """Trains one flow on one atlas and draws its samples.

    The rolling checkpoint is no declared output, so that Snakemake does not delete it
    when the job is killed; the next start resumes from it.
    """
    input:
        data=rules.prepare_data.output[0],
        atlas=flow_atlases,
    output:
        model=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "model.pt")),
        history=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "history.csv")),
        samples=of_trials(flow_file("{dataset}", "{variant}", "{seed}", "samples.npz")),
        provenance=of_trials(
            flow_file("{dataset}", "{variant}", "{seed}", "provenance.json")
        ),
    log:
        f"{LOGS}/flows/{{dataset}}/{{variant}}/{TRIALS}.log",
    benchmark:
        f"{BENCHMARKS}/flows/{{dataset}}/{{variant}}/{TRIALS}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: flow_threads
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu=flow_gpus,
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
