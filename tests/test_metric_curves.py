"""The curves of the Fréchet distance: bands, gaps, panels and the paper's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawings import band, draw_curves, fid_table, fid_value, line, runs_of, texts

from vqflow.figures import metric_curves, style
from vqflow.published import curves

pytestmark = pytest.mark.filterwarnings("error")


def test_a_missing_variant_leaves_the_other_curves() -> None:
    table = fid_table()
    table = pd.concat(
        [table, table[table["variant"] != "vq-maf"].assign(dataset="digits")], ignore_index=True
    )
    figure = draw_curves(table)
    assert [len(line(p, "vq-maf").get_xdata()) for p in figure.axes] == [3, 0]
    assert [len(line(p, "maf").get_xdata()) for p in figure.axes] == [3, 3]


def test_the_published_curves_lie_beside_ours_as_far_as_ours_go() -> None:
    table = fid_table()
    last = int(table["epoch"].max())
    (panel,) = draw_curves(table).axes
    thin = [curve for curve in panel.lines if curve.get_linewidth() < 1]
    paper = {
        variant: {epoch: value for epoch, value in curve.items() if epoch <= last}
        for (_, variant), curve in curves("frechet_distance").items()
    }
    drawn = {
        tuple(zip(curve.get_xdata(), curve.get_ydata(), strict=True)): curve.get_color()
        for curve in thin
    }
    assert drawn == {
        tuple(points.items()): style.strokes(table)[variant].colour
        for variant, points in paper.items()
    }
    assert "published" in texts(draw_curves(table))
    others = draw_curves(table.assign(dataset="digits"))
    assert "published" not in texts(others)


def test_a_single_epoch_has_no_published_curve() -> None:
    table = fid_table()
    table = table[table["epoch"].isna() | (table["epoch"] == 5)]
    assert "published" not in texts(draw_curves(table))


@pytest.mark.parametrize("empty", ["planes32", "planes64"])
def test_an_empty_panel_takes_no_ticks_from_its_neighbour(empty: str) -> None:
    parts = [fid_table().assign(embedding=name) for name in ("planes32", "planes64")]
    table = pd.concat(parts, ignore_index=True)
    table.loc[table["embedding"] == empty, "value"] = np.nan
    table["variant"] += "-" + table["embedding"]
    ticks = {
        panel.get_title().split()[1]: len(panel.get_yticks()) for panel in draw_curves(table).axes
    }
    assert ticks.pop(empty) == 0
    assert min(ticks.values()) > 1


def test_each_embedding_of_a_data_set_has_a_panel_of_one_scale() -> None:
    narrow = fid_table().assign(embedding="planes32")
    wide = fid_table().assign(
        embedding="planes64", variant=narrow["variant"] + "-d64", value=narrow["value"] + 500
    )
    figure = draw_curves(pd.concat([narrow, wide], ignore_index=True))
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
    figure = draw_curves(fid_table())
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
    (panel,) = draw_curves(fid_table(seeds=1)).axes
    assert len(panel.collections) == 0
    assert len(line(panel, "maf").get_xdata()) == 3


def test_confined_samples_are_named() -> None:
    label = "Fréchet Inception distance, confined"
    table = fid_table().assign(metric="fid_inception_confined", label=label)
    figure = draw_curves(table, "fid_inception_confined")
    assert "MNIST\n10,000 confined samples against the test split" in texts(figure)
    assert f"{label}\n(lower is better)" in texts(figure)


def test_diverged_runs_are_counted_beside_the_curves() -> None:
    table = fid_table()
    runs = runs_of(table, ("vq-maf", 1), ("vq-maf", 2))
    table = table[(table["variant"] != "vq-maf") | (table["seed"] == 0)]
    figure = metric_curves.draw(table, runs, "fid_classifier")
    assert "VQ-MAF: 2 diverged" in texts(figure)


def test_a_variant_of_which_all_runs_diverged_is_still_named() -> None:
    table = fid_table()
    runs = runs_of(table, *(("vq-maf", seed) for seed in range(3)))
    figure = metric_curves.draw(table[table["variant"] != "vq-maf"], runs, "fid_classifier")
    assert {"VQ-MAF", "VQ-MAF: 3 diverged"} <= set(texts(figure))
