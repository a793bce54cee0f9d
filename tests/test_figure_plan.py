"""Which figures a run draws, from which files, and what makes one be drawn again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CATALOGUE, ROOT, RUNS
from small import merge
from test_config import demo

from vqflow.config.components import ConfigError
from vqflow.config.figures import Drawing, across_training, plan_figures, stated_figures
from vqflow.config.parsing import parse_config
from vqflow.config.values import canonical, dump, load

REFERENCE = ROOT / "results" / "reference"

PATTERNS = {
    "data": "data/{dataset}",
    "samples": "samples/{dataset}/{variant}/{seed}",
    "charts": "charts/{dataset}/{atlas}/{seed}",
    "metrics": "metrics/{dataset}/{variant}",
    "history": "history/{dataset}/{variant}/{seed}",
    "flows": "flows/{dataset}/{variant}/{seed}",
    "statuses": "statuses/{dataset}/{variant}/{seed}",
    "atlases": "atlases/{dataset}/{atlas}/{seed}",
    "model": "model/{dataset}/{variant}/{seed}",
}

USER = """
from vqflow.figures import RunFigure

class Mine(RunFigure):
    caption = "Mine."
    reads = ("runs", "model")
    per = ("dataset", "metric")
"""


def plan(raw: dict[str, Any]) -> dict[str, Drawing]:
    config = parse_config(raw)
    return plan_figures(config, stated_figures(config), across_training(config))


def figures_of(drawings: dict[str, Drawing], figure: str) -> dict[str, Drawing]:
    return {name: drawing for name, drawing in drawings.items() if drawing.entry.name == figure}


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_shipped_runs_draw_what_their_reference_holds(path: Path) -> None:
    drawings = plan(merge(CATALOGUE, yaml.safe_load(path.read_text())))
    kept = {figure.stem for figure in (REFERENCE / path.stem / "figures").glob("*.png")}
    assert kept <= set(drawings)


def test_each_figure_reads_its_own_cells_and_the_first_seed() -> None:
    drawings = plan(demo())
    gallery = drawings["toy_gallery-maf"].files(PATTERNS)
    assert gallery == {
        "data": ["data/helix", "data/helix", "data/knotted", "data/knotted"],
        "samples": [
            "samples/helix/maf/0",
            "samples/helix/framed-vq-maf/0",
            "samples/knotted/maf/0",
            "samples/knotted/framed-vq-maf/0",
        ],
    }
    atlas = drawings["atlas-framed-vq-maf"].files(PATTERNS)
    assert atlas["charts"] == ["charts/helix/vq64/0", "charts/knotted/vq64/0"]
    assert atlas["metrics"] == ["metrics/helix/framed-vq-maf", "metrics/knotted/framed-vq-maf"]
    grid = drawings["sample_grid-digits-realnvp"].files(PATTERNS)
    assert grid["samples"] == ["samples/digits/realnvp/0", "samples/digits/vq-realnvp/0"]
    histories = drawings["training_curves"].files(PATTERNS)["history"]
    assert len(histories) == 3 * 4 * 3
    assert histories[:4] == [
        *(f"history/helix/realnvp/{seed}" for seed in (0, 1, 2)),
        "history/helix/framed-vq-realnvp/0",
    ]
    curves = drawings["fid_curves-fid_classifier"]
    assert curves.metric == "fid_classifier"
    assert {cell.dataset for cell in curves.cells} == {"digits"}


def test_cells_have_the_order_of_the_configuration() -> None:
    names = ["vq-maf", "realnvp", "maf", "vq-realnvp"]
    toys = {"datasets": ["knotted", "helix"], "variants": names}
    drawing = plan(demo(benchmarks={"toys": toys}))["likelihood"]
    toys_shown = [cell for cell in drawing.cells if cell.dataset != "digits"]
    assert [(cell.dataset, cell.variant) for cell in toys_shown] == [
        (dataset, variant) for dataset in ("knotted", "helix") for variant in names
    ]


def test_a_figure_of_one_benchmark_shows_nothing_of_another() -> None:
    toys = {"figures": ["training_curves"], "variants": ["maf", "vq-maf"]}
    drawings = plan(demo(benchmarks={"toys": toys}))
    cells = {(cell.dataset, cell.variant) for cell in drawings["likelihood"].cells}
    assert {dataset for dataset, _ in cells} == {"digits"}
    cells = {(cell.dataset, cell.variant) for cell in drawings["training_curves"].cells}
    assert ("helix", "realnvp") not in cells
    assert ("digits", "realnvp") in cells


def test_what_a_figure_is_drawn_from_changes_with_its_own_selection_alone() -> None:
    before = plan(demo())
    changes: dict[str, tuple[dict[str, Any], set[str]]] = {
        "an argument": (
            {"figures": {"likelihood": {"metric": "log_likelihood_covering"}}},
            {"likelihood"},
        ),
        "a variant": (
            {"benchmarks": {"digits": {"variants": ["realnvp", "vq-realnvp"]}}},
            {"likelihood", "training_curves", "fid_curves-fid_classifier"},
        ),
        "a seed": ({"seeds": [0, 1]}, {name for name, d in before.items() if len(d.seeds) > 1}),
        "another figure": ({"benchmarks": {"toys": {"figures": ["likelihood"]}}}, set()),
        "a metric": (
            {"benchmarks": {"toys": {"metrics": ["log_likelihood"]}}},
            set(),
        ),
    }
    for name, (change, expected) in changes.items():
        after = plan(demo(**change))
        changed = {
            figure
            for figure in before.keys() & after.keys()
            if canonical(dump(before[figure])) != canonical(dump(after[figure]))
        }
        if name == "another figure":
            expected = {"training_curves"}  # which is still asked of the digits
        assert changed == expected, name


def test_a_drawing_survives_being_written_as_plain_values() -> None:
    for drawing in plan(demo()).values():
        assert load(Drawing, json.loads(canonical(dump(drawing)))) == drawing


def test_a_class_of_the_users_is_planned_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "planned.py").write_text(USER + "\nraise RuntimeError('imported')\n")
    digits = {"figures": ["mine"]}
    raw = demo(figures={"mine": {"class": "planned.Mine", "x": 1}}, benchmarks={"digits": digits})
    (drawing,) = figures_of(plan(raw), "mine").values()
    assert drawing.name == "mine-digits-fid_classifier"
    assert drawing.entry.arguments() == {"class": "planned.Mine", "x": 1}
    assert drawing.files(PATTERNS)["model"][0] == "model/digits/realnvp/0"
    runs = drawing.files(PATTERNS)
    assert len(runs["flows"]) == len(runs["statuses"]) == len(runs["atlases"]) == 4 * 3
    config = parse_config(raw)
    assert stated_figures(config)["mine"].caption == "Mine."


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        ("", "wrong.Mine", "figures.mine.class: 'wrong.Mine' is not there, or no vqflow.fig"),
        ("class Mine: reads = ()", "wrong.Mine", "figures.mine.class: 'wrong.Mine' is not there"),
        ("class Mine(: pass", "wrong.Mine", "figures.mine.class: cannot read 'wrong.Mine': inv"),
        (
            USER.replace('"runs"', '"runes"'),
            "wrong.Mine",
            r"figures.mine: wrong.Mine.reads is \('runes', 'model'\); al",
        ),
        (
            USER.replace('("runs", "model")', '("runs")'),
            "wrong.Mine",
            "figures.mine: wrong.Mine.reads is 'runs'; allow",
        ),
        (
            USER.replace('"metric"', '"seed"'),
            "wrong.Mine",
            "figures.mine: wrong.Mine.per is .*'seed'.*; allowed: a tu",
        ),
        (USER.replace('"metric"', '"dataset"'), "wrong.Mine", "figures.mine: wrong.Mine.per is"),
    ],
)
def test_a_wrong_statement_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, path: str, message: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wrong.py").write_text(source)
    raw = demo(figures={"mine": {"class": path}}, benchmarks={"digits": {"figures": ["mine"]}})
    with pytest.raises(ConfigError, match=f"^{message}") as caught:
        plan(raw)
    assert "\n" not in str(caught.value)


def test_two_figures_of_one_name_are_refused() -> None:
    raw = demo(
        figures={"atlas-vq": {"class": "vqflow.figures.ToyGallery"}},
        variants={"vq-maf": {"flow": "maf", "atlas": "vq32", "training": "toy"}},
    )
    raw["variants"] |= {"maf": raw["variants"].pop("maf")}
    raw["benchmarks"] = {
        "b": {
            "datasets": ["helix"],
            "variants": ["maf", "vq-maf"],
            "metrics": ["charts"],
            "figures": ["atlas", "atlas-vq"],
        }
    }
    with pytest.raises(ConfigError, match="figures.atlas-vq: its file 'atlas-vq-maf' is one of"):
        plan(raw)


def test_planning_imports_nothing_heavy() -> None:
    program = (
        "import sys, vqflow.config.figures\n"
        "heavy = {'torch', 'zuko', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'numpy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
