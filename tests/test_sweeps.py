"""Figures of a sweep: what stands on the axis, what is drawn of it, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import CATALOGUE, ROOT
from drawings import texts
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from small import merge, setting

from vqflow.config.components import ConfigError
from vqflow.config.figures import across_training, plan_figures, stated_figures
from vqflow.config.parsing import parse_config
from vqflow.config.setting import Setting
from vqflow.config.values import dump, load
from vqflow.figures import Ablation, Inputs, Sweep
from vqflow.figures.swept import lines_of, value_of
from vqflow.stages.preflight import check

pytestmark = pytest.mark.filterwarnings("error")

KMEANS = {"class": "vqflow.atlases.KMeansAtlas", "epsilon": 0.1}
RUN: dict[str, Any] = {
    "run": "test",
    "seeds": [0, 1, 2],
    "atlases": {
        "a16": {**KMEANS, "charts": 16},
        "a4": {**KMEANS, "charts": 4, "prior": "consistent"},
        "b4": {**KMEANS, "charts": 4},
    },
    "variants": {
        name: {"flow": "realnvp", "atlas": name, "training": "toy", "baseline": "realnvp"}
        for name in ("a16", "a4", "b4")
    },
    "benchmarks": {
        "b": {
            "datasets": ["helix"],
            "variants": ["realnvp", "a16", "a4", "b4", "mixture-of-gaussians"],
            "metrics": ["log_likelihood"],
        }
    },
}
AUTO = {"kmeans-auto-realnvp": {"flow": "realnvp", "atlas": "kmeans-auto", "training": "toy"}}
LINES = {"first": ["a16", "a4"], "second": ["b4"]}
ROWS = ("log_likelihood_all", "leak")


def settings() -> dict[str, Setting]:
    found = parse_config(merge(CATALOGUE, RUN)).settings()
    return {variant: setting for (_, variant), setting in found.items()}


def value(variant: str, seed: int, split: str = "test") -> float:
    level = {"realnvp": 0.0, "a4": 1.0, "a16": 2.0, "b4": 4.0}[variant]
    return level + 0.1 * seed**2 + 10 * (split == "validation")


def metrics() -> pd.DataFrame:
    fields = {"unit": "nats", "status": "ok", "better": "higher", "epoch": None}
    return pd.DataFrame(
        [
            {
                "dataset": "helix",
                "variant": variant,
                "seed": seed,
                "metric": metric,
                "label": metric.replace("_", " "),
                "value": value(variant, seed, split),
                "split": split,
                **fields,
            }
            for metric, splits in (
                ("log_likelihood_all", ("test", "validation")),
                ("leak", ("train",)),
            )
            for split in splits
            for variant in ("realnvp", "a4", "a16", "b4")
            for seed in range(3)
        ]
    )


def history() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"variant": variant, "seed": seed, "epoch": epoch, "validation_loss": 9 / epoch + seed}
            for variant in ("realnvp", "a4", "b4")
            for seed in range(3)
            for epoch in range(1, 11)
        ]
    )


def drawn(figure: Sweep, table: pd.DataFrame | None = None, **entry: Any) -> Figure:
    """Draws a figure as a run would, with everything read by the names that it states."""
    config = parse_config(
        merge(
            merge(CATALOGUE, RUN),
            {
                "figures": {"mine": {"class": f"vqflow.figures.{type(figure).__name__}"}},
                "benchmarks": {"b": {"figures": ["mine"]}},
            },
        )
    )
    drawing = plan_figures(config, stated_figures(config), across_training(config))["mine-helix"]
    assert load(type(drawing), dump(drawing)) == drawing
    contents = {
        "settings": drawing.settings,
        "metrics": metrics() if table is None else table,
        "history": history(),
    }
    figure.check(drawing.settings, ROWS)
    shown = figure.draw(Inputs(drawing, contents))
    shown.canvas.draw()
    return shown


def curve(panel: Axes, name: str) -> dict[float, float]:
    (line,) = [each for each in panel.lines if each.get_label() == name]
    return dict(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_places_are_the_values_of_the_entries_in_order() -> None:
    (first, second), values = lines_of("atlas.charts", LINES, settings(), "helix")
    assert values == ["4", "16"]
    assert (first.places, second.places) == ({"a16": 1, "a4": 0}, {"b4": 0})


def test_text_stands_behind_numbers_as_it_comes() -> None:
    (first, second), values = lines_of("atlas.prior", LINES, settings(), "helix")
    assert values == ["coverage", "consistent"]
    assert (first.places, second.places) == ({"a16": 0, "a4": 1}, {"b4": 0})
    auto = {**settings(), "a16": setting("kmeans-auto-realnvp", variants=AUTO)}
    (first, _), values = lines_of("atlas.charts", LINES, auto, "helix")
    assert values == ["4", "auto"]


@pytest.mark.parametrize(
    ("variant", "argument", "expected"),
    [
        ("a16", "atlas.charts", 16),
        ("a16", "atlas.min_charts", 1),  # the default of the class, which the entry leaves out
        ("realnvp", "training.epochs", 100),
        ("realnvp", "flow.transforms", 5),
        ("realnvp", "dataset.n_train", 5000),
        ("mixture-of-gaussians", "model.max_iter", 200),
    ],
)
def test_an_argument_is_what_the_entry_states_or_its_class(
    variant: str, argument: str, expected: float
) -> None:
    assert value_of(settings()[variant], argument, "here") == expected


def test_a_panel_shows_means_seeds_bands_and_levels() -> None:
    arguments = {"metrics": list(ROWS), "beside": {"plain": "realnvp"}, "split": "validation"}
    figure = drawn(Sweep("atlas.charts", LINES, axis="charts K", **arguments))
    likelihood, leak = figure.axes
    for panel, split in ((likelihood, "validation"), (leak, "train")):
        mean = {name: np.mean([value(name, s, split) for s in range(3)]) for name in ("a4", "a16")}
        assert curve(panel, "first") == pytest.approx({0: mean["a4"], 1: mean["a16"]})
        level = np.mean([value("realnvp", seed, split) for seed in range(3)])
        assert any(np.allclose(each.get_ydata(), level) for each in panel.lines)
        dots = [each for each in panel.lines if each.get_linestyle() == "None"]
        assert sorted(len(each.get_xdata()) for each in dots) == [3, 6]
        (path,) = panel.collections[0].get_paths()
        heights = path.vertices[path.vertices[:, 0] == 1, 1]
        spread = np.std([value("a16", seed, split) for seed in range(3)], ddof=1)
        assert heights.min() == pytest.approx(mean["a16"] - spread)
        assert heights.max() == pytest.approx(mean["a16"] + spread)
    assert [tick.get_text() for tick in likelihood.get_xticklabels()] == ["4", "16"]
    expected = {
        "validation log likelihood all",
        "leak",
        "nats (higher is better)",
        "charts K",
        "first",
        "second",
        "plain",
        "one seed",
    }
    assert expected <= set(texts(figure))


def test_what_has_no_value_is_counted_and_stays_out_of_the_mean() -> None:
    table = metrics()
    lost = (table["variant"] == "b4") & (table["seed"] == 2)
    table.loc[lost, ["value", "status"]] = [1e9, "not_finite"]
    figure = drawn(Sweep("atlas.charts", LINES), table)
    (panel,) = figure.axes
    assert curve(panel, "second")[0] == pytest.approx((value("b4", 0) + value("b4", 1)) / 2)
    assert "1 of 9 runs without a value" in texts(figure)
    empty = drawn(Sweep("atlas.charts", LINES), table.assign(status="not_finite"))
    assert "no data" in texts(empty)


def test_a_single_seed_has_no_band() -> None:
    table = metrics()
    (panel,) = drawn(Sweep("atlas.charts", LINES), table[table["seed"] == 0]).axes
    assert all(len(each.get_paths()) == 0 for each in panel.collections)
    assert curve(panel, "second") == {0: value("b4", 0)}


def test_the_ablation_ends_with_the_learning_curves() -> None:
    curves = {"first": "a4", "second": "b4", "plain": "realnvp"}
    figure = drawn(
        Ablation(
            curves,
            argument="atlas.charts",
            lines=LINES,
            metrics=list(ROWS),
            beside={"plain": "realnvp"},
        )
    )
    *_, last = figure.axes
    assert len(figure.axes) == 3 and last.get_xlabel() == "epoch"
    expected = -history().groupby("epoch")["validation_loss"].mean()
    for line in last.lines:
        np.testing.assert_allclose(line.get_ydata(), expected.loc[line.get_xdata()])
    tints = {line.get_color() for line in last.lines[:2]}
    assert tints == {each.get_color() for each in figure.axes[0].lines if each.get_marker() == "o"}
    assert last.lines[2].get_linestyle() == "--"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lines": {}}, "lines: got {}; allowed: a dictionary"),
        ({"lines": {"x": []}}, r"lines.x: got \[\]; allowed: a list"),
        ({"lines": {"x": "a4"}}, r"lines.x: (is|got) .a4.; allowed: a list"),
        ({"lines": {"x": ["a4", "a4"]}}, "lines.x: 'a4' is listed twice"),
        ({"metrics": []}, r"metrics: got \[\]"),
        ({"split": "valdation"}, "split: got 'valdation'; did you mean 'validation'"),
        ({"lines": {"x": ["a6"]}}, "lines.x: no variant 'a6' is shown on helix; did you mean 'a1"),
        ({"beside": {"y": "realnvq"}}, "beside.y: no variant 'realnvq' .*did you mean 'realnvp'"),
        ({"metrics": ["leek"]}, "metrics: no row 'leek'; did you mean 'leak'"),
        ({"argument": "atlas.chart"}, "lines.first: variant 'a16' has no .*did you mean 'charts'"),
        ({"argument": "chart"}, "argument: variant 'a16' has no chart; allowed: dataset, flow"),
        ({"argument": "atlas.training"}, "atlas.training of variant 'a16' is None; allowed: a nu"),
        ({"lines": {"x": ["a4", "b4"]}}, "lines.x: two variants have atlas.charts = 4"),
    ],
)
@pytest.mark.parametrize("kind", ["Sweep", "Ablation"])
def test_a_mistake_is_one_line_before_anything_runs(
    change: dict[str, Any], message: str, kind: str
) -> None:
    given = {"argument": "atlas.charts", "lines": LINES, **change}
    if kind == "Ablation":
        given["curves"] = {name: "a4" for name in given["lines"]} or {"x": "a4"}
    refused(kind, given, message)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "curves: got {}; allowed: a dictionary"),
        ({"fist": "a4"}, "curves: no line 'fist'; did you mean 'first'"),
        ({"first": "a5"}, "curves.first: no flow 'a5' is shown on helix; allowed: realnvp, a"),
        ({"first": "mixture-of-gaussians"}, "curves.first: no flow 'mixture-of-gaussians'"),
    ],
)
def test_curves_are_of_flows_and_named_like_lines(curves: dict[str, str], message: str) -> None:
    refused("Ablation", {"argument": "atlas.charts", "lines": LINES, "curves": curves}, message)


def refused(kind: str, given: dict[str, Any], message: str) -> None:
    entry = {"name": "mine", "class": f"vqflow.figures.{kind}", **given}
    shown = settings()
    asked = {
        "settings": [dump(setting) for setting in shown.values()],
        "metrics": {"helix": [dump_metric(name) for name in ("log_likelihood", "charts")]},
        "figures": {
            "mine": {
                "entry": entry,
                "stated": {},
                "cells": [["helix", variant] for variant in shown],
            }
        },
    }
    with pytest.raises(ConfigError, match=f"^figures.mine[:.].*{message}") as caught:
        check(asked)
    assert "\n" not in str(caught.value)


def dump_metric(name: str) -> dict[str, Any]:
    return {"name": name, **CATALOGUE["metrics"][name]}


def test_the_shipped_ablation_varies_what_it_says_alone() -> None:
    """Variants along a line differ in the one argument; m is 6, or its share of fewer than 32."""
    raw = merge(CATALOGUE, yaml.safe_load((ROOT / "config" / "ablation.yaml").read_text()))
    config = parse_config(raw)
    own = {variant: setting for (_, variant), setting in config.settings().items()}
    for name, entry in config.figures.items():
        given = entry.arguments()
        if "lines" not in given:
            continue
        part, key = given["argument"].split(".")
        for variants in given["lines"].values():
            kept = set()
            for variant in variants:
                fields = dump(own[variant])
                fields["variant"], fields[part]["name"] = "", ""
                value = fields[part].pop(key)
                if key == "charts":
                    share = max(1, round(min(value, 32) * 6 / 32))
                    assert fields["atlas"].pop("min_charts") == share
                kept.add(repr(fields))
            assert len(kept) == 1, name
