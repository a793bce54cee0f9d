# Seconds each: where Snakemake runs, rather than a submission to a cluster for each.
localrules:
    make_tables,
    make_claims,
    plot,
    make_report,


rule make_tables:
    input:
        metrics=[
            f"{RUN}/metrics/{dataset}/{variant}.csv" for dataset, variant in SETTINGS
        ],
        points=[
            f"{RUN}/metrics/{dataset}/{variant}.npz" for dataset, variant in SETTINGS
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
            labels={"table": "summary"},
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


rule make_claims:
    """Decides the paper's claims and ours."""
    input:
        metrics=rules.make_tables.output.metrics,
        config=rules.make_tables.output.config,
    output:
        page=report(
            f"{RUN}/claims.md",
            caption="../report/claims.rst",
            category="Claims",
            labels={"claims": "with tables"},
        ),
        table=report(
            f"{RUN}/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"claims": "statement by statement"},
        ),
    log:
        f"{LOGS}/claims.log",
    benchmark:
        f"{BENCHMARKS}/claims.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        stage=claims_params,
    message:
        "Deciding the claims by {CONFIG.run}"
    script:
        "../scripts/make_claims.py"


rule plot:
    """Draws one figure; which there are and what they read: vqflow/config/figures.py."""
    input:
        unpack(figure_inputs),
    output:
        png=report(
            f"{RUN}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory=figure_kind,
            labels=figure_labels,
        ),
        pdf=f"{RUN}/figures/{{figure}}.pdf",
    log:
        f"{LOGS}/figures/{{figure}}.log",
    benchmark:
        f"{BENCHMARKS}/figures/{{figure}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        stage=figure_params,
        caption=figure_caption,
    message:
        "Plotting {wildcards.figure}"
    script:
        "../scripts/plot.py"


rule make_report:
    """One page with all that came out; of a run that failed: make report RUN=..."""
    input:
        table_files(),
        claim_files(),
        figure_files(),
        over_cells("status.json"),
        config=rules.make_tables.output.config,
        provenance=rules.make_tables.output.provenance,
    output:
        report_file(),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        stage=report_params,
    message:
        "Writing the report of {CONFIG.run}"
    script:
        "../scripts/make_report.py"
