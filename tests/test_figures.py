"""Figures: they draw, say what they show, keep their colours, and repeat byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from vqflow.figures import (
    atlas,
    fid_curves,
    likelihood,
    panels,
    sample_grid,
    style,
    toy_gallery,
    training_curves,
)
from vqflow.figures.published import FRECHET_DISTANCE
from vqflow.tables import METRIC_COLUMNS

pytestmark = pytest.mark.filterwarnings("error")

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
    )


def likelihood_value(variant: str, seed: int, epoch: int) -> float:
    return len(variant) + 0.1 * seed**2


def likelihood_table() -> pd.DataFrame:
    return pd.concat(
        [
            rows_of("bits_per_dim", likelihood_value, dataset="mnist", unit="bits/dim"),
            rows_of("log_likelihood_all", likelihood_value, dataset="mnist"),
            rows_of("log_likelihood_all", likelihood_value),
            rows_of("log_likelihood_all", lambda *_: -99.0, split="validation"),
            rows_of("ceiling", lambda *_: 12.5),
        ],
        ignore_index=True,
    )


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
        lambda: fid_curves.draw(fid_table(), "fid_classifier"),
        {
            "MNIST\n10,000 samples against the test split",
            "Fréchet distance\n(classifier features, lower is better)",
            "epoch",
            "VQ-MAF",
        },
    ),
    "likelihood": (
        lambda: likelihood.draw(likelihood_table()),
        {
            "test log-likelihood\n(nats, higher is better)",
            "test bits per dimension\n(lower is better)",
            "ceiling",
            "mean, 95 % interval",
            "VQ-RealNVP",
        },
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


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_with_labels_and_leaves_no_trace(name: str) -> None:
    draw, expected = DRAWINGS[name]
    before = dict(mpl.rcParams)
    figure = draw()
    figure.canvas.draw()
    assert expected <= set(texts(figure))
    assert figure.get_figwidth() <= style.WIDTH + 1e-9
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", DRAWINGS)
def test_equal_inputs_give_equal_bytes_and_no_temporary_file(name: str, tmp_path: Path) -> None:
    draw, _ = DRAWINGS[name]
    for turn in ("first", "second"):
        style.save(draw(), tmp_path / f"{turn}.png", tmp_path / f"{turn}.pdf")
    for suffix in ("png", "pdf"):
        first, second = ((tmp_path / f"{t}.{suffix}").read_bytes() for t in ("first", "second"))
        assert first == second
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    pdf = (tmp_path / "first.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert len(list(tmp_path.iterdir())) == 4


def test_another_process_without_torch_gives_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_figures as t\n"
        "paths = (f'{sys.argv[2]}/b.{kind}' for kind in ('png', 'pdf'))\n"
        "t.style.save(t.likelihood.draw(t.likelihood_table()), *paths)\n"
        "assert 'torch' not in sys.modules"
    )
    search = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": search}
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, check=True, env=environment)
    style.save(likelihood.draw(likelihood_table()), tmp_path / "a.png", tmp_path / "a.pdf")
    for kind in ("png", "pdf"):
        first, second = (tmp_path / f"{name}.{kind}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    class Broken(Figure):
        def savefig(self, *args: object, **kwargs: object) -> None:
            raise RuntimeError("disk full")

    png = tmp_path / "a.png"
    png.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="disk full"):
        style.save(Broken(), png, tmp_path / "a.pdf")
    assert png.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: toy_gallery.draw({}),
        lambda: toy_gallery.draw({"Data": {"helix": np.empty((0, 3))}}),
        lambda: atlas.draw({}),
        lambda: fid_curves.draw(fid_table().iloc[:0], "fid_classifier"),
        lambda: likelihood.draw(likelihood_table().iloc[:0]),
        lambda: training_curves.draw(history().iloc[:0]),
        lambda: sample_grid.draw({}, 17, "digits"),
        lambda: sample_grid.draw({"Data": np.empty((0, 1, 8, 8), np.uint8)}, 17, "digits"),
    ],
)
def test_empty_input_is_a_clear_error(draw: Callable[[], Figure]) -> None:
    with pytest.raises(ValueError, match="nothing to draw") as caught:
        draw()
    assert "\n" not in str(caught.value)


def test_a_metric_without_rows_gets_empty_panels() -> None:
    metrics = fid_table()
    drawn = fid_curves.draw(metrics, "fid_inception")
    texts = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert texts.count("no data") == metrics["dataset"].nunique()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: toy_gallery.draw({"Data": {"ring": np.ones((5, 2))}}), r"'ring'.*\(5, 2\)"),
        (lambda: sample_grid.draw({"Data": np.ones((4, 2, 8, 8), np.uint8)}, 17, ""), "'Data'"),
        (
            lambda: atlas.AtlasPanel(
                np.ones((4, 2)),
                np.full(4, 3),
                np.ones((3, 2)),
                np.ones((1, 2)),
                np.zeros(1, int),
                None,
            ),
            "from 0 to 2",
        ),
    ],
)
def test_wrong_shapes_are_named(draw: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize(
    "figure",
    [
        lambda: toy_gallery.draw({**gallery_rows(200), "maf": {"helix": circles(200)}}),
        lambda: toy_gallery.draw({"Data": {"helix": circles(200)}, "maf": {}}),
        lambda: fid_curves.draw(fid_table().assign(value=np.nan), "fid_classifier"),
        lambda: likelihood.draw(likelihood_table().assign(value=np.nan, status="diverged")),
        lambda: training_curves.draw(history().assign(train_loss=np.inf, validation_loss=np.nan)),
        lambda: sample_grid.draw({**images(), "maf": np.empty((0, 1, 8, 8), np.uint8)}, 17, ""),
        lambda: atlas.draw({"a": atlas_panel(count=0)}),
    ],
)
def test_empty_panels_say_so(figure: Callable[[], Figure]) -> None:
    drawn = figure()
    drawn.canvas.draw()
    assert "no data" in texts(drawn)


def test_a_missing_variant_leaves_the_other_curves() -> None:
    table = fid_table()
    table = pd.concat(
        [table, table[table["variant"] != "vq-maf"].assign(dataset="digits")], ignore_index=True
    )
    figure = fid_curves.draw(table, "fid_classifier")
    assert [len(line(p, "vq-maf").get_xdata()) for p in figure.axes] == [3, 0]
    assert [len(line(p, "maf").get_xdata()) for p in figure.axes] == [3, 3]


def test_the_published_curves_lie_beside_ours_as_far_as_ours_go() -> None:
    table = fid_table()
    last = int(table["epoch"].max())
    (panel,) = fid_curves.draw(table, "fid_classifier").axes
    thin = [curve for curve in panel.lines if curve.get_linewidth() < 1]
    paper = {
        variant: {epoch: value for epoch, value in curve.items() if epoch <= last}
        for (_, variant), curve in FRECHET_DISTANCE.items()
    }
    drawn = {
        tuple(zip(curve.get_xdata(), curve.get_ydata(), strict=True)): curve.get_color()
        for curve in thin
    }
    assert drawn == {
        tuple(points.items()): style.strokes(table)[variant].colour
        for variant, points in paper.items()
    }
    assert "published" in texts(fid_curves.draw(table, "fid_classifier"))
    others = fid_curves.draw(table.assign(dataset="digits"), "fid_classifier")
    assert "published" not in texts(others)


def test_a_single_epoch_has_no_published_curve() -> None:
    table = fid_table()
    table = table[table["epoch"].isna() | (table["epoch"] == 5)]
    assert "published" not in texts(fid_curves.draw(table, "fid_classifier"))


@pytest.mark.parametrize("empty", ["planes32", "planes64"])
def test_an_empty_panel_takes_no_ticks_from_its_neighbour(empty: str) -> None:
    parts = [fid_table().assign(embedding=name) for name in ("planes32", "planes64")]
    table = pd.concat(parts, ignore_index=True)
    table.loc[table["embedding"] == empty, "value"] = np.nan
    table["variant"] += "-" + table["embedding"]
    ticks = {
        panel.get_title().split()[1]: len(panel.get_yticks())
        for panel in fid_curves.draw(table, "fid_classifier").axes
    }
    assert ticks.pop(empty) == 0
    assert min(ticks.values()) > 1


def test_each_embedding_of_a_data_set_has_a_panel_of_one_scale() -> None:
    narrow = fid_table().assign(embedding="planes32")
    wide = fid_table().assign(
        embedding="planes64", variant=narrow["variant"] + "-d64", value=narrow["value"] + 500
    )
    figure = fid_curves.draw(pd.concat([narrow, wide], ignore_index=True), "fid_classifier")
    first, second = figure.axes
    assert [panel.get_title().split("\n")[0] for panel in figure.axes] == [
        "MNIST, planes32",
        "MNIST, planes64",
    ]
    assert first.get_ylim() == second.get_ylim()
    assert (
        len(line(first, "vq-maf").get_xdata()) == len(line(second, "vq-maf-d64").get_xdata()) == 3
    )
    assert len(line(first, "vq-maf-d64").get_xdata()) == len(line(second, "maf").get_xdata()) == 0


def test_band_is_one_standard_deviation_over_seeds() -> None:
    figure = fid_curves.draw(fid_table(), "fid_classifier")
    (panel,) = figure.axes
    expected = [np.array([fid_value("vq-maf", seed, e) for seed in range(3)]) for e in (5, 10, 15)]
    curve = line(panel, "vq-maf")
    np.testing.assert_allclose(curve.get_xdata(), [5, 10, 15])
    np.testing.assert_allclose(curve.get_ydata(), [v.mean() for v in expected], rtol=1e-12)
    order = list(style.strokes(fid_table()))
    for epoch, values in zip((5, 10, 15), expected, strict=True):
        heights = band(panel, order.index("vq-maf"), epoch)
        spread = np.std(values, ddof=1)
        assert heights.min() == pytest.approx(values.mean() - spread, rel=1e-12)
        assert heights.max() == pytest.approx(values.mean() + spread, rel=1e-12)


def test_single_seed_has_no_band() -> None:
    (panel,) = fid_curves.draw(fid_table(seeds=1), "fid_classifier").axes
    assert len(panel.collections) == 0
    assert len(line(panel, "maf").get_xdata()) == 3


def test_confined_samples_are_named() -> None:
    table = fid_table().assign(metric="fid_inception_confined")
    figure = fid_curves.draw(table, "fid_inception_confined")
    assert "MNIST\n10,000 confined samples against the test split" in texts(figure)
    assert "Fréchet distance\n(Inception features, lower is better)" in texts(figure)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_interval_is_that_of_student(values: list[float]) -> None:
    mean, half = likelihood.interval(pd.Series(values))
    scale = max(float(np.std(values, ddof=1)) / len(values) ** 0.5, 1e-300)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scale)
    assert mean - half == pytest.approx(low, abs=1e-8)
    assert mean + half == pytest.approx(high, abs=1e-8)


def test_likelihood_draws_test_values_ceiling_and_images_in_bits() -> None:
    figure = likelihood.draw(likelihood_table())
    toy, image = figure.axes
    assert (toy.get_title(), image.get_title()) == ("helix", "MNIST")
    assert toy.get_xlim()[0] > -50
    ceilings = [item for item in toy.get_lines() if np.array_equal(item.get_xdata(), [12.5, 12.5])]
    assert len(ceilings) == 1
    seeds = [len("realnvp") + 0.1 * seed**2 for seed in range(3)]
    drawn = [np.asarray(item.get_xdata(), dtype=float) for item in toy.get_lines()]
    assert any(x.shape == (3,) and np.allclose(np.sort(x), seeds) for x in drawn)
    assert all(item.get_linestyle() == "None" for item in image.get_lines()[:1])


def test_diverged_runs_are_counted_and_stay_out_of_the_mean() -> None:
    table = likelihood_table()
    lost = (table["variant"] == "realnvp") & (table["seed"] == 2)
    gone = table[lost & (table["dataset"] == "helix")].head(1)
    gone = gone.assign(metric="log_likelihood", value=np.nan, status="diverged", split="", unit="")
    table = pd.concat([table[~lost], gone], ignore_index=True)
    figure = likelihood.draw(table)
    assert texts(figure).count("1 diverged") == 1
    markers = [item for item in figure.axes[0].get_lines() if item.get_marker() == "D"]
    means = [float(np.ravel(item.get_xdata())[0]) for item in markers]
    assert any(mean == pytest.approx(len("realnvp") + 0.05) for mean in means)


def test_diverged_runs_are_counted_beside_the_curves() -> None:
    table = fid_table()
    lost = (table["variant"] == "vq-maf") & (table["seed"] > 0)
    table = table.assign(value=table["value"].where(~lost), status=np.where(lost, "diverged", "ok"))
    assert "VQ-MAF: 2 diverged" in texts(fid_curves.draw(table, "fid_classifier"))


def test_one_hue_per_family_base_lighter_and_dashed() -> None:
    table = pd.DataFrame(
        [
            ("vq-realnvp", "realnvp", "vq32"),
            ("kmeans-realnvp", "realnvp", "kmeans32"),
            ("realnvp", "realnvp", "single"),
            ("vq-zeta", "zeta", "vq32"),
            ("zeta", "zeta", "single"),
            ("alpha", "alpha", "single"),
        ],
        columns=["variant", "flow", "atlas"],
    )
    strokes = style.strokes(table)
    assert list(strokes) == ["realnvp", "vq-realnvp", "kmeans-realnvp", "alpha", "zeta", "vq-zeta"]
    for family in ("realnvp", "zeta"):
        base, full = strokes[family], strokes[f"vq-{family}"]
        assert base.colour == style.lighter(full.colour)
        assert all(a > b for a, b in zip(base.colour, full.colour, strict=True) if b < 1)
        assert (base.dash, full.dash) == ("dashed", "solid")
        assert (base.base, full.base) == (True, False)
    kmeans, vq = strokes["kmeans-realnvp"], strokes["vq-realnvp"]
    assert kmeans.colour == vq.colour
    assert (kmeans.dash, kmeans.marker) != (vq.dash, vq.marker)
    looks = {(stroke.colour, str(stroke.dash)) for stroke in strokes.values()}
    assert len(looks) == len(strokes)


def test_a_variant_looks_the_same_in_every_figure() -> None:
    strokes = style.strokes(fid_table())
    assert style.strokes(history()) == strokes
    (panel,) = fid_curves.draw(fid_table(), "fid_classifier").axes
    for variant, stroke in strokes.items():
        assert to_hex(line(panel, variant).get_color()) == to_hex(stroke.colour)
    colours = {to_hex(item.get_color()) for item in training_curves.draw(history()).axes[0].lines}
    assert colours == {to_hex(stroke.colour) for stroke in strokes.values()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("realnvp", "RealNVP"),
        ("vq-realnvp", "VQ-RealNVP"),
        ("maf", "MAF"),
        ("interlocked_circles", "interlocked circles"),
        ("fashion_mnist", "Fashion-MNIST"),
        ("vq-mnist", "VQ-MNIST"),
        ("kmeans32", "k-means 32"),
        ("my_own-flow2", "my own-flow2"),
        ("Data", "Data"),
    ],
)
def test_labels(name: str, expected: str) -> None:
    assert style.label(name) == expected


@given(st.text(max_size=20))
def test_labelling_twice_changes_nothing(name: str) -> None:
    once = style.label(name)
    assert style.label(once) == once


def test_training_band_spans_the_seeds_and_limits_ignore_outliers() -> None:
    table = history()
    table.loc[(table["variant"] == "maf") & (table["epoch"] == 1), "validation_loss"] = 1e9
    panel = training_curves.draw(table).axes[0]
    assert panel.get_ylim()[1] < 1e3
    assert any("above" in text.get_text() for text in panel.texts)
    last = table[(table["variant"] == "vq-maf") & (table["epoch"] == 29)]["validation_loss"]
    position = list(style.strokes(table)).index("vq-maf")
    heights = band(panel, position, 29)
    assert (heights.min(), heights.max()) == (last.min(), last.max())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_robust_limits_keep_the_best_values(values: list[float]) -> None:
    low, high = training_curves.robust_limits(np.array(values))
    assert low < min(values)
    assert high > np.percentile(values, 75)


def test_samples_outside_the_data_are_dropped_and_counted() -> None:
    far = np.concatenate([circles(900), np.full((50, 3), 40.0), np.full((50, 3), np.nan)])
    figure = toy_gallery.draw({"Data": {"helix": circles(500)}, "maf": {"helix": far}})
    assert "10.0% outside" in texts(figure)
    data, model = figure.axes[:2]
    assert data.get_xlim() == model.get_xlim()
    assert shown_points(model) == 900


def test_clouds_are_thinned_and_rasterised() -> None:
    figure = toy_gallery.draw({"Data": {"helix": circles(4000), "knotted": circles(800)}})
    assert [shown_points(panel) for panel in figure.axes[:2]] == [panels.MAX_POINTS, 800]
    assert [panel.collections[0].get_rasterized() for panel in figure.axes[:2]] == [True, False]


def test_local_density_is_that_of_a_lattice() -> None:
    lattice = np.stack(np.meshgrid(*[np.arange(7.0)] * 3), axis=-1).reshape(-1, 3)
    density = toy_gallery.log_density(lattice)
    assert np.ptp(toy_gallery.log_density(lattice / 2) - density) < 1e-12
    assert toy_gallery.log_density(lattice / 2)[0] - density[0] == pytest.approx(3 * np.log(2))
    centre = np.all(lattice == 3, axis=1)
    assert density[centre][0] == density.max() > density[0]


@pytest.mark.parametrize("charts", [1, 2, 16, 128])
def test_chart_colours_differ_most_between_neighbours(charts: int) -> None:
    angle = np.linspace(0, 2 * np.pi, charts, endpoint=False)
    colours = atlas.chart_colours(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert colours.shape == (charts, 3)
    assert len(np.unique(colours, axis=0)) == charts
    assert ((colours >= 0) & (colours <= 1)).all()
    if charts > 2:
        steps = np.linalg.norm(colours - np.roll(colours, 1, axis=0), axis=1)
        assert steps.min() > 0.15


@pytest.mark.parametrize("channels", [1, 3])
def test_mosaic_puts_images_in_reading_order(channels: int) -> None:
    block = np.zeros((5, channels, 4, 4), np.uint8)
    block[1] = 16
    canvas = sample_grid.mosaic(block, side=2, levels=17)
    assert canvas.shape[:2] == (9, 9)
    assert canvas.shape[2:] == (() if channels == 1 else (3,))
    assert canvas[:4, :4].max() == 0
    assert canvas[:4, 5:].min() == 1
    assert canvas[5:, 5:].max() == 0
    assert canvas[4].min() == 1
