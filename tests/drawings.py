"""Example inputs of every figure, and what tests read off a drawn one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from vqflow.figures import (
    atlas,
    gap_closed,
    likelihood,
    metric_curves,
    sample_grid,
    sample_matrix,
    toy_gallery,
    training_curves,
)
from vqflow.stages.tables import RUN_COLUMNS
from vqflow.tables.rows import METRIC_COLUMNS

VARIANTS = {
    "maf": ("maf", "single"),
    "realnvp": ("realnvp", "single"),
    "vq-maf": ("maf", "vq32"),
    "vq-realnvp": ("realnvp", "vq32"),
}


Value = Callable[[str, int, int], float]


def circles(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    t = generator.uniform(-np.pi, np.pi, count)
    flat = np.stack([np.sin(t), np.cos(t), 0 * t], axis=1)
    upright = np.stack([1 + np.sin(t), 0 * t, np.cos(t)], axis=1)
    points = np.where(generator.random((count, 1)) < 0.5, flat, upright)
    return points + 0.01 * generator.normal(size=(count, 3))


def gallery_rows(count: int = 1200) -> dict[str, dict[str, np.ndarray]]:
    names = ("helix", "interlocked_circles")
    return {
        row: {name: circles(count, seed) for name in names}
        for seed, row in enumerate(("Data", "realnvp", "vq-realnvp"))
    }


def atlas_panel(features: int = 3, charts: int = 6, count: int = 1100) -> atlas.AtlasPanel:
    generator = np.random.default_rng(features)
    points = generator.normal(size=(count, features))
    centres = generator.normal(size=(charts, features))
    nearest = np.linalg.norm(points[:, None] - centres, axis=-1).argmin(axis=1)
    return atlas.AtlasPanel(points, nearest, centres, points + 0.1, nearest, leak=0.034)


def rows_of(
    metric: str,
    value: Value,
    dataset: str = "helix",
    epochs: tuple[int | None, ...] = (None,),
    seeds: int = 3,
    **fields: object,
) -> pd.DataFrame:
    defaults = {"unit": "nats", "n": 2500, "split": "test", "status": "ok"}
    defaults |= {"label": metric.replace("_", " "), "better": "higher", "decimals": 2}
    rows = [
        {
            "dataset": dataset,
            "variant": variant,
            "flow": flow,
            "atlas": chart_atlas,
            "embedding": "identity",
            "seed": seed,
            "epoch": epoch,
            "metric": metric,
            "value": value(variant, seed, epoch or 0),
            "parameters": 100,
            "atlas_parameters": 10,
            **defaults,
            **fields,
        }
        for variant, (flow, chart_atlas) in VARIANTS.items()
        for seed in range(seeds)
        for epoch in epochs
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS)).astype({"epoch": "Int64"})


def runs_of(metrics: pd.DataFrame, *lost: tuple[str, int]) -> pd.DataFrame:
    """Gives the runs of a metrics table; those in ``lost``, variants and seeds, diverged."""
    cells = metrics[["dataset", "variant", "flow", "atlas", "embedding", "seed"]].drop_duplicates()
    diverged = [key in lost for key in zip(cells["variant"], cells["seed"], strict=True)]
    status = np.where(diverged, "diverged", "ok")
    return cells.assign(status=status).reindex(columns=RUN_COLUMNS)


def fid_value(variant: str, seed: int, epoch: int) -> float:
    return 100 / (1 + epoch) + 10 * ("vq" not in variant) + seed**2


def fid_table(seeds: int = 3) -> pd.DataFrame:
    return rows_of(
        "fid_classifier",
        fid_value,
        dataset="mnist",
        epochs=(5, 10, 15, None),
        seeds=seeds,
        unit="",
        n=10000,
        label="Fréchet classifier distance",
        better="lower",
    )


def likelihood_value(variant: str, seed: int, epoch: int) -> float:
    return len(variant) + 0.1 * seed**2


def likelihood_table() -> pd.DataFrame:
    about = {"label": "log-likelihood, all charts"}
    bits = {"unit": "bits/dim", "label": "bits per dimension", "better": "lower"}
    return pd.concat(
        [
            rows_of("bits_per_dim", likelihood_value, dataset="mnist", **bits),
            rows_of("log_likelihood_all", likelihood_value, dataset="mnist", **about),
            rows_of("log_likelihood_all", likelihood_value, **about),
            rows_of("log_likelihood_all", lambda *_: -99.0, split="validation", **about),
            rows_of("ceiling", lambda *_: 12.5),
        ],
        ignore_index=True,
    )


GAPS = {"realnvp": 2.0, "vq-realnvp": 0.1, "maf": 4.0, "vq-maf": 1.0}


def gap_table(seeds: int = 3) -> pd.DataFrame:
    """Gaps whose means are those of ``GAPS``, twice as large on the second set."""

    def value(size: float) -> Value:
        return lambda variant, seed, _: size * (GAPS[variant] + 0.1 * (seed - (seeds - 1) / 2))

    about = {"label": "gap to the ceiling", "better": "lower", "seeds": seeds}
    tables = [
        rows_of("ceiling_gap", value(size), dataset=name, **about)
        for name, size in (("helix", 1.0), ("two_rings", 2.0))
    ]
    return pd.concat(tables, ignore_index=True)


def draw_gaps(table: pd.DataFrame) -> Figure:
    return gap_closed.draw(table, runs_of(table), bounds={"vq-maf"})


def sample_rows(count: int = 1200) -> dict[str, dict[str, sample_matrix.Cloud]]:
    """A set in space with a density that falls along x, and one in the plane without."""
    rows: dict[str, dict[str, sample_matrix.Cloud]] = {"helix": {}, "ring": {}}
    for seed, name in enumerate(("Data", "realnvp", "vq-realnvp")):
        points = circles(count, seed)
        rows["helix"][name] = sample_matrix.Cloud(points, -points[:, 0])
        rows["ring"][name] = sample_matrix.Cloud(points[:, :2], None)
    return rows


def draw_curves(table: pd.DataFrame, metric: str = "fid_classifier") -> Figure:
    return metric_curves.draw(table, runs_of(table), metric)


def draw_likelihood(table: pd.DataFrame) -> Figure:
    return likelihood.draw(table, runs_of(table))


def history(seeds: int = 3) -> pd.DataFrame:
    rows = [
        {
            "dataset": dataset,
            "variant": variant,
            "flow": flow,
            "atlas": chart_atlas,
            "seed": seed,
            "epoch": epoch,
            "train_loss": 1 / epoch + seed,
            "validation_loss": 2 / epoch + seed**2,
        }
        for dataset in ("helix", "knotted")
        for variant, (flow, chart_atlas) in VARIANTS.items()
        for seed in range(seeds)
        for epoch in range(1, 30)
    ]
    return pd.DataFrame(rows)


def images(channels: int = 1) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        name: generator.integers(0, 17, (30, channels, 8, 8)).astype(np.uint8)
        for name in ("Data", "realnvp", "vq-realnvp")
    }


DRAWINGS: dict[str, tuple[Callable[[], Figure], set[str]]] = {
    "toy_gallery": (
        lambda: toy_gallery.draw(gallery_rows()),
        {"Data", "RealNVP", "VQ-RealNVP", "helix", "interlocked circles", "low", "high"},
    ),
    "atlas_3d": (
        lambda: atlas.draw({name: atlas_panel() for name in ("a", "b", "c")}),
        {"Data", "Samples", "a\n6 charts", "leak 3.4%", "chart centre"},
    ),
    "atlas_2d_and_images": (
        lambda: atlas.draw({"ring": atlas_panel(2), "digits": atlas_panel(64)}),
        {
            "$x_1$",
            "$x_2$",
            "first principal axis",
            "second principal axis",
            "digits: samples, leak 3.4%",
        },
    ),
    "fid_curves": (
        lambda: draw_curves(fid_table()),
        {
            "MNIST\n10,000 samples against the test split",
            "Fréchet classifier distance\n(lower is better)",
            "epoch",
            "VQ-MAF",
        },
    ),
    "likelihood": (
        lambda: draw_likelihood(likelihood_table()),
        {
            "test log-likelihood, all charts\n(nats, higher is better)",
            "test bits per dimension\n(lower is better)",
            "ceiling",
            "mean, 95 % interval",
            "VQ-RealNVP",
        },
    ),
    "gap_closed": (
        lambda: draw_gaps(gap_table()),
        {"gap of RealNVP (nats)", "two rings", "0.95", "−1.00", "≥0.50", "mean over data sets"},
    ),
    "sample_matrix": (
        lambda: sample_matrix.draw(sample_rows()),
        {"helix", "ring", "Data", "VQ-RealNVP", "exact log-density\n(one scale per row)", "high"},
    ),
    "training_curves": (
        lambda: training_curves.draw(history()),
        {"negative log-likelihood\n(nats)", "epoch", "training", "validation", "VQ-MAF"},
    ),
    "sample_grid": (
        lambda: sample_grid.draw(images(), 17, "digits"),
        {"digits", "Data", "RealNVP", "VQ-RealNVP"},
    ),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def line(panel: Axes, name: str) -> Any:
    return next(line for line in panel.get_lines() if line.get_label() == name)


def band(panel: Axes, position: int, epoch: int) -> np.ndarray:
    corners = np.asarray(panel.collections[position].get_paths()[0].vertices)
    return corners[corners[:, 0] == epoch, 1]


def shown_points(panel: Axes) -> int:
    return len(np.asarray(panel.collections[0].get_offsets()))
