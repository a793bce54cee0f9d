rule fit_atlas:
    """Places the charts; shared by all flows on the same data set, atlas and seed."""
    input:
        data=rules.prepare_data.output[0],
    output:
        atlas=of_trials(atlas_file("{dataset}", "{atlas}", "{seed}", "atlas.pt")),
        charts=of_trials(atlas_file("{dataset}", "{atlas}", "{seed}", "charts.npz")),
        history=of_trials(atlas_file("{dataset}", "{atlas}", "{seed}", "history.csv")),
        choice=of_trials(atlas_file("{dataset}", "{atlas}", "{seed}", "choice.csv")),
        provenance=of_trials(
            atlas_file("{dataset}", "{atlas}", "{seed}", "provenance.json")
        ),
    log:
        f"{LOGS}/atlases/{{dataset}}/{{atlas}}/{TRIALS}.log",
    benchmark:
        f"{BENCHMARKS}/atlases/{{dataset}}/{{atlas}}/{TRIALS}.tsv"
    priority: 1  # others wait for it
    group:
        submission("fit")
    conda:
        "../../envs/environment.yaml"
    threads: atlas_threads
    resources:
        mem_mb=asked(request_of_atlas, "mem_mb"),
        runtime=asked(request_of_atlas, "runtime"),
        gpu=atlas_gpus,
    params:
        stage=atlas_params,
        seeds=trial_seeds,
        scratch=of_trials(
            f"{RUN}/checkpoints/atlases/{{dataset}}/{{atlas}}/seed{{seed}}"
        ),
    message:
        "Fitting atlas {wildcards.atlas} on {wildcards.dataset}, seeds {params.seeds}"
    script:
        "../scripts/fit_atlas.py"
