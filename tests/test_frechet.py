"""Fréchet distances: closed forms, equality with pytorch-fid, the two networks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as peer
from pytorch_fid.fid_score import calculate_frechet_distance
from sklearn.datasets import load_digits

from vqflow.datasets.base import Array, Data, DataSpec
from vqflow.metrics import inception
from vqflow.metrics.base import Reference
from vqflow.metrics.classifier import Classifier, FrechetClassifier
from vqflow.metrics.frechet import (
    Extractor,
    FrechetDistance,
    as_images,
    features_of,
    frechet_distance,
    statistics,
)
from vqflow.metrics.inception import FrechetInception

WEIGHTS_NAME = peer.FID_WEIGHTS_URL.rpartition("/")[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def gaussian(rng: np.random.Generator, features: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    mixing = rng.normal(size=(features, features))
    return statistics(rng.normal(size=(n, features)) @ mixing + rng.normal(size=features))


def image_data(
    shape: tuple[int, ...] = (1, 4, 4), levels: int = 17, n: int = 60, labels: bool = True
) -> Data:
    rng = np.random.default_rng(5)
    splits = ("train", "validation", "test")
    features = int(np.prod(shape))
    return Data(
        DataSpec("fake", "image", shape, levels),
        {name: rng.integers(0, levels, (n, features), dtype=np.uint8) for name in splits},
        {name: rng.integers(0, 3, n) for name in splits} if labels else {},
    )


def trained(data: Data, samples: dict[str, np.ndarray]) -> Any:
    return SimpleNamespace(data=data, samples=samples)


class FrechetPixels(FrechetDistance):
    """The distance on the pixels themselves."""

    name: ClassVar[str] = "fid_pixels"
    built: ClassVar[int] = 0

    def prepare(self, data: Data) -> Reference:
        return {}

    def extractor(self, spec: DataSpec, reference: Reference) -> Extractor:
        FrechetPixels.built += 1
        return lambda images: images.flatten(1)


# The distance


@pytest.mark.parametrize("features", [2, 3, 20])
def test_equal_to_pytorch_fid(features: int) -> None:
    rng = np.random.default_rng(features)
    first, second = gaussian(rng, features, 100), gaussian(rng, features, 150)
    expected = calculate_frechet_distance(*first, *second)
    assert frechet_distance(*first, *second) == pytest.approx(expected, rel=1e-9)


def test_equal_to_pytorch_fid_for_singular_covariances() -> None:
    rng = np.random.default_rng(0)
    first, second = gaussian(rng, 40, 15), gaussian(rng, 40, 25)
    assert np.linalg.matrix_rank(first[1]) == 14
    expected = calculate_frechet_distance(*first, *second)
    assert frechet_distance(*first, *second) == pytest.approx(expected, rel=1e-6)


def test_closed_forms() -> None:
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 0.0, 1.0])
    zero = np.zeros(3)
    assert frechet_distance(zero, np.diag(a), zero, np.diag(b)) == pytest.approx(
        float(((np.sqrt(a) - np.sqrt(b)) ** 2).sum()), rel=1e-14
    )
    ones = np.ones(3)
    assert frechet_distance(zero, np.eye(3), 2 * ones, np.eye(3)) == pytest.approx(12, rel=1e-14)
    assert frechet_distance(zero, 0 * np.eye(3), ones, np.diag(b)) == pytest.approx(8, rel=1e-14)
    line, cross = np.outer([1.0, 0], [1.0, 0]), np.outer([0, 1.0], [0, 1.0])
    assert frechet_distance(zero[:2], line, zero[:2], cross) == pytest.approx(2, rel=1e-14)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 30), st.floats(1e-3, 1e3))
def test_properties(seed: int, features: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = gaussian(rng, features, n), gaussian(rng, features, n)
    value = frechet_distance(*first, *second)
    size = float(np.trace(first[1]) + np.trace(second[1]))
    assert value >= 0
    assert frechet_distance(*second, *first) == pytest.approx(value, rel=1e-9, abs=1e-10 * size)
    assert frechet_distance(*first, *first) == pytest.approx(0, abs=1e-10 * size)
    scaled = [(mean * scale, covariance * scale**2) for mean, covariance in (first, second)]
    assert frechet_distance(*scaled[0], *scaled[1]) == pytest.approx(
        value * scale**2, rel=1e-8, abs=1e-10 * size * scale**2
    )
    turn = np.linalg.qr(rng.normal(size=(features, features)))[0]
    turned = [(turn @ mean, turn @ covariance @ turn.T) for mean, covariance in (first, second)]
    assert frechet_distance(*turned[0], *turned[1]) == pytest.approx(
        value, rel=1e-7, abs=1e-6 * size
    )


def test_statistics_by_hand_and_in_double_precision() -> None:
    mean, covariance = statistics(np.array([[1.0, 0.0], [3.0, 2.0]], dtype=np.float32))
    assert mean.tolist() == [2.0, 1.0]
    assert covariance.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert mean.dtype == covariance.dtype == np.float64
    offset = np.float32(4096.0) + np.arange(3, dtype=np.float32)[:, None] / 1024
    assert statistics(offset)[1].item() == pytest.approx(2**-20, rel=1e-12)


def test_statistics_need_two_points() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4\), allowed: \(n, F\) with n at least 2"):
        statistics(np.zeros((1, 4)))


# The metric


def test_rows_of_snapshots_and_of_the_final_model() -> None:
    data = image_data()
    rng = np.random.default_rng(1)
    keys = ("final_confined", "epoch_10", "epoch_5", "final")
    samples = {key: rng.integers(0, 17, (30, 16), dtype=np.uint8) for key in keys}
    metric = FrechetPixels(samples=20, split="train")
    reference = metric.reference(data)
    built = FrechetPixels.built
    scores = list(metric.scores(trained(data, samples), reference))
    assert FrechetPixels.built == built + 1
    assert [(score.metric, score.epoch) for score in scores] == [
        ("fid_pixels", 5),
        ("fid_pixels", 10),
        ("fid_pixels", None),
        ("fid_pixels_confined", None),
    ]
    assert {(score.n, score.split, score.unit) for score in scores} == {(20, "train", "")}
    for score, key in zip(scores, ("epoch_5", "epoch_10", "final", "final_confined"), strict=True):
        pixels = samples[key][:20] / 16
        expected = frechet_distance(
            *statistics(pixels), *statistics(np.true_divide(data.points["train"], 16))
        )
        assert score.value == pytest.approx(expected, rel=1e-5)


def test_the_data_themselves_are_at_distance_zero() -> None:
    data = image_data()
    metric = FrechetPixels(samples=60)
    samples = {key: data.points["test"] for key in ("final", "final_confined")}
    for score in metric.scores(trained(data, samples), metric.reference(data)):
        assert score.value == pytest.approx(0, abs=1e-10)


def test_too_few_samples_are_refused() -> None:
    data = image_data()
    metric = FrechetPixels(samples=61)
    samples = {"final": data.points["test"], "final_confined": data.points["test"]}
    with pytest.raises(RuntimeError, match=r"'fake'.*'fid_pixels': 60 samples in 'final', 61 are"):
        list(metric.scores(trained(data, samples), metric.reference(data)))


def test_vectors_are_refused() -> None:
    points: dict[str, Array] = {name: np.zeros((3, 2)) for name in ("train", "validation", "test")}
    data = Data(DataSpec("helix", "vector", (2,)), points)
    with pytest.raises(ValueError, match=r"'helix'.*got vectors, allowed: images"):
        FrechetPixels(samples=2).reference(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 1}, "samples: got 1"),
        ({"samples": 5, "split": "tst"}, "split: got 'tst', allowed: train, validation, test"),
        ({"samples": 5, "steps": 0}, "steps"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrechetClassifier(**arguments)


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
    metric = FrechetClassifier(samples=300, split="train", steps=300)
    reference = metric.reference(digits)
    assert float(reference["validation_accuracy"]) > 0.95
    assert reference["mean"].shape == (128,) and reference["covariance"].shape == (128, 128)
    network = metric.classifier(digits.spec, reference)
    logits = network(as_images(digits.points["test"], digits.spec))
    assert (logits.argmax(1).numpy() == digits.labels["test"]).mean() > 0.95

    rng = np.random.default_rng(0)
    test = digits.points["test"][:300]
    noisy = np.where(rng.random(test.shape) < 0.5, rng.integers(0, 17, test.shape), test)
    samples = {"final": test, "final_confined": noisy.astype(np.uint8)}
    real, fake = metric.scores(trained(digits, samples), reference)
    assert (real.metric, fake.metric) == ("fid_classifier", "fid_classifier_confined")
    assert 0 < real.value < fake.value / 2


def test_classifier_is_the_same_every_time_and_leaves_the_global_generator_alone() -> None:
    data = image_data((3, 28, 28), 256)
    state = torch.get_rng_state()
    first, second = (FrechetClassifier(20, steps=3, batch_size=50).reference(data) for _ in "ab")
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    other = FrechetClassifier(20, steps=3, batch_size=50, seed=1).reference(data)
    assert not np.array_equal(first["weights/head.weight"], other["weights/head.weight"])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 28, 28), (3, 32, 20)])
def test_classifier_takes_every_shape(shape: tuple[int, ...]) -> None:
    network = Classifier(shape, classes=7)
    images = torch.zeros(2, *shape)
    assert network.features(images).shape == (2, 128)
    assert network(images).shape == (2, 7)


def test_reference_survives_a_file(tmp_path: Path) -> None:
    data = image_data((1, 8, 8))
    metric = FrechetClassifier(20, steps=3)
    reference = metric.reference(data)
    np.savez(tmp_path / "reference.npz", allow_pickle=False, **reference)
    with np.load(tmp_path / "reference.npz", allow_pickle=False) as file:
        loaded = dict(file)
    samples = {key: data.points["test"] for key in ("final", "final_confined")}
    run = trained(data, samples)
    assert list(metric.scores(run, loaded)) == list(metric.scores(run, reference))


def test_data_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="'fake', metric 'fid_classifier': the data have no label"):
        FrechetClassifier(samples=5).reference(image_data(labels=False))


# Inception


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gives a TORCH_HOME whose cache holds randomly drawn weights of the Inception network."""
    home = tmp_path_factory.mktemp("torch")
    caught: dict[str, torch.Tensor] = {}

    class Filled(Exception):
        pass

    def draw(self: torch.nn.Module, *_: object, **__: object) -> None:
        generator = torch.Generator().manual_seed(0)
        for key, value in self.state_dict().items():
            if key.endswith("num_batches_tracked"):
                caught[key] = value
            elif value.ndim > 1:
                fan_in = value[0].numel()
                caught[key] = torch.randn(value.shape, generator=generator) * (2 / fan_in) ** 0.5
            elif key.endswith(("running_var", "bn.weight")):
                caught[key] = 0.5 + torch.rand(value.shape, generator=generator)
            else:
                caught[key] = 0.1 * torch.randn(value.shape, generator=generator)
        raise Filled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(torch.nn.Module, "load_state_dict", draw)
        with pytest.raises(Filled):
            peer.fid_inception_v3()
    path = home / "hub" / "checkpoints" / WEIGHTS_NAME
    path.parent.mkdir(parents=True)
    torch.save(caught, path)
    return home


def save_images(points: np.ndarray, spec: DataSpec, folder: Path) -> None:
    folder.mkdir()
    for number, image in enumerate(points.reshape(-1, *spec.shape)):
        colours = np.repeat(image.transpose(1, 2, 0), 3 // spec.shape[0], axis=2)
        Image.fromarray(colours).save(folder / f"{number:03d}.png")


def program_statistics(
    folder: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[np.ndarray, np.ndarray]:
    """Gives mean and covariance of the features, by ``python -m pytorch_fid --save-stats``."""
    target = str(folder.with_suffix(".npz"))
    options = ["--device", "cpu", "--num-workers", "0", "--save-stats"]
    monkeypatch.setenv("TORCH_HOME", str(hub))
    monkeypatch.setattr("sys.argv", ["pytorch_fid", *options, str(folder), target])
    fid_score.main()
    with np.load(target) as file:
        return file["mu"], file["sigma"]


def test_equal_to_the_pytorch_fid_program(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program's statistics, and its distance on the subspace that the images span.

    The distance does not change by the rotation to that subspace, while the program's own
    matrix square root of the full 2048 features takes a minute.
    """
    rng = np.random.default_rng(3)
    spec = DataSpec("fake", "image", (1, 28, 28), 256)
    bright = rng.integers(0, 256, (8, 784), dtype=np.uint8)
    dark = (rng.integers(0, 256, (8, 784)) * rng.random((8, 1)) ** 2).astype(np.uint8)
    data = Data(spec, {"train": bright, "validation": bright, "test": bright})
    save_images(bright, spec, tmp_path / "bright")
    save_images(dark, spec, tmp_path / "dark")
    mean1, cov1 = program_statistics(tmp_path / "bright", hub, monkeypatch)
    mean2, cov2 = program_statistics(tmp_path / "dark", hub, monkeypatch)
    basis = np.linalg.eigh(cov1 + cov2)[1][:, -14:]
    expected = calculate_frechet_distance(
        np.zeros(14), basis.T @ cov1 @ basis, np.zeros(14), basis.T @ cov2 @ basis
    ) + float((mean1 - mean2) @ (mean1 - mean2))

    weights = hub / "hub" / "checkpoints" / WEIGHTS_NAME
    metric = FrechetInception(samples=8, weights=str(weights))
    reference = metric.reference(data)
    assert reference["mean"] == pytest.approx(mean1, rel=1e-4, abs=1e-5 * abs(mean1).max())
    samples = {"final": dark, "final_confined": bright}
    scores = list(metric.scores(trained(data, samples), reference))
    assert [score.metric for score in scores] == ["fid_inception", "fid_inception_confined"]
    assert scores[0].value == pytest.approx(expected, rel=1e-4)
    assert scores[1].value == pytest.approx(0, abs=1e-8 * expected)


def test_grey_images_equal_their_three_channel_copies(hub: Path) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 17, (2, 64), dtype=np.uint8)
    weights = str(hub / "hub" / "checkpoints" / WEIGHTS_NAME)
    found = []
    for channels in (1, 3):
        spec = DataSpec("fake", "image", (channels, 8, 8), 17)
        metric = FrechetInception(samples=2, weights=weights)
        digest = inception._sha256(Path(weights))
        network = metric.extractor(spec, {"weights_sha256": np.array(digest)})
        found.append(features_of(np.tile(pixels, channels), spec, network))
    assert found[0].shape == (2, 2048)
    assert np.array_equal(found[0], found[1])


def test_other_weights_than_the_reference_s_are_refused(hub: Path) -> None:
    weights = str(hub / "hub" / "checkpoints" / WEIGHTS_NAME)
    metric = FrechetInception(samples=2, weights=weights)
    with pytest.raises(RuntimeError, match=r"weights of the reference statistics \(sha256 0000"):
        metric.extractor(image_data().spec, {"weights_sha256": np.array("0" * 64)})


def test_without_weights_the_metric_warns_once_and_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "absent.pth"
    metric = FrechetInception(samples=5, weights=str(path))
    data = image_data()
    with caplog.at_level(logging.WARNING):
        reference = metric.reference(data)
    assert reference == {}
    assert list(metric.scores(trained(data, {}), reference)) == []
    [record] = caplog.records
    assert str(path) in record.getMessage() and WEIGHTS_NAME in record.getMessage()


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, home: Path, answer: Any) -> Iterator[None]:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(home))
    monkeypatch.setattr("urllib.request.urlopen", answer)
    yield


def test_an_unreachable_host_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(url: str, timeout: float) -> Any:
        assert 0 < timeout <= 60
        raise TimeoutError("timed out")

    with served(monkeypatch, tmp_path, refuse):
        assert FrechetInception(samples=5).reference(image_data()) == {}
    [record] = caplog.records
    assert "timed out" in record.getMessage() and str(tmp_path) in record.getMessage()


def test_a_damaged_download_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"not the weights")

    def open_source(url: str, timeout: float) -> Any:
        return source.open("rb")

    with served(monkeypatch, tmp_path, open_source):
        assert inception.find_weights(None) is None
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert "damaged" in caplog.text


def test_the_cache_is_used_without_a_download(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(url: str, timeout: float) -> Any:
        raise AssertionError("downloaded")

    with served(monkeypatch, hub / "hub", forbidden):
        assert inception.find_weights(None) == hub / "hub" / "checkpoints" / WEIGHTS_NAME


def test_other_numbers_of_channels_are_refused() -> None:
    data = image_data((2, 4, 4))
    with pytest.raises(ValueError, match="got 2 channels, allowed: 1 or 3"):
        FrechetInception(samples=5).reference(data)
