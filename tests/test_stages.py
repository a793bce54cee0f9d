"""The jobs, from files to files, and models saved and loaded."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import CATALOGUE, PIXELS, ROOT, disturb, images, ring, skip_unless_images
from small import FLOW_FILES, merge, metric, score, setting, train

from vqflow.config.components import ConfigError
from vqflow.config.entries import Component
from vqflow.datasets.base import Data
from vqflow.identity import Code
from vqflow.metrics.base import Metric, Quantity, Score
from vqflow.models.build import build_atlas, build_model
from vqflow.models.confinement import estimate_confinement
from vqflow.models.store import load_model, save_confinement, save_model
from vqflow.objectives import Covering, FlowTask
from vqflow.stages.common import checkpoint_in
from vqflow.stages.flow import train_flow
from vqflow.stages.machine import Machine
from vqflow.stages.scratch import remove_finished
from vqflow.tables.rows import METRIC_COLUMNS

FLOWS = sorted(name for name, entry in CATALOGUE["variants"].items() if "flow" in entry)


@pytest.mark.parametrize("variant", FLOWS)
def test_every_flow_of_the_catalogue_trains_and_is_scored(tmp_path: Path, variant: str) -> None:
    outputs = train(tmp_path, variant)
    with np.load(outputs["snapshots"]) as snapshots:
        assert set(snapshots.files) == {"epoch_2", "epoch_4"}
    with np.load(outputs["samples"]) as samples:
        names = {"final", "final_charts", "final_confined"}
        embedding = CATALOGUE["variants"][variant].get("embedding", "identity")
        if "latent_features" in CATALOGUE["embeddings"][embedding]:
            names |= {"final_mean"}
        assert set(samples.files) == names
        assert samples["final"].shape == (60, 3)
        assert samples["final"].dtype == np.float32
    assert len(pd.read_csv(outputs["history"])) == 4
    facts = json.loads(outputs["provenance"].read_text())
    assert facts["config"]["flow"]["name"] == CATALOGUE["variants"][variant]["flow"]
    assert len(facts["data_sha256"]) == 64
    assert facts["packages"]["torch"] == torch.__version__.split("+")[0]
    assert (tmp_path / "scratch" / "finished").exists()
    remove_finished(tmp_path)
    assert not (tmp_path / "scratch").exists() and not list(tmp_path.glob("*.lease"))
    metrics = [metric(name) for name in ("log_likelihood", "charts", "reconstruction_error")]
    metrics.append(metric("kde_log_likelihood", samples=60))
    table = pd.read_csv(score(tmp_path, variant, {0: outputs}, *metrics))
    assert tuple(table.columns) == METRIC_COLUMNS
    assert table["value"].notna().all()
    reconstruction = table.loc[table["metric"] == "reconstruction_error", "value"].item()
    assert (reconstruction > 1e-9) == ("final_mean" in names)
    assert ("kde_log_likelihood_mean" in set(table["metric"])) == ("final_mean" in names)
    expected = {"log_likelihood_all", "log_likelihood_covering", "log_likelihood_confined"}
    expected |= {"kde_log_likelihood", "leak", "charts_per_point", "perplexity"}
    assert expected <= set(table["metric"])


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (train(tmp_path / name, "vq-realnvp") for name in ("a", "b"))
    for name in ("model", "history", "samples"):
        assert first[name].read_bytes() == second[name].read_bytes()


def test_gathered_trials_equal_separate_ones_and_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of two trials that fails in the second does not train the first again."""
    separate = train(tmp_path / "one", "kmeans-realnvp")
    data, atlas = tmp_path / "one" / "data.npz", tmp_path / "one" / "atlas.pt"
    trials = {
        seed: {
            "atlas": atlas,
            "scratch": tmp_path / f"scratch{seed}",
            **{key: tmp_path / str(seed) / name for key, name in FLOW_FILES.items()},
        }
        for seed in (0, 1)
    }
    batches, epochs = FlowTask.batches, []

    def counted(self: FlowTask, *arguments: Any) -> Any:
        epochs.append(1)
        if len(epochs) == 6:
            raise RuntimeError("out of luck")
        return batches(self, *arguments)

    monkeypatch.setattr(FlowTask, "batches", counted)
    with pytest.raises(RuntimeError, match="out of luck"):
        train_flow(setting("kmeans-realnvp").of_model(), data, trials, Machine())
    train_flow(setting("kmeans-realnvp").of_model(), data, trials, Machine())
    assert 4 + 2 + 3 <= len(epochs) <= 4 + 2 + 4
    for name in ("model", "history", "snapshots"):
        assert trials[0][name].read_bytes() == separate[name].read_bytes()
        assert trials[1][name].read_bytes() != separate[name].read_bytes()
    remove_finished(tmp_path)
    assert not any(paths["scratch"].exists() for paths in trials.values())


def test_base_and_vq_share_the_order_of_the_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: dict[str, list[int]] = {}
    for variant in ("realnvp", "kmeans-realnvp"):
        seen = orders.setdefault(variant, [])
        batches = FlowTask.batches

        def recorded(
            self: Any, order: Any, *rest: Any, seen: Any = seen, old: Any = batches
        ) -> Any:
            seen += order.tolist()
            return old(self, order, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(FlowTask, "batches", recorded)
            train(tmp_path / variant, variant)
    assert orders["realnvp"] == orders["kmeans-realnvp"]
    assert len(orders["realnvp"]) == 4 * 300


@pytest.mark.parametrize("atlas", ["single", "vq32-image"])
def test_images_go_through_every_stage(tmp_path: Path, atlas: str) -> None:
    run = {"variants": {"realnvp": {"atlas": atlas}}}
    small = {"atlases": {atlas: {"training": {"epochs": 2}} if atlas != "single" else {}}}
    changes = merge(merge(run, small), {"datasets": {"helix": {"preprocess": PIXELS}}})
    outputs = train(tmp_path, "realnvp", images(), **changes)
    metrics = [metric("log_likelihood"), metric("charts")]
    features = {**CATALOGUE["metrics"]["fid_classifier"]["features"], "steps": 20}
    metrics.append(metric("fid_classifier", samples=60, features=features))
    table = pd.read_csv(score(tmp_path, "realnvp", {0: outputs}, *metrics, **changes))
    distances = table[table["metric"] == "fid_classifier"]
    assert sorted(distances["epoch"].dropna()) == [2, 4]
    assert distances["epoch"].isna().sum() == 1
    assert np.isfinite(table["value"]).all()
    assert {"bits_per_dim", "log_likelihood_all_median", "fid_classifier_confined"} <= set(
        table["metric"]
    )
    with np.load(outputs["samples"]) as samples:
        assert samples["final"].dtype == np.uint8
        assert samples["final"].max() < 17


PLANES = {"class": "vqflow.embeddings.Conformal", "latent_features": 5}


@pytest.mark.parametrize("trained", [False, True])
def test_images_from_planes_are_trained_and_scored_the_same_whatever_came_before(
    tmp_path: Path, trained: bool
) -> None:
    """Frames that are not square, with the flow and without: saved, loaded, bit-equal."""
    changes = {
        "embeddings": {"planes": {**PLANES, "train": trained}},
        "variants": {"kmeans-realnvp": {"embedding": "planes"}},
        "datasets": {"helix": {"preprocess": PIXELS}},
        "atlases": {"kmeans32": {"charts": 3, "min_charts": 1}},
    }
    outputs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        outputs.append(train(tmp_path / str(seed), "kmeans-realnvp", images(300), **changes))
    for name in ("model", "history", "samples"):
        assert outputs[0][name].read_bytes() == outputs[1][name].read_bytes()
    model = load_model(outputs[0]["model"])
    assert json.loads(outputs[0]["status"].read_text()) == {"status": "ok", "reason": None}
    history = pd.read_csv(outputs[0]["history"])
    data = Data.load(tmp_path / "0" / "data.npz")
    validation = FlowTask(model, data, Covering(), lambda epoch: None).validate()
    best = history["validation_loss"].min()
    assert validation["validation_loss"] == pytest.approx(best, rel=1e-5)
    x = model.preprocessing.dequantise(torch.as_tensor(data.points["train"]))
    y, _ = model.preprocessing(x)
    charts = model.atlas.nearest(x)
    error = (y - model.reconstruct(y, charts)).square().sum(1).mean()
    if not trained:  # σ² is that of what the flow sees: dequantised pixels
        sigma = (2 * model.embedding._log_sigma()[charts]).exp().mean()
        assert float(error / (64 - 5)) == pytest.approx(float(sigma), rel=0.1)


def test_a_diverged_training_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FlowTask, "validate", lambda self: {"validation_loss": float("nan")})
    outputs = train(tmp_path, "realnvp")
    assert json.loads(outputs["status"].read_text())["status"] == "diverged"
    table = pd.read_csv(score(tmp_path, "realnvp", {0: outputs}, metric("log_likelihood")))
    assert tuple(table.columns) == METRIC_COLUMNS
    assert table.empty


class Undeclared(Metric):
    quantities = (Quantity("a"), Quantity("b"))

    def scores(self, run: Any, reference: Any) -> list[Score]:
        return [Score("c", 1.0, 1, "test")]


def test_a_score_of_another_quantity_than_stated_is_an_error(tmp_path: Path) -> None:
    outputs = train(tmp_path, "realnvp")
    mine = Component.model_validate({"name": "mine", "class": "test_stages.Undeclared"})
    with pytest.raises(ValueError, match="metrics.mine: .*'c', .* its quantities: a, b"):
        score(tmp_path, "realnvp", {0: outputs}, mine)


def test_samples_that_are_not_finite_diverge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, n: int, *_: Any) -> Any:
        return torch.full((n, 3), torch.nan), torch.zeros(n, dtype=torch.long)

    monkeypatch.setattr("vqflow.models.VQFlow.sample", broken)
    outputs = train(tmp_path, "realnvp")
    assert json.loads(outputs["status"].read_text()) == {
        "status": "diverged",
        "reason": "60 of 60 samples are not finite",
    }
    with np.load(outputs["samples"]) as samples:
        assert samples.files == []


def test_a_failed_job_leaves_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("vqflow.stages.flow.save_model", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        train(tmp_path, "realnvp", training={"toy": {"snapshot_interval": None}})
    assert not list(tmp_path.glob("model.pt")) + list(tmp_path.glob("*.npz"))[2:]
    assert (tmp_path / "scratch").exists()


@pytest.mark.parametrize("data", [ring(3), images()], ids=["vector", "image"])
@torch.no_grad()
def test_saved_models_give_the_same_density(tmp_path: Path, data: Data, flow_name: str) -> None:
    skip_unless_images(flow_name, data.spec.features)
    changes = {
        "atlases": {"kmeans32": {"charts": 4, "min_charts": 2}},
        "variants": {"kmeans-realnvp": {"flow": flow_name, "baseline": None}},
        "datasets": {"helix": {"preprocess": PIXELS if data.spec.levels else PIXELS[1:]}},
    }
    chosen = setting("kmeans-realnvp", **changes).of_model()
    atlas = build_atlas(chosen.atlas, data.spec)
    atlas.fit(data, seed=0)
    model = build_model(chosen, atlas, seed=3)
    disturb(model.flow)
    model.preprocessing.fit(data.points["train"], seed=0)
    estimate_confinement(model, 10)
    save_model(tmp_path / "model.pt", model, chosen)
    save_confinement(tmp_path / "confinement.npz", model)
    loaded = load_model(tmp_path / "model.pt", tmp_path / "confinement.npz")
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    x = model.preprocessing.dequantise(torch.as_tensor(data.points["test"][:10]))
    for support in ("all", "covering", "confined"):
        assert torch.equal(loaded.log_prob(x, support), model.log_prob(x, support))


def test_a_model_loaded_under_other_code_warns_and_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = train(tmp_path, "kmeans-realnvp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(outputs["model"])
    own = Code.identity
    monkeypatch.setattr(Code, "identity", lambda self, *given: own(self, *given)[::-1])
    with pytest.warns(UserWarning, match=r"model.pt: .* saved under .*, this is ") as caught:
        loaded = load_model(outputs["model"])
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    x = torch.zeros(2, 3)
    assert torch.equal(loaded.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize(
    ("entry", "reached"),
    [
        (CATALOGUE["flows"]["realnvp-image"], "vqflow.flows.multiscale"),
        (CATALOGUE["embeddings"]["frames"], "vqflow.frames.principal"),
        (CATALOGUE["bases"]["chart-normal"], "vqflow.bases.chart_normal"),
        (CATALOGUE["atlases"]["kmeans32"], "vqflow.atlases.kmeans"),
    ],
)
def test_the_code_of_a_density_is_that_of_its_parts(entry: dict[str, Any], reached: str) -> None:
    starts = ["vqflow.models.build.build_model", "vqflow.models.vqflow.VQFlow"]
    assert reached in Code().reached(starts, entry)
    found = Code().reached(starts)
    assert reached not in found
    assert not {"vqflow.objectives.task", "vqflow.datasets.toy3d", "vqflow.choice"} & set(found)


def test_a_checkpoint_of_other_code_is_not_resumed(tmp_path: Path) -> None:
    first = checkpoint_in(tmp_path / "scratch", "one", [3])
    first.path.touch()
    assert checkpoint_in(tmp_path / "scratch", "one", [3]).path.exists()
    assert not checkpoint_in(tmp_path / "scratch", "two", [3]).path.exists()
    assert not first.path.exists()


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(ConfigError, match="'cuda' but torch sees no GPU"):
        Machine(device="cuda").use()


def test_every_chart_has_a_centre_among_the_training_points(tmp_path: Path) -> None:
    train(tmp_path, "kmeans-realnvp")
    points = Data.load(tmp_path / "data.npz").points["train"].astype(np.float32)
    with np.load(tmp_path / "charts.npz") as charts:
        for centre in charts["centres"]:
            assert (points == centre).all(1).any()
        assert charts["nearest"].max() < len(charts["centres"])


def test_catalogue_is_shipped_without_machine_paths() -> None:
    text = (ROOT / "config" / "config.yaml").read_text()
    assert yaml.safe_load(text)["data_root"] == "data"
