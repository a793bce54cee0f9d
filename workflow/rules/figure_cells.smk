# What each figure shows, and the files that it reads; included after common.smk.


def figure_files():
    """Every figure that the selected benchmarks ask for, as PNG and PDF."""
    families = CONFIG.families()
    names = []
    names += [
        f"toy_gallery-{family}"
        for family, variants in families.items()
        if figure_cells("toy_gallery", variants)
    ]
    names += [
        f"atlas-{variant}"
        for variant in CONFIG.baselines()
        if figure_cells("atlas", [variant])
    ]
    names += [
        f"sample_grid-{dataset}-{family}"
        for dataset in CONFIG.figure_datasets("sample_grid")
        for family in families
        if figure_cells("sample_grid", [family])
    ]
    names += [f"fid_curves-{metric}" for metric in curve_metrics()]
    names += [
        name
        for name in ("likelihood", "training_curves")
        if CONFIG.figure_datasets(name)
    ]
    return [
        f"{RUN}/figures/{name}.{suffix}" for name in names for suffix in ("png", "pdf")
    ]


def curve_metrics():
    """The metrics that a figure across training is asked for."""
    folders = [workflow.basedir, *sys.path]
    return sorted(
        {
            metric
            for dataset in CONFIG.figure_datasets("fid_curves")
            for metric in CONFIG.selected_metrics(dataset)
            if class_attributes(CONFIG.metrics[metric].class_, folders).get(
                "across_training"
            )
        }
    )


def figure_cells(figure, variants):
    """The (data set, variant) pairs that a figure is asked to show, of the given variants."""
    return [cell for cell in CONFIG.figure_settings(figure) if cell[1] in variants]


def first_seed(cells, file):
    seed = CONFIG.seeds[0]
    return [flow_file(dataset, variant, seed, file) for dataset, variant in cells]


def figure_data(figure):
    return [f"{RUN}/data/{dataset}.npz" for dataset in CONFIG.figure_datasets(figure)]


def gallery_cells(wildcards):
    return figure_cells("toy_gallery", CONFIG.families()[wildcards.family])


def gallery_samples(wildcards):
    return first_seed(gallery_cells(wildcards), "samples.npz")


def gallery_params(wildcards):
    return stage("report", gallery_cells(wildcards))


def atlas_cells(wildcards):
    return figure_cells("atlas", [wildcards.variant])


def atlas_charts(wildcards):
    seed = CONFIG.seeds[0]
    return [
        atlas_file(dataset, SETTINGS[dataset, variant].atlas.name, seed, "charts.npz")
        for dataset, variant in atlas_cells(wildcards)
    ]


def atlas_samples(wildcards):
    return first_seed(atlas_cells(wildcards), "samples.npz")


def atlas_figure_params(wildcards):
    return stage("report", {"cells": atlas_cells(wildcards), "seed": CONFIG.seeds[0]})


def training_keys():
    return [
        {
            "dataset": dataset,
            "variant": variant,
            "flow": SETTINGS[dataset, variant].flow.name,
            "atlas": SETTINGS[dataset, variant].atlas.name,
            "seed": seed,
        }
        for dataset, variant in figure_cells(
            "training_curves", CONFIG.selected_variants()
        )
        for seed in CONFIG.seeds
    ]


def training_histories():
    return [
        flow_file(key["dataset"], key["variant"], key["seed"], "history.csv")
        for key in training_keys()
    ]


def grid_cells(wildcards):
    cells = figure_cells("sample_grid", CONFIG.families()[wildcards.family])
    return [cell for cell in cells if cell[0] == wildcards.dataset]


def grid_samples(wildcards):
    return first_seed(grid_cells(wildcards), "samples.npz")


def grid_params(wildcards):
    return stage("report", grid_cells(wildcards))
