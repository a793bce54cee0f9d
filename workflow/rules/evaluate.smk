rule make_reference:
    """What metrics need of the data alone: bandwidths, classifiers, reference statistics."""
    input:
        data=rules.prepare_data.output[0],
    output:
        f"{RUN}/references/{{dataset}}.npz",
    log:
        f"{LOGS}/references/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/references/{{dataset}}.tsv"
    priority: 1  # others wait for it
    group:
        submission("fit")
    conda:
        "../../envs/environment.yaml"
    threads: reference_threads
    resources:
        mem_mb=asked(request_of_reference, "mem_mb"),
        runtime=asked(request_of_reference, "runtime"),
        gpu=reference_gpus,
    params:
        stage=reference_params,
    message:
        "Computing reference statistics of {wildcards.dataset}"
    script:
        "../scripts/make_reference.py"


rule evaluate:
    """Scores all trials of one variant on one data set."""
    input:
        data=rules.prepare_data.output[0],
        reference=rules.make_reference.output[0],
        model=over_seeds("model.pt"),
        history=over_seeds("history.csv"),
        snapshots=over_seeds("snapshots.npz"),
        samples=over_seeds("samples.npz"),
        confinement=over_seeds("confinement.npz"),
        status=over_seeds("status.json"),
    output:
        table=f"{RUN}/metrics/{{dataset}}/{{variant}}.csv",
        points=f"{RUN}/metrics/{{dataset}}/{{variant}}.npz",
    log:
        f"{LOGS}/metrics/{{dataset}}/{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/metrics/{{dataset}}/{{variant}}.tsv"
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
        stage=evaluate_params,
        seeds=CONFIG.seeds,
    message:
        "Scoring {wildcards.variant} on {wildcards.dataset}"
    script:
        "../scripts/evaluate.py"
