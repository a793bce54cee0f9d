"""Models in a configuration: what fits together, and what is refused before any job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import CATALOGUE
from small import config, metric, score, setting, train

from vqflow.config.components import ConfigError
from vqflow.config.entries import Component
from vqflow.config.figures import plan_figures, stated_figures
from vqflow.config.values import dump
from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.models import Density
from vqflow.stages.preflight import check

# The configuration


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"variants": {"maf": {"model": "mixture-of-gaussians"}}},
            "variants.maf: has model beside flow, atlas, training; a variant is either a model of",
        ),
        (
            {"variants": {"mixture-of-gaussians": {"embedding": "frames"}}},
            "variants.mixture-of-gaussians: has model beside embedding",
        ),
        (
            {"variants": {"mixture-of-gaussians": {"model": "mixture-of-gausians"}}},
            "variants.mixture-of-gaussians.model: no model 'mixture-of-gausians'; did you mean",
        ),
        (
            {"variants": {"mine": {"atlas": "single", "training": "toy"}}},
            "variants.mine.flow: is missing",
        ),
        (
            {"variants": {"mixture-of-gaussians": {"modle": "x"}}},
            "variants.mixture-of-gaussians.modle: no such key here",
        ),
        (
            {"atlases": {"none": CATALOGUE["atlases"]["single"]}},
            "atlases.none: stands in the tables for models without an atlas",
        ),
        ({"models": {"mine": {"components": [1]}}}, "models.mine.class: is missing"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config("mixture-of-gaussians", **changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def mixed(**benchmark: Any) -> Any:
    """A run of flows and a model, compared with one another."""
    base = CATALOGUE["variants"]
    variants = {
        "mixture-of-gaussians": {"model": "mixture-of-gaussians", "baseline": "realnvp"},
        "vq-maf": {**base["vq-maf"], "baseline": "plain"},
        "plain": {"model": "mixture-of-gaussians"},
    }
    chosen = {"variants": ["realnvp", "mixture-of-gaussians", "plain", "vq-maf"], **benchmark}
    return config("realnvp", variants=variants, benchmarks={"b": chosen})


def test_models_and_flows_are_baselines_of_one_another() -> None:
    assert mixed().families() == {
        "realnvp": ["realnvp", "mixture-of-gaussians"],
        "plain": ["plain", "vq-maf"],
    }


def test_what_is_selected_is_a_configuration_of_its_own() -> None:
    selection = mixed().selection()
    assert set(selection["models"]) == {"mixture-of-gaussians"}
    assert set(selection["flows"]) == {"realnvp", "maf"}
    assert "threads" not in selection["models"]["mixture-of-gaussians"]


def test_figures_of_charts_and_epochs_leave_models_out() -> None:
    figures = ["atlas", "training_curves", "toy_gallery", "likelihood", "density_slice"]
    run = mixed(figures=figures)
    drawings = plan_figures(run, stated_figures(run), [])
    assert "atlas-vq-maf" in drawings and "atlas-mixture-of-gaussians" not in drawings
    curves = {cell.variant for cell in drawings["training_curves"].cells}
    assert curves == {"realnvp", "vq-maf"}
    assert len(drawings["likelihood"].cells) == len(drawings["likelihood"].keys("runs")) == 4
    patterns = {name: f"{name}/{{variant}}" for name in ("flows", "statuses", "atlases", "metrics")}
    files = drawings["likelihood"].files(patterns)
    assert len(files["flows"]) == 4 and len(files["atlases"]) == 2
    cells = [cell.variant for cell in drawings["density_slice-helix-plain"].cells]
    assert cells == ["plain", "vq-maf"]
    alone = config("mixture-of-gaussians", benchmarks={"b": {"figures": ["training_curves"]}})
    assert plan_figures(alone, stated_figures(alone), []) == {}


# Before any job


class Partial(Density):
    """Cannot draw."""

    def fit(self, train: Any, validation: Any, seed: int) -> None: ...

    def log_prob(self, y: Any) -> Any: ...

    def state(self) -> Any: ...

    def load_state(self, state: Any) -> None: ...


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class": "test_density_entries.Partial"}, "models.mine: .*abstract method '?sample"),
        ({"class": "vqflow.flows.Gaussian"}, "models.mine"),
        (
            {"class": "torch.nn.Linear"},
            "models.mine.class: 'torch.nn.Linear' is not a vqflow",
        ),
        (
            {"class": "test_density_models.Kernels", "bandwith": 0.1},
            "models.mine.bandwith: .* did you mean 'bandwidth'",
        ),
        (
            {"class": "vqflow.models.GaussianMixture", "components": 8},
            "models.mine.components: is 8; allowed: a list",
        ),
        (
            {"class": "vqflow.preprocessing.Standardise"},
            "models.mine.class: .* is not a vqflow.models.density.Density",
        ),
    ],
)
def test_preflight_builds_the_class(entry: dict[str, Any], message: str) -> None:
    changes = {"models": {"mine": entry}, "variants": {"mine": {"model": "mine"}}}
    chosen = dump(setting("mine", **changes))
    with pytest.raises(ConfigError, match=f"^{message}") as caught:
        check({"settings": [chosen], "metrics": {}, "figures": {}})
    assert "\n" not in str(caught.value)


def test_preflight_refuses_a_metric_that_no_variant_can_have() -> None:
    mixture, flow = (dump(setting(name)) for name in ("mixture-of-gaussians", "realnvp"))
    selection = {"metrics": {"helix": [dump(metric("charts"))]}, "figures": {}}
    with pytest.raises(ConfigError, match="^metrics.charts: needs charts, which no variant on"):
        check({"settings": [mixture], **selection})
    assert "metrics.charts on helix" in check({"settings": [mixture, flow], **selection})


class Careless(Metric):
    """Reads charts, and does not say so."""

    quantities = (Quantity("careless"),)

    def scores(self, run: TrainedRun, reference: Reference) -> list[Score]:
        return [Score("careless", run.flow.atlas.charts, 1, "test")]


def test_a_metric_that_reads_charts_is_told_to_say_so(tmp_path: Path) -> None:
    paths = train(tmp_path, "mixture-of-gaussians")
    entry = {"name": "careless", "class": "test_density_entries.Careless"}
    message = "'mixture-of-gaussians' has no charts; a metric that reads them states needs_charts"
    with pytest.raises(TypeError, match=message):
        score(tmp_path, "mixture-of-gaussians", {0: paths}, Component.model_validate(entry))
