rule fit_atlas:
    """Places the charts; shared by all flows on the same data set, atlas and seed."""
    input:
        data=rules.prepare_data.output[0],
    output:
        atlas=f"{RUN}/atlases/{{dataset}}/{{atlas}}/seed{{seed}}/atlas.pt",
        charts=f"{RUN}/atlases/{{dataset}}/{{atlas}}/seed{{seed}}/charts.npz",
        history=f"{RUN}/atlases/{{dataset}}/{{atlas}}/seed{{seed}}/history.csv",
        provenance=f"{RUN}/atlases/{{dataset}}/{{atlas}}/seed{{seed}}/provenance.json",
    log:
        f"{LOGS}/atlases/{{dataset}}/{{atlas}}/seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/atlases/{{dataset}}/{{atlas}}/seed{{seed}}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: atlas_threads
    resources:
        mem_mb=3000,
        runtime=120,
        gpu=atlas_gpus,
    params:
        stage=atlas_params,
        scratch=f"{RUN}/checkpoints/atlases/{{dataset}}/{{atlas}}/seed{{seed}}",
    message:
        "Fitting atlas {wildcards.atlas} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/fit_atlas.py"
