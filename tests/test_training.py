"""The training loop: repeatable, resumable after a kill, stopping and diverging as it says."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import ROOT, losses, make_model, ring
from torch import Tensor, nn

from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.config.entries import Optimisation
from vqflow.embeddings import Conformal
from vqflow.files import load_weights
from vqflow.flows import build_flow
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask, Objective, Sampled
from vqflow.preprocessing import Preprocessing
from vqflow.training.loop import Checkpoint, fit
from vqflow.training.outcome import Outcome

SETTINGS = {"epochs": 6, "batch_size": 64, "learning_rate": 1e-2}


class Parabola:
    """Minimises (w - 3)^2, or whatever validation losses it is given."""

    def __init__(self, losses: list[float] | None = None) -> None:
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.module.weight)
        self.given = iter(losses) if losses else None
        self.seen: list[int] = []
        self.epochs: list[int] = []
        self.weights: list[Tensor] = []

    points = 10

    replayable = True

    def batches(
        self, order: Tensor, batch_size: int, noise: torch.Generator, static: bool
    ) -> Iterator[tuple[Tensor]]:
        for rows in order.split(batch_size):
            self.seen += rows.tolist()
            yield (rows,)

    def loss(self, *batch: Tensor) -> Tensor:
        return (self.module.weight - 3).square().sum()

    def validate(self) -> dict[str, float]:
        self.weights.append(self.module.weight.detach().clone())
        loss = next(self.given) if self.given else float((self.module.weight - 3).square())
        return {"validation_loss": loss}

    def end_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


def settings(**changes: object) -> Optimisation:
    return Optimisation.model_validate({**SETTINGS, **changes})


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_it_minimises(schedule: str) -> None:
    task = Parabola()
    outcome = fit(task, settings(epochs=400, schedule=schedule, learning_rate=0.05), 0, 0)
    assert outcome.status == "ok"
    assert task.module.weight.item() == pytest.approx(3, abs=1e-2)
    assert task.epochs == list(range(1, 401))


def test_an_epoch_shows_every_point_once_in_an_order_of_the_batch_seed() -> None:
    orders = []
    for seed, batch_seed in [(0, 5), (1, 5), (0, 6)]:
        task = Parabola()
        fit(task, settings(epochs=1, batch_size=4), seed, batch_seed)
        assert sorted(task.seen) == list(range(10))
        orders.append(task.seen)
    assert orders[0] == orders[1] != orders[2]


def test_early_stop_keeps_the_best_weights() -> None:
    task = Parabola([5.0, 4.0, 4.5, 4.2, 4.1, 3.0])
    outcome = fit(task, settings(patience=3), 0, 0)
    assert [row["validation_loss"] for row in outcome.history] == [5.0, 4.0, 4.5, 4.2, 4.1]
    assert outcome.best_epoch == 2
    assert torch.equal(task.module.weight, task.weights[1])


def test_without_patience_the_budget_is_used_and_the_best_kept() -> None:
    task = Parabola([5.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    outcome = fit(task, settings(), 0, 0)
    assert len(outcome.history) == 6
    assert torch.equal(task.module.weight, task.weights[1])


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_a_result(loss: float) -> None:
    task = Parabola([5.0, loss, 1.0])
    outcome = fit(task, settings(), 0, 0)
    assert outcome.status == "diverged"
    assert len(outcome.history) == 2
    assert task.epochs == [1]
    assert torch.equal(task.module.weight, task.weights[0])


OBJECTIVES = [Sampled(), Covering()]


def flow_task(objective: Objective) -> FlowTask:
    model = make_model("realnvp", ring(), dtype=torch.float32)
    return FlowTask(model, ring(), objective, lambda epoch: None)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: type(each).__name__)
def test_training_a_flow_is_bit_equal_and_lowers_the_loss(objective: Objective) -> None:
    outcomes: list[tuple[Outcome, dict[str, Tensor]]] = []
    for _ in range(2):
        task = flow_task(objective)
        before = task.validate()["validation_loss"]
        outcome = fit(task, settings(), seed=1, batch_seed=2)
        outcomes.append((outcome, task.module.state_dict()))
        assert outcome.history[-1]["validation_loss"] < before
    first, second = outcomes
    assert first[0].history == second[0].history
    assert all(torch.equal(first[1][key], second[1][key]) for key in first[1])


@torch.no_grad()
def test_sampled_objective_bounds_the_covering_one() -> None:
    model: VQFlow = make_model("realnvp", ring(), dtype=torch.float64)
    covering = FlowTask(model, ring(), Covering(), lambda epoch: None)
    sampled = FlowTask(model, ring(), Sampled(), lambda epoch: None)
    rows, noise = torch.arange(300), torch.Generator().manual_seed(0)
    bound = torch.stack([next(losses(sampled, rows, 300, noise)) for _ in range(200)]).mean()
    exact = next(losses(covering, rows, 300, noise))
    assert bound > exact
    log_prob = model.log_prob(torch.as_tensor(ring().points["train"]), "covering")
    torch.testing.assert_close(exact, -log_prob.mean(), rtol=0, atol=1e-10)


PROGRAM = """
    import sys, torch
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from conftest import make_model, ring
    from vqflow.config.entries import Optimisation
    from vqflow.files import save_weights
    from vqflow.objectives import FlowTask, Sampled
    from vqflow.training.loop import Checkpoint, fit
    import time

    torch.set_num_threads(1)
    folder, pause = Path(sys.argv[1]), float(sys.argv[2])
    model = make_model("realnvp", ring(), dtype=torch.float32)
    task = FlowTask(model, ring(), Sampled(), lambda epoch: time.sleep(pause))
    settings = Optimisation.model_validate({settings!r})
    outcome = fit(task, settings, 1, 2, Checkpoint(folder / "checkpoint.pt", "same", 0.0))
    history = [list(row.values()) for row in outcome.history]
    save_weights(folder / "result.pt", {{"flow": task.module.state_dict(), "history": history}})
"""


def test_a_killed_training_resumes_bit_equal(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    text = PROGRAM.format(
        tests=str(ROOT / "tests"), settings={**SETTINGS, "schedule": "one_cycle", "epochs": 8}
    )
    program.write_text(textwrap.dedent(text))
    results = {}
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        command = [sys.executable, str(program), str(folder)]
        if name == "killed":
            process = subprocess.Popen([*command, "0.5"], cwd=ROOT)
            deadline = time.monotonic() + 120
            while not (folder / "checkpoint.pt").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            assert not (folder / "result.pt").exists()
            done = load_weights(folder / "checkpoint.pt")["state"]["outcome"]["history"]
            assert 1 <= len(done) < 8
        subprocess.run([*command, "0"], cwd=ROOT, check=True, timeout=240)
        results[name] = load_weights(folder / "result.pt")
    assert results["whole"]["history"] == results["killed"]["history"]
    for key, value in results["whole"]["flow"].items():
        assert torch.equal(value, results["killed"]["flow"][key]), key


def test_a_checkpoint_of_another_configuration_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    fit(Parabola(), settings(epochs=3), 0, 0, Checkpoint(path, "old"))
    fresh = fit(Parabola(), settings(epochs=3), 0, 0, Checkpoint(path, "new"))
    assert [row["epoch"] for row in fresh.history] == [1, 2, 3]
    task = Parabola()
    resumed = fit(task, settings(epochs=5), 0, 0, Checkpoint(path, "new"))
    assert task.epochs == [4, 5]
    assert resumed.history[:3] == fresh.history


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: type(each).__name__)
def test_charts_that_are_not_trained_are_projected_on_at_once(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ring(3)
    x = torch.as_tensor(data.points["train"])
    atlas = KMeansAtlas(data.spec, charts=4, min_charts=2, epsilon=0.3)
    atlas.fit(data, seed=0)
    monkeypatch.setattr("vqflow.objectives.task._PROJECTED", 250)
    found: dict[bool, list[Tensor]] = {}
    sizes: dict[bool, list[int]] = {}
    project = Conformal.log_volume
    for train in (False, True):
        flow = build_flow({"class": "zuko.flows.MAF", "transforms": 1}, "", 2, 3, seed=0)
        embedding = Conformal(3, 4, 2, train=train)
        model = VQFlow(Preprocessing(data.spec), atlas, embedding, flow).double()
        model.place_charts(x, model.atlas.pairs(x))
        task = FlowTask(model, data, objective, lambda epoch: None)
        counted: list[int] = []

        def log_volume(
            self: Conformal, y: Tensor, charts: Tensor, seen: list[int] = counted
        ) -> tuple[Tensor, Tensor]:
            seen.append(len(y))
            return project(self, y, charts)

        monkeypatch.setattr(Conformal, "log_volume", log_volume)
        noise = torch.Generator().manual_seed(0)
        found[train] = list(losses(task, torch.arange(300), 64, noise))
        sizes[train] = counted
        found[train][1].backward()
        gradients = [parameter.grad for parameter in flow.parameters()]
        found[train] += [gradient for gradient in gradients if gradient is not None]
    assert len(sizes[True]) == 5
    assert sum(sizes[False]) == sum(sizes[True])
    assert set(sizes[False][:-1]) == {250}
    torch.testing.assert_close(found[False], found[True], rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_reconstruction_error_is_weighted_under_the_charts_of_the_loss() -> None:
    data = ring(3)
    atlas = KMeansAtlas(data.spec, charts=4, min_charts=2, epsilon=0.3)
    atlas.fit(data, seed=0)
    embedding = Conformal(3, 4, 2)
    flow = build_flow({"class": "zuko.flows.MAF", "transforms": 1}, "", 2, atlas.code_dim, seed=0)
    model = VQFlow(Preprocessing(data.spec), atlas, embedding, flow).double()
    x = torch.as_tensor(data.points["train"])
    model.place_charts(x, model.atlas.pairs(x))
    rows, noise = torch.arange(300), torch.Generator().manual_seed(0)
    weight, errors = 3.0, torch.zeros(300, dtype=torch.float64)
    covering, prior = model.atlas.covering(x), model.atlas.log_prior.exp()
    for chart in range(4):
        share = covering[:, chart] * prior[chart] / (covering * prior).sum(1)
        distance = x - model.reconstruct(x, torch.full((300,), chart))
        errors += share * distance.square().sum(1)
    plain, penalised = (
        FlowTask(model, data, Covering(), lambda epoch: None, w) for w in (0.0, weight)
    )
    difference = next(losses(penalised, rows, 300, noise)) - next(losses(plain, rows, 300, noise))
    torch.testing.assert_close(difference, weight * errors.mean(), rtol=0, atol=1e-10)
    assert penalised.validate() == plain.validate()
    sampled = FlowTask(model, data, Sampled(), lambda epoch: None, weight)
    bare = FlowTask(model, data, Sampled(), lambda epoch: None)
    draws = []
    for _ in range(300):
        state = noise.get_state()
        with_error = next(losses(sampled, rows, 300, noise))
        noise.set_state(state)
        draws.append(with_error - next(losses(bare, rows, 300, noise)))
    assert float(torch.stack(draws).mean()) == pytest.approx(
        float(weight * errors.mean()), rel=0.02
    )
