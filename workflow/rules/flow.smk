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


rule sample_flow:
    """Draws from a final model, and estimates how far its charts keep to their regions."""
    input:
        model=rules.train_flow.output.model,
        provenance=rules.train_flow.output.provenance,
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
    threads: flow_threads
    resources:
        mem_mb=6000,
        runtime=240,
        gpu=flow_gpus,
    params:
        stage=samples_params,
        seeds=trial_seeds,
    message:
        "Sampling {wildcards.variant} on {wildcards.dataset}, seeds {params.seeds}"
    script:
        "../scripts/sample_flow.py"
