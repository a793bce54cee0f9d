"""Networks that give features: the classifier, Inception, a user's module, and what is shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pixels import Pixels, image_data, trained
from pytorch_fid import fid_score
from pytorch_fid import inception as peer
from pytorch_fid.fid_score import calculate_frechet_distance
from sklearn.datasets import load_digits

from vqflow.config.entries import Component
from vqflow.datasets.base import Data, DataSpec
from vqflow.files import digest
from vqflow.metrics import inception
from vqflow.metrics.classifier import Classifier, ClassifierFeatures
from vqflow.metrics.features import as_images, features_of
from vqflow.metrics.frechet import FrechetDistance, frechet_distance, statistics
from vqflow.metrics.inception import InceptionFeatures
from vqflow.metrics.kernel import KernelDistance
from vqflow.stages.evaluate import build_metric, build_metrics

WEIGHTS_NAME = peer.FID_WEIGHTS_URL.rpartition("/")[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    metric = FrechetDistance(InceptionFeatures(str(weights)), samples=8)
    reference = metric.reference(data)
    assert reference["mean"] == pytest.approx(mean1, rel=1e-4, abs=1e-5 * abs(mean1).max())
    samples = {"final": dark, "final_confined": bright}
    scores = list(metric.scores(trained(data, samples), reference))
    assert [score.quantity for score in scores] == ["fid", "fid_confined"]
    assert metric.rows()["fid"].label == "Fréchet Inception distance"
    assert scores[0].value == pytest.approx(expected, rel=1e-4)
    assert scores[1].value == pytest.approx(0, abs=1e-8 * expected)


def test_grey_images_equal_their_three_channel_copies(hub: Path) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 17, (2, 64), dtype=np.uint8)
    weights = str(hub / "hub" / "checkpoints" / WEIGHTS_NAME)
    found = []
    for channels in (1, 3):
        spec = DataSpec("fake", "image", (channels, 8, 8), 17)
        known = {"weights_sha256": np.array(digest(weights))}
        network = InceptionFeatures(weights).network(spec, known, "cpu")
        found.append(features_of(np.tile(pixels, channels), spec, network))
    assert found[0].shape == (2, 2048)
    assert np.array_equal(found[0], found[1])


def test_other_weights_than_the_reference_s_are_refused(hub: Path) -> None:
    weights = str(hub / "hub" / "checkpoints" / WEIGHTS_NAME)
    other = {"weights_sha256": np.array("0" * 64)}
    with pytest.raises(RuntimeError, match=r"weights of the reference statistics \(sha256 0000"):
        InceptionFeatures(weights).network(image_data().spec, other, "cpu")


def test_without_weights_there_is_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "absent.pth"
    with pytest.raises(FileNotFoundError, match=f"no weights at {path}.*{WEIGHTS_NAME}"):
        FrechetDistance(InceptionFeatures(str(path)), samples=5).reference(image_data())


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, home: Path, answer: Any) -> Iterator[None]:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(home))
    monkeypatch.setattr("urllib.request.urlopen", answer)
    yield


def test_an_unreachable_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, timeout: float) -> Any:
        assert 0 < timeout <= 60
        raise TimeoutError("timed out")

    with served(monkeypatch, tmp_path, refuse):
        with pytest.raises(FileNotFoundError, match=f"no weights at {tmp_path}.*timed out"):
            InceptionFeatures().prepare(image_data())


def test_a_damaged_download_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"not the weights")

    def open_source(url: str, timeout: float) -> Any:
        return source.open("rb")

    with served(monkeypatch, tmp_path, open_source):
        with pytest.raises(FileNotFoundError, match="damaged"):
            inception.find_weights(None)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_the_cache_is_used_without_a_download(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(url: str, timeout: float) -> Any:
        raise AssertionError("downloaded")

    with served(monkeypatch, hub / "hub", forbidden):
        assert inception.find_weights(None) == hub / "hub" / "checkpoints" / WEIGHTS_NAME


def test_other_numbers_of_channels_are_refused() -> None:
    data = image_data((2, 4, 4))
    metric = FrechetDistance(InceptionFeatures(), samples=5)
    with pytest.raises(ValueError, match="got 2 channels, allowed: 1 or 3"):
        metric.check(data.spec)
    with pytest.raises(ValueError, match="'fake', metric 'fid': got 2 channels, allowed: 1 or 3"):
        metric.reference(data)
