"""Features of the Inception network: equal to pytorch-fid's, and what refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pixels import image_data, trained
from pytorch_fid import fid_score
from pytorch_fid import inception as peer
from pytorch_fid.fid_score import calculate_frechet_distance

from vqflow.datasets.base import Data, DataSpec
from vqflow.files import digest
from vqflow.metrics import inception
from vqflow.metrics.features import features_of
from vqflow.metrics.frechet import FrechetDistance
from vqflow.metrics.inception import InceptionFeatures

WEIGHTS_NAME = peer.FID_WEIGHTS_URL.rpartition("/")[2]


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
