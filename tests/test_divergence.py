"""Trainings that diverge are results: told from bad ones, recorded, and shown in every output."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import config, metric, score, setting, train

from vqflow.config.figures import across_training, plan_figures, stated_figures
from vqflow.library import load
from vqflow.models.density import Density, Points
from vqflow.stages.claims import make_claims
from vqflow.stages.figure import draw_figure
from vqflow.stages.tables import make_tables
from vqflow.training.outcome import RISE, DivergedError, Outcome

LARGE = {"training": {"learning_rate": 1e30}}
BAD: dict[str, Any] = {
    "training": {"toy": {"epochs": 2, "learning_rate": 1e30}},
    "atlases": {"vq32": LARGE, "vq-auto": LARGE},
    "models": {"cfm": LARGE},
}
VARIANTS = ("realnvp", "vq-realnvp", "cfm")
FIGURES: dict[str, dict[str, Any]] = {
    "sweep": {"argument": "atlas.charts", "lines": {"VQ": ["vq-realnvp"]}},
    "ablation": {
        "argument": "atlas.charts",
        "lines": {"VQ": ["vq-realnvp"]},
        "curves": {"VQ": "vq-realnvp"},
    },
}


@pytest.mark.parametrize(
    ("first", "best", "status"),
    [
        (5.0, 4.0, "ok"),
        (5.0, 5e6 - 1, "ok"),
        (5.0, 5e6 + 1, "diverged"),
        (-3.0, 0.9 * RISE * 3, "ok"),
        (0.001, 0.9 * RISE, "ok"),  # below 1, the first loss is no measure
        (0.001, 1.1 * RISE, "diverged"),
        (1e8, 1e13, "ok"),
        (math.inf, math.inf, "ok"),  # no epoch at all
    ],
)
def test_what_never_comes_near_its_first_loss_diverged(
    first: float, best: float, status: str
) -> None:
    outcome = Outcome(first_loss=first)
    outcome.judge(best)
    assert outcome.status == status
    assert (outcome.reason is None) == (status == "ok")


@pytest.mark.parametrize("rate", [0.3, 1e3, 1e30])
def test_a_learning_rate_that_ruins_a_training_is_told_from_a_bad_one(
    rate: float, tmp_path: Path
) -> None:
    outputs = train(tmp_path, "realnvp", training={"toy": {"epochs": 2, "learning_rate": rate}})
    status = json.loads(outputs["status"].read_text())
    losses = pd.read_csv(outputs["history"])["validation_loss"]
    table = pd.read_csv(score(tmp_path, "realnvp", {0: outputs}, metric("log_likelihood")))
    if rate < 1:
        assert status == {"status": "ok", "reason": None} and len(table)
        return
    assert status["status"] == "diverged" and table.empty
    met = "validation losses of" if losses.notna().all() else "a loss that is not finite, in epoch"
    assert status["reason"].startswith(f"training met {met}")


@pytest.mark.parametrize("atlas", ["vq32", "vq-auto"])
def test_an_auto_encoder_that_diverges_is_a_result(atlas: str, tmp_path: Path) -> None:
    variant = {"atlas": atlas, **({"embedding": "frames"} if atlas == "vq-auto" else {})}
    outputs = train(tmp_path, "vq-realnvp", **BAD, variants={"vq-realnvp": variant})
    facts = json.loads((tmp_path / "atlas.json").read_text())
    assert facts["diverged"] and facts["reason"].startswith("the auto-encoder's training met a")
    assert len(pd.read_csv(tmp_path / "atlas.csv")) >= 1
    reason = f"its atlas diverged: {facts['reason']}"
    assert json.loads(outputs["status"].read_text()) == {"status": "diverged", "reason": reason}
    facts = json.loads(outputs["provenance"].read_text())
    assert (facts["diverged"], facts["reason"], facts["epochs"]) == (True, reason, 0)
    for name in ("samples", "snapshots"):
        with np.load(outputs[name]) as arrays:
            assert arrays.files == []
    with pytest.raises(ValueError, match="model.pt holds no model: its atlas diverged"):
        load(outputs["model"])


class Hopeless(Density):
    def fit(self, train: Points, validation: Points, seed: int) -> None:
        raise DivergedError("no fit to be had")

    def log_prob(self, y: Points) -> Points:
        raise NotImplementedError

    sample = log_prob  # type: ignore[assignment]

    def state(self) -> Mapping[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None: ...


def test_a_model_may_say_that_it_diverged(tmp_path: Path) -> None:
    models = {"mine": {"class": "test_divergence.Hopeless"}}
    outputs = train(tmp_path, "mine", models=models, variants={"mine": {"model": "mine"}})
    status = json.loads(outputs["status"].read_text())
    assert status == {"status": "diverged", "reason": "no fit to be had"}


METRICS = (metric("log_likelihood"), metric("kde_log_likelihood", samples=60), metric("charts"))


@pytest.fixture(scope="module")
def ruined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which every training diverged, up to its tables."""
    folder = tmp_path_factory.mktemp("ruined")
    cells = []
    for name in VARIANTS:
        outputs = train(folder / name, name, **BAD)
        score(folder / name, name, {0: outputs}, *METRICS, **BAD)
        labels = setting(name, **BAD).names()
        cells.append({"dataset": "helix", "variant": name, **labels, "seed": 0})

    def of_all(file: str, variants: Sequence[str] = VARIANTS) -> list[str]:
        return [str(folder / name / file) for name in variants]

    names = ("metrics.csv", "runtime.csv", "summary.csv", "summary.md", "summary.tex", "run.json")
    keys = ("metrics", "runtime", "summary", "markdown", "latex", "provenance", "config")
    make_tables(
        chosen().selection(),
        ["helix"],
        list(VARIANTS),
        {"vq-realnvp": "realnvp"},
        cells,
        of_all("metrics.csv"),
        of_all("metrics.npz"),
        of_all("provenance.json"),
        of_all("status.json"),
        of_all("atlas.json", VARIANTS[:2]),
        dict(zip(keys, (folder / name for name in (*names, "config.yaml")), strict=True)),
    )
    return folder


def chosen() -> Any:
    benchmark = {
        "datasets": ["helix"],
        "variants": list(VARIANTS),
        "metrics": [entry.name for entry in METRICS],
        "figures": [*DRAWN, *FIGURES],
    }
    figures: dict[str, Any] = {
        name: {"class": f"vqflow.figures.{name.title()}", **entry}
        for name, entry in FIGURES.items()
    }
    figures["density_slice"] = {"points": 100}
    figures["kde_bandwidth"] = {"samples": 60, "count": 3}
    return config("realnvp", **BAD, benchmarks={"b": benchmark}, figures=figures)


DRAWN = (
    "toy_gallery",
    "atlas",
    "likelihood",
    "training_curves",
    "density_slice",
    "gap_closed",
    "sample_matrix",
    "kde_bandwidth",
)


def test_the_tables_of_a_ruined_run_say_so_cell_by_cell(ruined: Path) -> None:
    text = (ruined / "summary.md").read_text()
    for name in VARIANTS:
        assert f"| {name} | diverged (1 of 1) |" in text
    assert (ruined / "summary.tex").read_text().count("diverged (1 of 1)") == len(VARIANTS)
    runs = pd.read_csv(ruined / "runtime.csv")
    assert (runs["status"] == "diverged").all() and len(runs) == len(VARIANTS)


def test_the_claims_of_a_ruined_run_are_decided(ruined: Path) -> None:
    make_claims(
        ruined / "metrics.csv", ruined / "config.yaml", ruined / "c.csv", ruined / "claims.md"
    )
    table = pd.read_csv(ruined / "c.csv")
    assert "yes" not in set(table["verdict"]) and (ruined / "claims.md").stat().st_size > 0


@pytest.mark.parametrize("figure", [*DRAWN, *FIGURES])
def test_the_figures_of_a_ruined_run_are_drawn(ruined: Path, figure: str) -> None:
    run = chosen()
    drawings = plan_figures(run, stated_figures(run), across_training(run))
    folder = f"{ruined}/{{variant}}"
    atlas = f"{ruined}/vq-realnvp"
    patterns = {
        "data": f"{ruined}/realnvp/data.npz",
        "samples": f"{folder}/samples.npz",
        "charts": f"{atlas}/charts.npz",
        "metrics": f"{folder}/metrics.csv",
        "history": f"{folder}/history.csv",
        "flows": f"{folder}/provenance.json",
        "statuses": f"{folder}/status.json",
        "atlases": f"{folder}/atlas.json",
        "model": f"{folder}/model.pt",
    }
    own = [each for each in drawings.values() if each.entry.name == figure]
    assert own
    for drawing in own:
        draw_figure(drawing, drawing.files(patterns), ruined / "f.png", ruined / "f.pdf")
