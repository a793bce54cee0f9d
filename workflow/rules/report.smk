rule make_tables:
    input:
        metrics=[
            f"{RUN}/metrics/{dataset}/{variant}.csv" for dataset, variant in SETTINGS
        ],
        flows=over_cells("provenance.json"),
        statuses=over_cells("status.json"),
        atlases=table_atlases(),
    output:
        metrics=f"{RUN}/tables/metrics.csv",
        runtime=f"{RUN}/tables/runtime.csv",
        summary=report(
            f"{RUN}/tables/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
        ),
        markdown=f"{RUN}/tables/summary.md",
        latex=f"{RUN}/tables/summary.tex",
        provenance=f"{RUN}/provenance.json",
        config=f"{RUN}/config.yaml",
    log:
        f"{LOGS}/tables.log",
    benchmark:
        f"{BENCHMARKS}/tables.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=tables_params,
    message:
        "Writing the tables of {CONFIG.run}"
    script:
        "../scripts/make_tables.py"


rule plot_toy_gallery:
    input:
        data=figure_data("toy_gallery"),
        samples=gallery_samples,
    output:
        png=report(
            f"{RUN}/figures/toy_gallery-{{family}}.png",
            caption="../report/toy_gallery.rst",
            category="Figures",
        ),
        pdf=f"{RUN}/figures/toy_gallery-{{family}}.pdf",
    log:
        f"{LOGS}/figures/toy_gallery-{{family}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/toy_gallery-{{family}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=gallery_params,
    message:
        "Plotting the toy gallery of {wildcards.family}"
    script:
        "../scripts/plot_toy_gallery.py"


rule plot_atlas:
    input:
        data=figure_data("atlas"),
        charts=atlas_charts,
        samples=atlas_samples,
        metrics=rules.make_tables.output.metrics,
    output:
        png=report(
            f"{RUN}/figures/atlas-{{variant}}.png",
            caption="../report/atlas.rst",
            category="Figures",
        ),
        pdf=f"{RUN}/figures/atlas-{{variant}}.pdf",
    log:
        f"{LOGS}/figures/atlas-{{variant}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/atlas-{{variant}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=atlas_figure_params,
    message:
        "Plotting the charts of {wildcards.variant}"
    script:
        "../scripts/plot_atlas.py"


rule plot_fid_curves:
    input:
        metrics=rules.make_tables.output.metrics,
        runs=rules.make_tables.output.runtime,
    output:
        png=report(
            f"{RUN}/figures/fid_curves-{{metric}}.png",
            caption="../report/fid_curves.rst",
            category="Figures",
        ),
        pdf=f"{RUN}/figures/fid_curves-{{metric}}.pdf",
    log:
        f"{LOGS}/figures/fid_curves-{{metric}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/fid_curves-{{metric}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=stage("report", CONFIG.figure_datasets("fid_curves")),
    message:
        "Plotting {wildcards.metric} across training"
    script:
        "../scripts/plot_fid_curves.py"


rule plot_likelihood:
    input:
        metrics=rules.make_tables.output.metrics,
        runs=rules.make_tables.output.runtime,
    output:
        png=report(
            f"{RUN}/figures/likelihood.png",
            caption="../report/likelihood.rst",
            category="Figures",
        ),
        pdf=f"{RUN}/figures/likelihood.pdf",
    log:
        f"{LOGS}/figures/likelihood.log",
    benchmark:
        f"{BENCHMARKS}/figures/likelihood.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=stage("report", CONFIG.figure_datasets("likelihood")),
    message:
        "Plotting the likelihood of every data set"
    script:
        "../scripts/plot_likelihood.py"


rule plot_training_curves:
    input:
        histories=training_histories(),
    output:
        png=report(
            f"{RUN}/figures/training_curves.png",
            caption="../report/training_curves.rst",
            category="Figures",
        ),
        pdf=f"{RUN}/figures/training_curves.pdf",
    log:
        f"{LOGS}/figures/training_curves.log",
    benchmark:
        f"{BENCHMARKS}/figures/training_curves.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=stage("report", training_keys()),
    message:
        "Plotting the training curves"
    script:
        "../scripts/plot_training_curves.py"


rule plot_sample_grid:
    input:
        data=rules.prepare_data.output[0],
        samples=grid_samples,
    output:
        png=report(
            f"{RUN}/figures/sample_grid-{{dataset}}-{{family}}.png",
            caption="../report/sample_grid.rst",
            category="Figures",
        ),
        pdf=f"{RUN}/figures/sample_grid-{{dataset}}-{{family}}.pdf",
    log:
        f"{LOGS}/figures/sample_grid-{{dataset}}-{{family}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/sample_grid-{{dataset}}-{{family}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=grid_params,
    message:
        "Plotting samples of {wildcards.dataset}, {wildcards.family}"
    script:
        "../scripts/plot_sample_grid.py"
