"""Bases of several peaks: a trained mixture, and draws that are accepted by a learned chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_flow, ring, standardised
from small import metric, score, setting, train
from torch import Tensor

from vqflow.atlases import SingleChart
from vqflow.bases import Base, Mixture, Resampled
from vqflow.config.entries import Optimisation
from vqflow.embeddings import Identity
from vqflow.models.build import build_model
from vqflow.models.store import load_model
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask
from vqflow.training.loop import Checkpoint, fit

WIDTH = 8.0
BASES = ("mixture", "resampled")


@torch.no_grad()
def make_base(kind: str) -> Base:
    """A base in 2-D that is far from its start."""
    torch.manual_seed(0)
    base: Base
    if kind == "mixture":
        base = Mixture(2, 1, components=3)
        base.means.copy_(torch.tensor([[-2.0, 0.0], [1.0, 1.5], [2.0, -1.0]]))
        base.log_scales.copy_(torch.tensor([[0.0, -0.5], [-1.0, 0.2], [-0.3, -0.3]]))
        base.logits.copy_(torch.tensor([0.2, 1.0, -0.5]))
        return base.double().eval()
    base = Resampled(2, 1, hidden_features=[16, 16], truncation=10)
    for layer in base.network[::2]:
        layer.weight.copy_(3 * torch.randn_like(layer.weight) / layer.in_features**0.5)
    base.network[-1].bias.fill_(-2.0)
    base = base.double().eval()
    base.mean_acceptance.fill_(float(exact_acceptance(base)))
    return base


def grid(steps: int = 400) -> tuple[Tensor, float]:
    """The middles (steps², 2) of the cells of a square, and a cell's area."""
    edges = torch.linspace(-WIDTH, WIDTH, steps + 1, dtype=torch.float64)
    middle = (edges[1:] + edges[:-1]) / 2
    return torch.cartesian_prod(middle, middle), float(edges[1] - edges[0]) ** 2


def exact_acceptance(base: Resampled) -> Tensor:
    """Z = E[a] under the standard normal, by quadrature; with gradients."""
    w, area = grid()
    normal = (-0.5 * w.square().sum(1)).exp() / (2 * torch.pi)
    return (base.network(w)[:, 0].sigmoid() * normal).sum() * area


def log_density(base: Resampled, w: Tensor, z: Tensor) -> Tensor:
    """The density in the paper's own words, given Z."""
    alpha = (1 - z) ** (base.truncation - 1)
    ratio = (1 - alpha) * base.network(w)[:, 0].sigmoid() / z + alpha
    return ratio.log() - 0.5 * w.square().sum(1) - np.log(2 * np.pi)


def charts_of(w: Tensor) -> Tensor:
    return torch.zeros(len(w), dtype=torch.long)


@pytest.mark.parametrize("kind", BASES)
@torch.no_grad()
def test_densities_integrate_to_one_and_samples_follow_them(kind: str) -> None:
    base = make_base(kind)
    w, area = grid()
    mass = base.log_prob(w, charts_of(w)).exp() * area
    assert float(mass.sum()) == pytest.approx(1, abs=1e-6)
    n = 40000
    drawn, again = (
        base.sample(torch.zeros(n, dtype=torch.long), torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert torch.equal(drawn, again) and drawn.dtype == torch.float64
    boxes = mass.view(16, 25, 16, 25).sum((1, 3))
    counts, *_ = np.histogram2d(*drawn.numpy().T, bins=16, range=[[-WIDTH, WIDTH]] * 2)
    filled = boxes.numpy() * n > 20
    deviations = (counts - n * boxes.numpy())[filled] / np.sqrt(n * boxes.numpy())[filled]
    assert filled.sum() > 10
    assert np.abs(deviations).max() < 4.5
    assert np.square(deviations).mean() == pytest.approx(1, abs=0.7)
    plain = (-0.5 * w.square().sum(1)).exp() / (2 * torch.pi) * area
    assert float((plain - mass).abs().sum()) > 0.3  # far from the standard normal


@torch.no_grad()
def test_the_resampled_density_is_the_papers() -> None:
    base = make_base("resampled")
    w = 2 * torch.randn(50, 2, dtype=torch.float64)
    expected = log_density(base, w, base.mean_acceptance)
    torch.testing.assert_close(base.log_prob(w, charts_of(w)), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_normalising_finds_z_within_its_stated_error() -> None:
    base = make_base("resampled")
    exact = float(base.mean_acceptance)
    deviations = []
    for seed in range(40):
        base.normalise(20000, torch.Generator().manual_seed(seed))
        error = float(base.standard_error)
        assert base.normalisation_error == pytest.approx(error / float(base.mean_acceptance))
        deviations.append((float(base.mean_acceptance) - exact) / error)
    assert np.abs(deviations).max() < 4
    assert np.std(deviations) == pytest.approx(1, abs=0.35)
    base.normalise(20000, torch.Generator().manual_seed(39))
    assert (float(base.mean_acceptance) - exact) / error == deviations[-1]


def test_gradients_of_training_are_those_of_the_exact_density() -> None:
    """On the mean over draws, where the moving average is where it belongs."""
    base = make_base("resampled")
    w = 1.5 * torch.randn(200, 2, dtype=torch.float64)
    parameters = list(base.network.parameters())
    loss = log_density(base, w, exact_acceptance(base)).mean()
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])
    ignoring = log_density(base, w, exact_acceptance(base).detach()).mean()
    without = torch.cat([g.flatten() for g in torch.autograd.grad(ignoring, parameters)])
    base.train()
    average, found = base.mean_acceptance.clone(), torch.zeros_like(exact)
    repeats = 600
    for _ in range(repeats):
        base.mean_acceptance.copy_(average)
        loss = base.log_prob(w, charts_of(w)).mean()
        found += torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]) / repeats
    assert (found - exact).norm() < 0.05 * exact.norm()
    assert (without - exact).norm() > 0.5 * exact.norm()


def test_the_moving_average_goes_to_z_and_only_training_moves_it() -> None:
    base = make_base("resampled")
    exact = float(base.mean_acceptance)
    base.mean_acceptance.fill_(0.9)
    w = torch.randn(500, 2, dtype=torch.float64)
    base.log_prob(w, charts_of(w))
    assert float(base.mean_acceptance) == 0.9
    base.train()
    for _ in range(200):
        base.log_prob(w, charts_of(w))
    assert float(base.mean_acceptance) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("z", [0.0, 1.0])
def test_density_and_gradients_are_finite_where_all_or_nothing_is_kept(z: float) -> None:
    base = Resampled(2, 1, hidden_features=[8]).train()
    with torch.no_grad():
        base.network[-1].bias.fill_(200.0 * (2 * z - 1))
        base.mean_acceptance.fill_(z)
    w = torch.randn(20, 2)
    value = base.log_prob(w, charts_of(w))
    value.sum().backward()
    assert value.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in base.parameters())


@torch.no_grad()
def test_an_untrained_resampled_base_is_the_standard_normal() -> None:
    base = Resampled(3, 1)
    w = torch.randn(30, 3)
    normal = torch.distributions.Independent(torch.distributions.Normal(0.0, torch.ones(3)), 1)
    torch.testing.assert_close(base.log_prob(w, charts_of(w)), normal.log_prob(w))
    assert base.normalisation_error == 0


@torch.no_grad()
def test_the_mixture_starts_at_the_clusters_of_the_points() -> None:
    centres = torch.tensor([[-5.0, 0.0], [5.0, 0.0], [0.0, 9.0]]).double()
    labels = torch.arange(3).repeat_interleave(torch.tensor([300, 600, 100]))
    w = centres[labels] + torch.tensor([0.1, 0.4]) * torch.randn(1000, 2, dtype=torch.float64)
    base = Mixture(2, 1, components=3).double()
    base.fit(w, torch.arange(1000), charts_of(w), torch.zeros(1))
    order = base.means[:, 0].argsort()
    close = {"rtol": 0, "atol": 0.1}
    torch.testing.assert_close(base.means[order], centres[[0, 2, 1]], **close)
    weights = base.logits.softmax(0)
    torch.testing.assert_close(weights, torch.full((3,), 1 / 3).double(), rtol=0, atol=1e-6)
    scales = torch.tensor([0.1, 0.4]).double().expand(3, 2)
    torch.testing.assert_close(base.log_scales.exp(), scales, rtol=0.2, atol=0)
    state = {name: value.clone() for name, value in base.state_dict().items()}
    base.fit(w, torch.arange(1000), charts_of(w), torch.zeros(1))
    assert all(torch.equal(value, state[name]) for name, value in base.state_dict().items())


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@torch.no_grad()
def test_clusters_of_one_point_have_a_width() -> None:
    base = Mixture(2, 1, components=40)
    w = torch.randn(40, 2)
    base.fit(w, torch.arange(40), charts_of(w), torch.zeros(1))
    assert base.log_prob(w, charts_of(w)).isfinite().all()
    same = torch.zeros(50, 2)
    base.fit(same, torch.arange(50), charts_of(same), torch.zeros(1))
    assert all(value.isfinite().all() for value in base.parameters())
    with pytest.raises(ValueError, match="components is 40, on 39 training points"):
        base.fit(w[:39], torch.arange(39), charts_of(w[:39]), torch.zeros(1))


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (Mixture, {"components": 0}, "components is 0; allowed: 1 or more"),
        (Resampled, {"truncation": 1}, "truncation is 1; allowed: 2 or more"),
        (Resampled, {"hidden_features": [8, 0]}, r"hidden_features is \[8, 0\]; allowed: 1 or"),
    ],
)
def test_wrong_arguments_are_refused(cls: type, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cls(features=2, charts=1, **arguments)


def model_with(base: Base) -> VQFlow:
    """A small flow over a base on one chart, placed."""
    data = ring(2)
    atlas = SingleChart(data.spec)
    atlas.fit(data, seed=0)
    preprocessing = standardised(data.spec)
    preprocessing.fit(data.points["train"], seed=0)
    flow = make_flow("realnvp", 2, 0, seed=1, transforms=2, hidden_features=[16, 16])
    model = VQFlow(preprocessing, atlas, Identity(2), flow, base).double().eval()
    x = torch.as_tensor(data.points["train"])
    model.place_charts(x, atlas.pairs(x))
    return model


def test_training_of_the_resampled_base_resumes_bit_equal(tmp_path: Path) -> None:
    """Proposals are drawn anew at every step, and these and the average go on where they were."""
    settings = Optimisation(epochs=5, batch_size=64, learning_rate=1e-2)

    def trained(checkpoint: Checkpoint | None, stop: int = 0) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = model_with(Resampled(2, 1, hidden_features=[8, 8]))

        def end_epoch(epoch: int) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        task = FlowTask(model, ring(2), Covering(), end_epoch)
        fit(task, settings, 1, 2, checkpoint)
        return {**model.flow.state_dict(), **model.base.state_dict()}

    whole = trained(None)
    assert float(whole["mean_acceptance"]) != 0.5
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same", interval=0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint, stop=3)
    for name, value in trained(checkpoint).items():
        assert torch.equal(value, whole[name]), name


def test_validation_reads_many_draws_and_not_the_moving_average() -> None:
    torch.manual_seed(0)
    model = model_with(Resampled(2, 1, hidden_features=[8, 8]))
    task = FlowTask(model, ring(2), Covering(), lambda epoch: None)
    model.base.mean_acceptance.fill_(0.123)
    first = task.validate()
    assert float(model.base.mean_acceptance) == pytest.approx(0.5)
    assert task.validate() == first


@pytest.mark.parametrize("variant", ["gmm-realnvp", "resampled-maf"])
def test_models_of_the_catalogue_train_and_load_alike(tmp_path: Path, variant: str) -> None:
    first, second = (train(tmp_path / name, variant) for name in ("a", "b"))
    for name in ("model", "history", "samples"):
        assert first[name].read_bytes() == second[name].read_bytes()
    history = pd.read_csv(first["history"])["validation_loss"]
    assert history.iloc[-1] < history.iloc[0]
    model = load_model(first["model"], first["confinement"])
    chosen = setting(variant)
    untrained = [build_model(chosen, model.atlas, seed).base for seed in (0, 0, 1)]
    if variant == "resampled-maf":
        found, error = model.base.mean_acceptance.clone(), model.base.standard_error.clone()
        model.base.normalise(10**6, torch.Generator().manual_seed(7))
        assert float(error) == pytest.approx(float(model.base.standard_error), rel=0.02)
        assert abs(float(found - model.base.mean_acceptance)) < 5 * 2**0.5 * float(error)
        states = [base.network[0].weight for base in untrained]
        assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    else:
        assert model.base.normalisation_error == 0
        assert not torch.equal(model.base.means, untrained[0].means)


def test_the_metric_gives_the_error_of_the_constant(tmp_path: Path) -> None:
    entry = metric("normalisation_error")
    for variant, exact in (("resampled-realnvp", False), ("gmm-maf", True), ("maf", True)):
        folder = tmp_path / variant
        outputs = train(folder, variant)
        table = pd.read_csv(score(folder, variant, {0: outputs}, entry))
        assert (table["value"].item() == 0) == exact
        assert 0 <= table["value"].item() < 0.01
