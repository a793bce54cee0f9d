rule train_flow:
    """Trains one flow on one atlas and draws its samples.

    The rolling checkpoint is no declared output, so that Snakemake does not delete it
    when the job is killed; the next start resumes from it.
    """
    input:
        data=rules.prepare_data.output[0],
        atlas=flow_atlas,
    output:
        model=f"{RUN}/flows/{{dataset}}/{{variant}}/seed{{seed}}/model.pt",
        history=f"{RUN}/flows/{{dataset}}/{{variant}}/seed{{seed}}/history.csv",
        samples=f"{RUN}/flows/{{dataset}}/{{variant}}/seed{{seed}}/samples.npz",
        provenance=f"{RUN}/flows/{{dataset}}/{{variant}}/seed{{seed}}/provenance.json",
    log:
        f"{LOGS}/flows/{{dataset}}/{{variant}}/seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/flows/{{dataset}}/{{variant}}/seed{{seed}}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: flow_threads
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu=flow_gpus,
    params:
        stage=flow_params,
        scratch=f"{RUN}/checkpoints/flows/{{dataset}}/{{variant}}/seed{{seed}}",
    message:
        "Training {wildcards.variant} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/train_flow.py"
