"""The classifier of MNIST that comes with the package: which data take it, and what it sees."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pixels import image_data

from benchmarks.classifier import BLUR, MISSING, NOISE, measure
from vqflow.datasets.base import SPLITS, Data
from vqflow.datasets.images import MNIST
from vqflow.files import digest
from vqflow.metrics import shipped
from vqflow.metrics.base import Reference
from vqflow.metrics.classifier import ClassifierFeatures, accuracy
from vqflow.metrics.frechet import FrechetDistance
from vqflow.metrics.train_classifier import make

DATA_ROOT = os.environ.get("VQFLOW_DATA")
needs_mnist = pytest.mark.skipif(
    DATA_ROOT is None, reason="VQFLOW_DATA does not name a folder with MNIST/raw"
)
HEAD = "weights/head.weight"


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shipped weights are not taken, training is short."""
    train = ClassifierFeatures.train

    def short(self: ClassifierFeatures, data: Data) -> Reference:
        return train(ClassifierFeatures(3, self.batch_size, self.learning_rate, self.seed), data)

    monkeypatch.setattr(ClassifierFeatures, "train", short)


@pytest.fixture(scope="module")
def mnist() -> Data:
    return MNIST().load("mnist", Path(str(DATA_ROOT)))


def fake_mnist(seed: int = 0) -> Data:
    """Random images of MNIST's shape."""
    data = image_data(shipped.SHAPE, shipped.LEVELS)
    rng = np.random.default_rng(seed)
    points = {split: rng.permutation(points) for split, points in data.points.items()}
    return Data(data.spec, points, data.labels)


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Gives data whose classifier is the one that comes with the package, for once."""
    data = fake_mnist()
    make(data, ClassifierFeatures(seed=5), tmp_path / "own.npz")
    monkeypatch.setattr(shipped, "FILE", tmp_path / "own.npz")
    monkeypatch.setattr(shipped, "SHA256", digest(tmp_path / "own.npz"))
    return data


# The file


def test_the_file_is_the_expected_one_small_and_described() -> None:
    shipped.check_file()
    assert shipped.FILE.stat().st_size < 1_500_000
    described = json.loads(shipped.FILE.with_suffix(".json").read_text())
    assert described["sha256"] == shipped.SHA256
    assert described["accuracy"]["test"] > 0.99


def test_making_it_twice_gives_the_same_bytes_and_says_how_good_it_is(tmp_path: Path) -> None:
    data = fake_mnist()
    paths = [tmp_path / f"{name}.npz" for name in "ab"]
    accuracies = [make(data, ClassifierFeatures(), path) for path in paths]
    assert digest(paths[0]) == digest(paths[1])
    assert accuracies[0] == accuracies[1] and set(accuracies[0]) == set(SPLITS)
    assert json.loads((tmp_path / "a.json").read_text())["sha256"] == digest(paths[0])


@pytest.mark.parametrize("fault", ["other", "absent"])
def test_another_file_is_refused_before_and_at_work(
    own_file: Data, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    if fault == "other":
        (tmp_path / "own.npz").write_bytes(b"weights")
        given = r"has the SHA-256 9a129038\.\.\."
    else:
        (tmp_path / "own.npz").unlink()
        given = "is absent"
    message = rf"classifier's weights: .*own\.npz {given}, expected {shipped.SHA256[:8]}\.\.\.;"
    metric = FrechetDistance(ClassifierFeatures(), samples=20)
    with pytest.raises(ValueError, match=message):
        metric.check(own_file.spec)
    with pytest.raises(ValueError, match=f"'fake', metric 'fid': the {message}"):
        metric.reference(own_file)
    metric.check(image_data((1, 8, 8)).spec)
    FrechetDistance(ClassifierFeatures(steps=3), samples=20).reference(own_file)


# Which data take it


def test_data_are_known_by_content_and_not_by_name_order_or_number(own_file: Data) -> None:
    expected = ClassifierFeatures().prepare(own_file)
    with np.load(shipped.FILE) as file:
        assert np.array_equal(expected[HEAD], file[HEAD].astype(np.float32))
    order = np.random.default_rng(1).permutation(60)[:20]
    part = Data(
        own_file.spec,
        {**own_file.points, "train": own_file.points["train"][order]},
        {**own_file.labels, "train": own_file.labels["train"][order]},
    )
    assert np.array_equal(ClassifierFeatures().prepare(part)[HEAD], expected[HEAD])


@pytest.mark.parametrize("changed", ["pixel", "label"])
def test_one_changed_image_is_other_data(own_file: Data, changed: str) -> None:
    assert shipped.load_for(own_file) is not None
    points, labels = (own_file.points["train"].copy(), own_file.labels["train"].copy())
    if changed == "pixel":
        points[7, 300] ^= 1
    else:
        labels[7] = (labels[7] + 1) % 3
    other = Data(
        own_file.spec,
        {**own_file.points, "train": points},
        {**own_file.labels, "train": labels},
    )
    assert shipped.load_for(other) is None


def test_other_settings_train_anew(own_file: Data) -> None:
    known = ClassifierFeatures().prepare(own_file)[HEAD]
    for settings in ({"seed": 1}, {"steps": 5}, {"batch_size": 64}, {"learning_rate": 1e-3}):
        found = ClassifierFeatures(**settings).prepare(own_file)[HEAD]
        assert np.abs(found - known).max() > 0.01  # of another seed, and not rounded alone


# What it sees in MNIST


@needs_mnist
def test_it_knows_mnist_s_digits(mnist: Data) -> None:
    features = ClassifierFeatures()
    prepared = features.prepare(mnist)
    described = json.loads(shipped.FILE.with_suffix(".json").read_text())["accuracy"]
    network = features.classifier(mnist.spec, prepared)
    found = accuracy(network, mnist, "test")
    assert found > 0.99 and found == pytest.approx(described["test"], abs=2e-4)
    assert float(prepared["validation_accuracy"]) == pytest.approx(
        described["validation"], abs=2e-4
    )
    small = MNIST(n_train=500, n_test=300, n_validation=50).load("small", Path(str(DATA_ROOT)))
    assert np.array_equal(features.prepare(small)[HEAD], prepared[HEAD])
    other = MNIST(seed=1).load("other", Path(str(DATA_ROOT)))
    assert shipped.load_for(other) is None


@needs_mnist
def test_distances_grow_with_noise_blur_and_missing_digits(mnist: Data) -> None:
    few = {split: points[:1500] for split, points in mnist.points.items()}
    labels = {split: classes[:1500] for split, classes in mnist.labels.items()}
    noise = NOISE[1:]  # 700 samples do not tell the least from none
    table = measure(Data(mnist.spec, few, labels), 700, noise)
    floor = table.iloc[0]
    ends = np.cumsum([2, len(noise), len(BLUR), len(MISSING)])
    for start, end in zip(ends, ends[1:], strict=False):
        course = table.iloc[[0, *range(start, end)]]
        for distance in ("fid", "kid"):
            assert (np.diff(course[distance]) > 0).all(), course
        assert course["fid"].iloc[-1] > 4 * floor["fid"]
        assert course["coverage"].iloc[-1] < 0.8 * floor["coverage"]
    assert course["precision"].iloc[-1] > 0.9 * floor["precision"]  # what is there is good
