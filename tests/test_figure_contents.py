"""What the figures show of their numbers: intervals, limits, clouds, colours, mosaics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawings import (
    band,
    circles,
    draw_likelihood,
    history,
    likelihood_table,
    runs_of,
    shown_points,
    texts,
)
from hypothesis import given
from hypothesis import strategies as st
from mpl_toolkits.mplot3d import proj3d
from scipy import stats

from vqflow.figures import (
    atlas,
    likelihood,
    panels,
    sample_grid,
    style,
    toy_gallery,
    training_curves,
)
from vqflow.tables.statistics import preferred_split, student_interval

pytestmark = pytest.mark.filterwarnings("error")


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_interval_is_that_of_student(values: list[float]) -> None:
    mean, half = student_interval(pd.Series(values))
    scale = max(float(np.std(values, ddof=1)) / len(values) ** 0.5, 1e-300)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scale)
    assert mean - half == pytest.approx(low, abs=1e-8)
    assert mean + half == pytest.approx(high, abs=1e-8)


def test_likelihood_draws_test_values_ceiling_and_images_in_bits() -> None:
    figure = draw_likelihood(likelihood_table())
    toy, image = figure.axes
    assert (toy.get_title(), image.get_title()) == ("helix", "MNIST")
    assert toy.get_xlim()[0] > -50
    ceilings = [item for item in toy.get_lines() if np.array_equal(item.get_xdata(), [12.5, 12.5])]
    assert len(ceilings) == 1
    seeds = [len("realnvp") + 0.1 * seed**2 for seed in range(3)]
    drawn = [np.asarray(item.get_xdata(), dtype=float) for item in toy.get_lines()]
    assert any(x.shape == (3,) and np.allclose(np.sort(x), seeds) for x in drawn)
    assert all(item.get_linestyle() == "None" for item in image.get_lines()[:1])


def test_far_seeds_are_marked_at_the_edge_and_do_not_stretch_the_axis() -> None:
    table = likelihood_table()
    far = (table["variant"] == "maf") & (table["seed"] == 1) & (table["split"] != "validation")
    far &= (table["dataset"] == "helix") & (table["metric"] == "log_likelihood_all")
    whole = draw_likelihood(table)
    table.loc[far, "value"] = -5000.0
    figure = draw_likelihood(table)
    left, right = figure.axes[0].get_xlim()
    assert left > -50 and right >= 12.5
    marked = [item for item in figure.axes[0].get_lines() if item.get_marker() == "<"]
    heights = [float(np.ravel(item.get_ydata())[0]) for item in marked]
    place = -float(list(dict.fromkeys(table["variant"])).index("maf"))
    assert heights == pytest.approx([place + 0.2, place - 0.12])
    assert all(np.allclose(item.get_xdata(), left) for item in marked)
    assert figure.axes[1].get_xlim() == whole.axes[1].get_xlim()
    shown = [{text.get_text() for text in each.legends[0].get_texts()} for each in (whole, figure)]
    assert shown[1] - shown[0] == {"beyond the edge"}


def test_what_is_scored_over_covering_charts_alone_is_shown_so() -> None:
    table = likelihood_table()
    table = table[table["metric"] != "bits_per_dim"]
    covering = {"metric": "log_likelihood_covering", "label": "log-likelihood, covering charts"}
    figure = draw_likelihood(table[table["metric"] != "ceiling"].assign(**covering))
    assert {panel.get_title() for panel in figure.axes} == {"helix", "MNIST"}
    assert any("log-likelihood, covering charts" in text for text in texts(figure))
    with pytest.raises(ValueError, match="no rows of metric"):
        draw_likelihood(table.assign(metric="leak"))


def test_what_is_missing_is_counted_and_stays_out_of_the_mean() -> None:
    table = likelihood_table()
    runs = runs_of(table, ("realnvp", 2))
    table = table[(table["variant"] != "realnvp") | (table["seed"] != 2)]
    broken = (table["variant"] == "vq-maf") & (table["seed"] == 0) & (table["dataset"] == "helix")
    table.loc[broken, ["value", "status"]] = [np.inf, "not_finite"]
    figure = likelihood.draw(table, runs)
    assert texts(figure).count("1 diverged") == 2
    assert texts(figure).count("1 not finite") == 1
    markers = [item for item in figure.axes[0].get_lines() if item.get_marker() in "Ds"]
    means = [float(np.ravel(item.get_xdata())[0]) for item in markers]
    assert any(mean == pytest.approx(len("realnvp") + 0.05) for mean in means)
    assert any(mean == pytest.approx(len("vq-maf") + 0.25) for mean in means)


def test_the_test_split_is_preferred() -> None:
    rows = pd.DataFrame(
        [("a", "validation"), ("a", "test"), ("b", "validation"), ("b", "train")],
        columns=["dataset", "split"],
    )
    assert preferred_split(rows)["split"].tolist() == ["test", "train"]


def test_training_band_spans_the_seeds_and_limits_ignore_outliers() -> None:
    table = history()
    table.loc[(table["variant"] == "maf") & (table["epoch"] == 1), "validation_loss"] = 1e9
    figure = training_curves.draw(table)
    panel = figure.axes[0]
    assert panel.get_ylim()[1] < 1e3
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "beyond the upper edge" in named
    marked = [line for line in panel.lines if line.get_marker() == "^" and len(line.get_xdata())]
    assert marked and all(list(line.get_xdata()) == [1] for line in marked)
    flat = history().assign(train_loss=1.0, validation_loss=1.0)
    named = [text.get_text() for text in training_curves.draw(flat).legends[0].get_texts()]
    assert "beyond the upper edge" not in named
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


@pytest.mark.parametrize("count", [1, 2])
def test_the_colour_bar_stands_beside_the_clouds(count: int) -> None:
    cube = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    figure = toy_gallery.draw({"Data": {f"set{number}": cube for number in range(count)}})
    figure.canvas.draw()
    *clouds, bar = figure.axes
    for panel in clouds:
        x, y, _ = proj3d.proj_transform(*cube.T, panel.get_proj())
        pixels = panel.transData.transform(np.stack([x, y], axis=1))
        assert pixels[:, 0].max() < bar.get_window_extent().x0


def test_one_seed_has_no_interval() -> None:
    table = likelihood_table()
    figure = draw_likelihood(table[table["seed"] == 0])
    assert "the one seed" in texts(figure)
    assert not [text for text in texts(figure) if "95 %" in text]


def test_likelihoods_have_the_order_of_the_table() -> None:
    figure = draw_likelihood(likelihood_table().iloc[::-1])
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["VQ-RealNVP", "VQ-MAF", "RealNVP", "MAF"]


def test_dashed_curves_lie_on_solid_ones() -> None:
    lines = training_curves.draw(history()).axes[0].get_lines()
    dashed = [line.get_zorder() for line in lines if line.get_linestyle() != "-"]
    solid = [line.get_zorder() for line in lines if line.get_linestyle() == "-"]
    assert min(dashed) > max(solid)
