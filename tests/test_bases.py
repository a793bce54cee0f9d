"""Base distributions by chart: densities, samples, and the model that stands on them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import disturb, make_flow, ring, standardised
from small import setting

from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.bases import ChartNormal
from vqflow.config.entries import Optimisation
from vqflow.embeddings import Frames, Identity
from vqflow.models.build import build_model
from vqflow.models.confinement import estimate_confinement
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Covering, FlowTask
from vqflow.preprocessing import Preprocessing
from vqflow.training.loop import Checkpoint, fit

EXACT = {"rtol": 0, "atol": 1e-9}
COVARIANCES = {
    "full": {"covariance": "full"},
    "diagonal": {},
    "low rank": {"covariance": "low_rank", "rank": 1},
}


def make_base(kind: str, features: int = 3, charts: int = 4) -> ChartNormal:
    torch.manual_seed(0)
    base = ChartNormal(features, charts, **COVARIANCES[kind]).double()
    for name, value in base.state_dict().items():
        noise = torch.randn(value.shape, dtype=value.dtype)
        value.copy_(torch.linalg.qr(noise).Q if "axes" in name else 0.5 * noise)
    return base


def make_model(base: ChartNormal | None, flow: str = "realnvp", ends: str = "noise") -> VQFlow:
    """An untrained model in 2-D on four overlapping charts, its charts placed."""
    data = ring(2)
    atlas = KMeansAtlas(data.spec, charts=4, min_charts=2, epsilon=0.3)
    atlas.fit(data, seed=0)
    preprocessing = standardised(data.spec)
    preprocessing.fit(data.points["train"], seed=0)
    built = make_flow(flow, 2, atlas.code_dim, seed=1, transforms=2, hidden_features=[16, 16])
    disturb(built)
    embedding = Identity(2) if ends == "noise" else Frames(2, atlas.charts, bend=True)
    model = VQFlow(preprocessing, atlas, embedding, built, base).double().eval()
    x = torch.as_tensor(data.points["train"])
    model.place_charts(x, atlas.pairs(x))
    return model


@pytest.mark.parametrize("kind", COVARIANCES)
@torch.no_grad()
def test_density_and_samples_are_those_of_a_normal(kind: str) -> None:
    base = make_base(kind)
    for k in range(4):
        charts = torch.full((4000,), k)
        eye = torch.eye(3, dtype=torch.float64)
        origin = base.from_noise(torch.zeros(1, 3).double(), charts[:1])[0]
        root = (base.from_noise(eye, charts[:3]) - origin).T
        normal = torch.distributions.MultivariateNormal(origin, root @ root.T)
        w = torch.randn(20, 3, dtype=torch.float64)
        torch.testing.assert_close(base.log_prob(w, charts[:20]), normal.log_prob(w), **EXACT)
        z = base.to_noise(w, charts[:20])
        torch.testing.assert_close(base.from_noise(z, charts[:20]), w, **EXACT)
        drawn = base.from_noise(torch.randn(4000, 3, dtype=torch.float64), charts)
        torch.testing.assert_close(drawn.mean(0), origin, rtol=0, atol=0.2)


@torch.no_grad()
def test_the_start_is_where_the_flow_puts_each_chart() -> None:
    """Means and variances of the untrained flow's noise, of the points that a chart covers."""
    data = ring(2)
    atlas = KMeansAtlas(data.spec, charts=4)
    atlas.fit(data, 0)
    base = ChartNormal(2, 4, shrinkage=0.0)
    preprocessing = Preprocessing(data.spec)
    flow = make_flow("maf", 2, 2, seed=1, transforms=2, hidden_features=[16, 16])
    model = VQFlow(preprocessing, atlas, Identity(2), flow, base).double().eval()
    x = torch.as_tensor(data.points["train"])
    model.place_charts(x, atlas.pairs(x))
    charts = atlas.nearest(x)
    w = flow.to_noise(x, atlas.standard_codes[charts])
    for k in range(4):
        part = w[charts == k]
        torch.testing.assert_close(base.frame.centre[k], part.mean(0), rtol=0, atol=1e-8)
        scale = part.var(0, correction=0).sqrt()
        torch.testing.assert_close(base.frame.log_scale[k].exp(), scale, rtol=1e-8, atol=0)


@pytest.mark.parametrize("ends", ["noise", "data", "both"])
@pytest.mark.parametrize("support", ["all", "confined"])
@torch.no_grad()
def test_densities_integrate_to_one(ends: str, support: str) -> None:
    base = None if ends == "data" else ChartNormal(2, 4)
    model = make_model(base, ends="noise" if ends == "noise" else "data")
    estimate_confinement(model, 20000)
    steps = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps)
    mass = model.log_prob(grid, support=support).exp().sum() * (steps[1] - steps[0]) ** 2
    assert float(mass) == pytest.approx(1.0, abs=0.002 if support == "all" else 0.02)


@pytest.mark.parametrize("ends", ["noise", "data", "both"])
@torch.no_grad()
def test_noise_is_what_is_left_of_the_frame(ends: str) -> None:
    """Inference and sampling are inverse to one another at both ends."""
    base = None if ends == "data" else ChartNormal(2, 4)
    model = make_model(base, flow="maf", ends="noise" if ends == "noise" else "data")
    z, charts = torch.randn(50, 2, dtype=torch.float64), torch.arange(50) % 4
    x = model.to_data(z, charts)
    y, _ = model.preprocessing(x)
    torch.testing.assert_close(model.to_noise(y, charts), z, rtol=0, atol=1e-7)


def test_frames_see_no_noise_with_one_chart_or_in_evaluation() -> None:
    x, charts = torch.randn(20, 3), torch.zeros(20, dtype=torch.long)
    for embedding, moves in ((Frames(3, 2, noise=0.4), True), (Frames(3, 1, noise=0.4), False)):
        embedding.train()
        assert torch.equal(embedding.log_volume(x, charts)[0], x) != moves
        embedding.eval()
        assert torch.equal(embedding.log_volume(x, charts)[0], x)


def test_trained_frames_are_trained_and_the_others_are_not() -> None:
    for train in (True, False):
        model = make_model(ChartNormal(2, 4, train=train))
        x = torch.randn(30, 2, dtype=torch.float64)
        model.log_prob(x).sum().backward()
        assert model.base is not None
        gradients = [value.grad is not None for value in model.base.parameters()]
        assert gradients == ([True, True] if train else [])


def test_training_with_noise_resumes_bit_equal(tmp_path: Path) -> None:
    """The noise on what the flow sees is drawn anew at every step, and goes on where it was."""
    settings = Optimisation(epochs=5, batch_size=64, learning_rate=1e-2)

    def trained(checkpoint: Checkpoint | None, stop: int = 0) -> dict[str, torch.Tensor]:
        model = make_model(None, ends="data").float()
        assert isinstance(model.embedding, Frames)
        model.embedding.noise = 0.4

        def end_epoch(epoch: int) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        task = FlowTask(model, ring(2), Covering(), end_epoch)
        fit(task, settings, 1, 2, checkpoint)
        return model.flow.state_dict()

    whole = trained(None)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "same", interval=0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint, stop=3)
    for name, value in trained(checkpoint).items():
        assert torch.equal(value, whole[name]), name


@torch.no_grad()
def test_the_weights_of_the_mixture_take_the_priors_place() -> None:
    for model in (make_model(ChartNormal(2, 4)), make_model(None, ends="data")):
        x = torch.as_tensor(ring(2).points["train"])
        coverage = model.atlas.pairs(x).counts(4).double()
        weights = model.atlas.log_prior.exp()
        torch.testing.assert_close(weights.sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-6)
        assert (weights - coverage / coverage.sum()).abs().max() > 1e-3


WITH_BASE = {"base": "chart-normal", "baseline": None}


def test_a_model_of_the_catalogue_has_its_base() -> None:
    data = ring(2)
    atlas = KMeansAtlas(data.spec, charts=4)
    atlas.fit(data, 0)
    chosen = setting("kmeans-realnvp", variants={"kmeans-realnvp": WITH_BASE})
    model = build_model(chosen, atlas, seed=0)
    assert isinstance(model.base, ChartNormal)
    assert model.base.fitted_numbers == 4 * (2 + 2)
    assert build_model(chosen.model_copy(update={"base": None}), atlas, seed=0).base is None
