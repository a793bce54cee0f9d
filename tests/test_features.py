"""Networks that give features: the classifier, a user's module, and what is shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pixels import Pixels, image_data, trained
from sklearn.datasets import load_digits

from vqflow.config.entries import Component
from vqflow.datasets.base import Data, DataSpec
from vqflow.metrics.classifier import Classifier, ClassifierFeatures
from vqflow.metrics.features import as_images, features_of
from vqflow.metrics.frechet import FrechetDistance, frechet_distance, statistics
from vqflow.metrics.kernel import KernelDistance
from vqflow.stages.evaluate import build_metric, build_metrics

# Networks


class Rows(torch.nn.Module):
    """A user's network, drawn at random: mean brightness by row, mixed."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(width, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.mix(images.mean(dim=(1, 2)))
        return found


ROWS = {"class": "test_features.Rows", "width": 4}
FRECHET = {"class": "vqflow.metrics.frechet.FrechetDistance", "features": ROWS, "samples": 20}
KERNEL = {**FRECHET, "class": "vqflow.metrics.kernel.KernelDistance"}


def test_a_module_of_the_user_s_gives_features_the_same_in_every_job() -> None:
    data = image_data()
    samples = {"final": data.points["validation"]}
    torch.manual_seed(1)
    reference = build_metric(Component.model_validate({"name": "mine", **FRECHET})).reference(data)
    torch.manual_seed(2)
    metric = build_metric(Component.model_validate({"name": "mine", **FRECHET}))
    [score] = metric.scores(trained(data, samples), reference)
    assert isinstance(metric, FrechetDistance)
    assert metric.rows()["fid"].label == "Fréchet Rows distance"
    network = metric.features.network(data.spec, metric.features.prepare(data), "cpu")
    expected = frechet_distance(
        *statistics(features_of(samples["final"][:20], data.spec, network)),
        *statistics(features_of(data.points["test"], data.spec, network)),
    )
    assert score.value == pytest.approx(expected, rel=1e-12)


def test_another_module_than_the_reference_s_is_refused() -> None:
    data = image_data()
    reference = FrechetDistance(Rows(), samples=20).reference(data)
    other = FrechetDistance(Rows(), samples=20)
    with pytest.raises(RuntimeError, match="'fake': the weights of the features 'Rows' are not"):
        list(other.scores(trained(data, {"final": data.points["test"]}), reference))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (torch.nn.Identity(), r"features of shape \(2, 1, 4, 4\), allowed: \(2, F\)"),
        (Rows(7), r"features fail on images of shape \(1, 4, 4\)"),
    ],
)
def test_a_module_that_gives_no_features_is_refused_before_work(
    module: torch.nn.Module, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FrechetDistance(module, samples=5).check(image_data().spec)


def test_metrics_on_the_same_network_share_what_it_gives() -> None:
    data = image_data()
    fid, kid, other = build_metrics(
        [
            Component.model_validate({"name": name, **entry})
            for name, entry in {
                "fid_rows": FRECHET,
                "kid_rows": KERNEL,
                "fid_others": {**FRECHET, "features": {"class": "test_features.Rows"}},
            }.items()
        ]
    )
    assert fid.features is kid.features is not other.features
    pixels = Pixels()
    metrics = [distance(pixels, samples=20) for distance in (FrechetDistance, KernelDistance)]
    references = [metric.reference(data) for metric in metrics]
    assert (pixels.prepared, pixels.images) == (1, 60)
    run = trained(data, {"final": data.points["train"], "epoch_5": data.points["validation"]})
    for metric, reference in zip(metrics, references, strict=True):
        assert len(list(metric.scores(run, reference))) == 2
    assert pixels.images == 60 + 2 * 20
    metrics[0].reference(image_data())
    assert pixels.prepared == 2


def test_pixels_are_scaled_by_their_levels() -> None:
    spec = DataSpec("fake", "image", (3, 1, 2), 17)
    images = as_images(np.array([[0, 16, 8, 4, 2, 1]], dtype=np.uint8), spec)
    assert images.shape == (1, 3, 1, 2)
    assert images[0, :, 0].tolist() == [[0, 1], [0.5, 0.25], [0.125, 0.0625]]


# The classifier


@pytest.fixture(scope="module")
def digits() -> Data:
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    points = bunch.data.astype(np.uint8)[order]
    labels = bunch.target.astype(np.int64)[order]
    parts = {
        "train": slice(0, 1100),
        "validation": slice(1100, 1400),
        "test": slice(1400, None),
    }
    return Data(
        DataSpec("digits", "image", (1, 8, 8), 17),
        {name: points[part] for name, part in parts.items()},
        {name: labels[part] for name, part in parts.items()},
    )


def test_classifier_learns_the_digits_and_its_distance_sees_noise(digits: Data) -> None:
    features = ClassifierFeatures(steps=300)
    metric = FrechetDistance(features, samples=300, split="train")
    reference = metric.reference(digits)
    prepared = features.prepare(digits)
    assert float(prepared["validation_accuracy"]) > 0.95
    assert reference["mean"].shape == (128,) and reference["covariance"].shape == (128, 128)
    network = features.classifier(digits.spec, prepared)
    logits = network(as_images(digits.points["test"], digits.spec))
    assert (logits.argmax(1).numpy() == digits.labels["test"]).mean() > 0.95

    rng = np.random.default_rng(0)
    test = digits.points["test"][:300]
    noisy = np.where(rng.random(test.shape) < 0.5, rng.integers(0, 17, test.shape), test)
    samples = {"final": test, "final_confined": noisy.astype(np.uint8)}
    real, fake = metric.scores(trained(digits, samples), reference)
    assert (real.quantity, fake.quantity) == ("fid", "fid_confined")
    assert 0 < real.value < fake.value / 2


def test_classifier_is_the_same_every_time_and_leaves_the_global_generator_alone() -> None:
    data = image_data((3, 28, 28), 256)
    state = torch.get_rng_state()
    first, second = (ClassifierFeatures(steps=3, batch_size=50).prepare(data) for _ in "ab")
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    other = ClassifierFeatures(steps=3, batch_size=50, seed=1).prepare(data)
    assert not np.array_equal(first["weights/head.weight"], other["weights/head.weight"])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 28, 28), (3, 32, 20)])
def test_classifier_takes_every_shape(shape: tuple[int, ...]) -> None:
    network = Classifier(shape, classes=7)
    images = torch.zeros(2, *shape)
    assert network.features(images).shape == (2, 128)
    assert network(images).shape == (2, 7)


def test_wrong_classifier_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="steps, batch_size, learning_rate: got 0"):
        ClassifierFeatures(steps=0)


@pytest.mark.parametrize("distance", [FrechetDistance, KernelDistance])
def test_reference_survives_a_file(tmp_path: Path, distance: Any) -> None:
    data = image_data((1, 8, 8))
    metric = distance(ClassifierFeatures(steps=3), samples=20)
    reference = metric.reference(data)
    np.savez(tmp_path / "reference.npz", allow_pickle=False, **reference)
    with np.load(tmp_path / "reference.npz", allow_pickle=False) as file:
        loaded = dict(file)
    samples = {key: data.points["test"] for key in ("final", "final_confined")}
    scores = [list(metric.scores(trained(data, samples), given)) for given in (loaded, reference)]
    assert scores[0] == scores[1]


def test_data_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="'fake', metric 'fid': the data have no label"):
        FrechetDistance(ClassifierFeatures(), samples=5).reference(image_data(labels=False))
