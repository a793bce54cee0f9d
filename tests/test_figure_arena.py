"""The arena's figures: shares of the gap that is closed, and samples by method and data set."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drawings import GAPS, circles, draw_gaps, gap_table, runs_of, sample_rows, shown_points, texts
from matplotlib.figure import Figure
from test_config import demo
from test_figure_plan import plan

from vqflow.config.components import ConfigError
from vqflow.figures import RunFigure, sample_matrix, toy_gallery
from vqflow.figures.gap_closed import GapClosed, shares_of
from vqflow.figures.style import palette, save


class Bound:
    """Stands for a model that only bounds its density."""

    lower_bound = True


class Wrong(RunFigure):
    features = 3

    def draw(self, inputs: Any) -> Figure:
        raise AssertionError("never drawn")


def test_shares_are_of_the_reference_s_mean_gap() -> None:
    table = gap_table()
    shares = shares_of(table, runs_of(table), "realnvp")
    np.testing.assert_allclose(shares.gaps, [2.0, 4.0])
    for variant, gap in GAPS.items():
        np.testing.assert_allclose(shares.means(variant), 1 - gap / 2, atol=1e-12)
        expected = 1 - (gap + np.array([-0.1, 0.0, 0.1])) / 2
        np.testing.assert_allclose(shares.of_seeds(variant), expected, atol=1e-12)
    assert not shares.lost


def test_another_reference_gives_other_shares() -> None:
    table = gap_table()
    shares = shares_of(table, runs_of(table), "maf")
    np.testing.assert_allclose(shares.means("realnvp"), 0.5)


def test_what_is_missing_is_left_out_and_marked() -> None:
    table = gap_table()
    helix = table["dataset"] == "helix"
    bad = helix & (table["variant"] == "vq-maf") & (table["seed"] == 1)
    table.loc[bad, ["value", "status"]] = np.nan, "not_finite"
    gone = helix & (table["variant"] == "maf")
    runs = runs_of(table)
    runs.loc[(runs["dataset"] == "helix") & (runs["variant"] == "maf"), "status"] = "diverged"
    shares = shares_of(table[~gone], runs, "realnvp")
    assert shares.lost == {("vq-maf", "helix"), ("maf", "helix")}
    assert list(shares.of_seeds("vq-maf").dropna().index) == [0, 2]
    assert np.isnan(shares.means("maf")["helix"]) and shares.means("maf")["two_rings"] == -1
    shown = texts(draw_gaps(table[~gone]))
    assert "−1.00, 1 set" in shown
    assert "≥0.50†" in shown
    assert "† without runs that diverged or are not finite" in shown


def test_a_reference_at_the_ceiling_leaves_no_shares() -> None:
    table = gap_table()
    table.loc[(table["dataset"] == "helix") & (table["variant"] == "realnvp"), "value"] = -0.01
    shares = shares_of(table, runs_of(table), "realnvp")
    assert np.isnan(shares.means("vq-realnvp")["helix"])
    assert shares.means("vq-realnvp")["two_rings"] == pytest.approx(0.95)


def test_means_beyond_the_axis_are_arrows_with_their_number() -> None:
    figure = draw_gaps(gap_table())
    means = figure.axes[1]
    assert "−1.00" in [text.get_text() for text in means.texts]
    lowest = means.get_xlim()[0]
    arrows = [line for line in means.get_lines() if line.get_marker() == "<"]
    assert len(arrows) == 4  # three seeds of MAF and their mean
    assert all(line.get_xdata()[0] == lowest for line in arrows)
    goal = [line for line in means.get_lines() if list(line.get_xdata()) == [0.9, 0.9]]
    assert len(goal) == 1


def test_numbers_that_reach_the_goal_are_bold() -> None:
    cells = {
        text.get_text(): text.get_fontweight() for text in draw_gaps(gap_table()).axes[0].texts
    }
    assert cells["0.95"] == "bold" and cells["≥0.50"] == cells["0.00"] == "normal"


def test_a_reference_that_is_not_there_is_named() -> None:
    shown: list[Any] = [SimpleNamespace(variant=name) for name in ("realnvp", "maf")]
    with pytest.raises(ValueError, match="reference is 'nsf'; allowed: realnvp, maf"):
        GapClosed("nsf").check(shown, [])
    table = gap_table()
    with pytest.raises(ValueError, match="of the reference 'nsf' .there are of: maf, realnvp"):
        shares_of(table, runs_of(table), "nsf")


@pytest.mark.parametrize("goal", [0.0, -1.0, 1.1, float("nan")])
def test_a_goal_out_of_range_is_refused(goal: float) -> None:
    with pytest.raises(ValueError, match="allowed: above 0, at most 1"):
        GapClosed(goal=goal)


def test_cells_say_which_models_only_bound_their_density() -> None:
    toys = {"variants": ["realnvp", "bound"], "figures": ["gap_closed"]}
    raw = demo(
        models={"mine": {"class": "test_figure_arena.Bound"}},
        variants={"bound": {"model": "mine"}},
        benchmarks={"toys": toys},
    )
    bounds = {cell.variant: cell.lower_bound for cell in plan(raw)["gap_closed"].cells}
    assert bounds == {"realnvp": False, "bound": True}


def test_numbers_of_coordinates_are_stated_as_a_tuple() -> None:
    mine = {"class": "test_figure_arena.Wrong"}
    raw = demo(figures={"mine": mine}, benchmarks={"toys": {"figures": ["mine"]}})
    with pytest.raises(ConfigError, match=r"figures.mine: .*Wrong.features is 3; allowed: a tuple"):
        plan(raw)


def clouds(figure: Figure) -> list[Any]:
    """The panels of a matrix that hold a cloud, row by row."""
    return [panel for panel in figure.axes[:-1] if panel.collections]


def test_samples_have_the_colour_of_their_exact_density() -> None:
    rows = sample_rows(400)
    stray = sample_matrix.Cloud(circles(400), np.full(400, -99.0))
    rows["helix"]["maf"] = stray
    panels = clouds(sample_matrix.draw(rows))
    assert [hasattr(panel, "zaxis") for panel in panels] == [True] * 4 + [False] * 3
    low, high = np.quantile(rows["helix"]["Data"].log_density, [0.001, 0.95])
    for panel, cloud in zip(panels[:4], rows["helix"].values(), strict=True):
        drawn = panel.collections[0]
        assert drawn.get_clim() == (low, high)
        assert set(np.asarray(drawn.get_array())) <= set(cloud.log_density)
    under = panels[3].collections[0].to_rgba([-99.0])
    assert (under == np.array([[*palette()[3], 1.0]])).all()
    grey = panels[4].collections[0]
    assert grey.get_array() is None


def test_panels_are_thinned_and_pixels() -> None:
    for panel in clouds(sample_matrix.draw(sample_rows(700), points=500)):
        assert 450 < shown_points(panel) <= 500
        assert panel.collections[0].get_rasterized()


def test_missing_samples_say_so() -> None:
    rows = sample_rows(200)
    rows["ring"]["realnvp"] = sample_matrix.Cloud(np.empty((0, 2)), None)
    del rows["helix"]["vq-realnvp"]
    assert texts(sample_matrix.draw(rows)).count("no data") == 2


@pytest.mark.parametrize("points", [0, -1])
def test_a_number_of_points_out_of_range_is_refused(points: int) -> None:
    with pytest.raises(ValueError, match="allowed: an integer of at least 1"):
        sample_matrix.SampleMatrix(points)


def test_a_gallery_shows_sets_in_the_plane_and_in_space(tmp_path: Path) -> None:
    rows = {
        name: {"ring": circles(300, seed)[:, :2], "helix": circles(300, seed)}
        for seed, name in enumerate(("Data", "realnvp"))
    }
    figure = toy_gallery.draw(rows)
    assert [hasattr(panel, "zaxis") for panel in figure.axes[:4]] == [False, False, True, True]
    assert shown_points(figure.axes[0]) == 300
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def test_local_density_in_the_plane_has_its_power() -> None:
    lattice = np.stack(np.meshgrid(*[np.arange(7.0)] * 2), axis=-1).reshape(-1, 2)
    change = toy_gallery.log_density(lattice / 2) - toy_gallery.log_density(lattice)
    np.testing.assert_allclose(change, 2 * np.log(2))
