"""Shared fixtures: the catalogue, small data sets, models built from both, and a finished run."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from runs import ROOT, TINY, copy_workflow, run
from torch import Tensor, nn

from vqflow.atlases.base import Atlas
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.config.components import build, import_class
from vqflow.datasets.base import Data, DataSpec
from vqflow.flows import ConditionalFlow, build_flow
from vqflow.models.vqflow import VQFlow
from vqflow.preprocessing import Logit, Preprocessing, Standardise

CATALOGUE: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
RUNS = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.name != "config.yaml")

LONGEST = (
    "test_added_parts",
    "test_workflow",
    "test_freshness",
    "test_finished_runs",
    "test_reproducible",
    "test_shipped_plans",
    "test_cli_new",
    "test_inception",
    "test_training",
    "test_embeddings",
)
"""Started first, so that no worker ends minutes after the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def ring(features: int = 2, n: int = 300, name: str = "ring") -> Data:
    """Points near a circle, in the first two of D coordinates, with noise in all."""
    generator = np.random.default_rng(0)
    points = {}
    for split in ("train", "validation", "test"):
        angle = generator.uniform(0, 2 * np.pi, n)
        x = 0.3 * generator.standard_normal((n, features))
        x[:, 0] += np.cos(angle)
        x[:, 1] += np.sin(angle)
        points[split] = x
    return Data(DataSpec(name, "vector", (features,)), points)


def images(n: int = 60, size: int = 8, levels: int = 17) -> Data:
    """Random images whose last row of pixels is always 0."""
    generator = np.random.default_rng(0)
    points, labels = {}, {}
    for split in ("train", "validation", "test"):
        pixels = generator.integers(0, levels, (n, 1, size, size)).astype(np.uint8)
        pixels[:, :, -1] = 0
        points[split] = pixels.reshape(n, -1)
        labels[split] = generator.integers(0, 10, n)
    return Data(DataSpec("images", "image", (1, size, size), levels), points, labels)


def skip_unless_images(flow: str, features: int) -> None:
    """Skips the flows for images where D is not the number of pixels of a square one."""
    wants = signature(import_class(CATALOGUE["flows"][flow]["class"], flow)).parameters
    if "shape" in wants and math.isqrt(features) ** 2 != features:
        pytest.skip(f"{flow} is for images")


def make_flow(flow: str, features: int, context: int, seed: int, **sizes: Any) -> ConditionalFlow:
    """Builds a flow of the catalogue, with those of the sizes that it has."""
    skip_unless_images(flow, features)
    entry = CATALOGUE["flows"][flow]
    smaller = {"scales": 2, "channels": 4, **sizes}
    entry = {**entry, **{key: size for key, size in smaller.items() if key in entry}}
    side = math.isqrt(features)
    return build_flow(entry, flow, features, context, seed, shape=(1, side, side))


def losses(task: Any, order: Tensor, batch_size: int, noise: torch.Generator) -> Iterator[Tensor]:
    """The loss of each batch of the training points ``order``, with the weights as they are."""
    for batch in task.batches(order, batch_size, noise, static=False):
        yield task.loss(*batch)


@torch.no_grad()
def disturb(module: nn.Module) -> None:
    """Changes all weights, so that no layer is the identity that it may start as."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.mul_(1.5).add_(0.05 * noise)


PIXELS = [
    {"class": "vqflow.preprocessing.Logit", "alpha": 0.01},
    {"class": "vqflow.preprocessing.Standardise"},
]
"""A data set's entry ``preprocess`` that suits images."""


def standardised(
    spec: DataSpec, logit: float | None = None, min_scale: float = 0.0
) -> Preprocessing:
    """Gives a standardising preprocessing, after a logit where an α is given, not fitted yet."""
    first = [] if logit is None else [Logit(spec.features, logit)]
    return Preprocessing(spec, [*first, Standardise(spec.features, min_scale)])


def make_model(
    flow: str,
    data: Data,
    atlas: Atlas | None = None,
    logit: float | None = None,
    dtype: torch.dtype = torch.float64,
) -> VQFlow:
    """Builds an untrained model of the catalogue's flow on four overlapping charts."""
    if atlas is None:
        atlas = KMeansAtlas(data.spec, charts=4, min_charts=2, epsilon=0.3)
        atlas.fit(data, seed=0)
    preprocessing = standardised(data.spec, logit)
    preprocessing.fit(data.points["train"], seed=0)
    embedding = build(CATALOGUE["embeddings"]["identity"], "", features=data.spec.features)
    sizes = {"transforms": 2, "hidden_features": [16, 16]}
    built = make_flow(flow, data.spec.features, atlas.code_dim, seed=1, **sizes)
    disturb(built)
    return VQFlow(preprocessing, atlas, embedding, built).to(dtype).eval()


BY_CODE = sorted(
    name
    for name, entry in CATALOGUE["flows"].items()
    if "charts" not in signature(import_class(entry["class"], name)).parameters
)
"""The flows of the catalogue that are told of a chart by its code, and not by its number."""


@pytest.fixture(params=BY_CODE)
def flow_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workflow after a tiny run, made by the first of the workers that needs it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    folder = shared / "finished"
    with FileLock(shared / "finished.lock"):
        if not folder.exists():
            making = shared / "unfinished"
            making.mkdir()
            (copy_workflow(making) / "tiny.yaml").write_text(yaml.safe_dump(TINY))
            run(making, "--configfile", "tiny.yaml")
            making.rename(folder)
    return folder


@pytest.fixture(scope="module")
def project(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run for one file of tests."""
    folder = tmp_path_factory.mktemp("project")
    return shutil.copytree(finished, folder, dirs_exist_ok=True)
