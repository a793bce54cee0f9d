def over_cells(file):
    """The file of every trial of every variant on every data set."""
    return [
        flow_file(dataset, variant, seed, file)
        for dataset, variant in SETTINGS
        for seed in CONFIG.seeds
    ]


def table_files():
    names = ["metrics.csv", "runtime.csv", "summary.csv", "summary.md", "summary.tex"]
    return [f"{RUN}/tables/{name}" for name in names]


def claim_files():
    return [f"{RUN}/claims.md", f"{RUN}/claims.csv"]


def claims_params(wildcards):
    return stage("make_claims", {})


def report_file():
    return f"{RUN}/report.html"


def report_params(wildcards):
    return stage("make_report", {})


def tables_params(wildcards):
    return stage(
        "make_tables",
        {
            "config": CONFIG.selection(),
            "datasets": CONFIG.selected_datasets(),
            "variants": CONFIG.selected_variants(),
            "baselines": CONFIG.baselines(),
            "cells": [
                {
                    "dataset": dataset,
                    "variant": variant,
                    **chosen.names(),
                    "seed": seed,
                }
                for (dataset, variant), chosen in SETTINGS.items()
                for seed in CONFIG.seeds
            ],
        },
        entries=(),
    )


def table_atlases():
    """The provenance of every flow's atlas, in the order of over_cells; other models have none."""
    return [
        atlas_file(dataset, setting.atlas.name, seed, "provenance.json")
        for (dataset, _), setting in FLOWS.items()
        for seed in CONFIG.seeds
    ]


# What figures read, by the names of vqflow.figures.RunFigure.reads; runs are read from three.
FIGURE_FILES = {
    "data": f"{RUN}/data/{{dataset}}.npz",
    "samples": flow_file("{dataset}", "{variant}", "{seed}", "samples.npz"),
    "charts": atlas_file("{dataset}", "{atlas}", "{seed}", "charts.npz"),
    "metrics": f"{RUN}/metrics/{{dataset}}/{{variant}}.csv",
    "history": flow_file("{dataset}", "{variant}", "{seed}", "history.csv"),
    "flows": flow_file("{dataset}", "{variant}", "{seed}", "provenance.json"),
    "statuses": flow_file("{dataset}", "{variant}", "{seed}", "status.json"),
    "atlases": atlas_file("{dataset}", "{atlas}", "{seed}", "provenance.json"),
    "model": flow_file("{dataset}", "{variant}", "{seed}", "model.pt"),
}


def figure_files():
    """Every figure that the selected benchmarks ask for, as PNG and PDF."""
    return expand(
        f"{RUN}/figures/{{name}}.{{suffix}}", name=DRAWINGS, suffix=["png", "pdf"]
    )


def figure_inputs(wildcards):
    return DRAWINGS[wildcards.figure].files(FIGURE_FILES)


def figure_params(wildcards):
    return stage("plot", dump(DRAWINGS[wildcards.figure]))


def figure_caption(wildcards):
    return STATED[DRAWINGS[wildcards.figure].entry.name].caption


def figure_kind(wildcards):
    """What Snakemake's report groups figures by."""
    return kind_of(DRAWINGS[wildcards.figure])


def figure_labels(wildcards):
    drawing = DRAWINGS[wildcards.figure]
    return {"figure": kind_of(drawing), "of": subject_of(drawing) or "the run"}


# Beside the workflow, since a run may be made in another folder.
REFERENCE = SCRIPTS.parents[1] / "results" / "reference" / CONFIG.run


def reference_tables(wildcards):
    """The tables that the run is compared with, and their configuration where it is there."""
    metrics = REFERENCE / "tables" / "metrics.csv"
    if not metrics.is_file():
        raise WorkflowError(f"nothing to verify '{CONFIG.run}' against: no {metrics}")
    config = REFERENCE / "config.yaml"
    files = {"reference": metrics}
    return {**files, "reference_config": config} if config.is_file() else files


def show_results():
    """Prints what came out, once the whole run is there; not with --quiet."""
    if workflow.output_settings.quiet or not Path(report_file()).is_file():
        return
    command = [sys.executable, "-m", "vqflow", "show", RUN]
    subprocess.run(command, env=project_environment())
