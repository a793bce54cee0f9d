"""What the shipped classifier of MNIST sees: spoilt images against the test split.

``python -m benchmarks.classifier`` writes ``benchmarks/results/classifier.{json,md}``. MNIST is
read from the folder that ``VQFLOW_DATA`` names, or from ``data/``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from vqflow.datasets.base import Data
from vqflow.datasets.images import MNIST
from vqflow.metrics.classifier import ClassifierFeatures
from vqflow.metrics.distance import FeatureMetric
from vqflow.metrics.features import features_of
from vqflow.metrics.frechet import FrechetDistance
from vqflow.metrics.kernel import KernelDistance
from vqflow.metrics.precision_recall import PrecisionRecall
from vqflow.provenance import provenance

RESULTS = Path(__file__).parent / "results"
SAMPLES = 10_000
NOISE = (0.05, 0.1, 0.2, 0.4)
BLUR = (0.5, 1.0, 2.0)
MISSING = (1, 2, 5)

Pixels = NDArray[np.uint8]


def main() -> None:
    """Measures all, and writes the table."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.classifier", description=__doc__
    ).parse_args()
    data = MNIST().load("mnist", Path(os.environ.get("VQFLOW_DATA", "data")))
    table = measure(data, SAMPLES, NOISE)
    content = {**provenance(), "samples": SAMPLES, "rows": table.to_dict("records")}
    (RESULTS / "classifier.json").write_text(json.dumps(content, indent=1) + "\n")
    (RESULTS / "classifier.md").write_text(markdown(table) + "\n")
    print(markdown(table))


def markdown(table: pd.DataFrame) -> str:
    """Gives the table for people."""
    decimals = {"fid": 1, "kid": 1}
    shown = {
        name: [f"{value:.{decimals.get(name, 2)}f}" for value in table[name]]
        for name in table.columns[1:]
    }
    text = pd.DataFrame({"": table["images"], **shown})
    return text.to_markdown(index=False, disable_numparse=True)


def measure(data: Data, samples: int, noise: Sequence[float]) -> pd.DataFrame:
    """Gives every metric of every set of images, against the test split.

    Args:
        data: MNIST.
        samples: Images in a set.
        noise: Scales of noise, see :func:`noisy`.
    """
    features = ClassifierFeatures()
    metrics: list[FeatureMetric] = [
        cls(features, samples) for cls in (FrechetDistance, KernelDistance, PrecisionRecall)
    ]
    references = [metric.reference(data) for metric in metrics]
    prepared, _ = features.of_split(data, "test")
    network = features.network(data.spec, prepared, "cpu")
    rows = []
    for name, images in sets(data, samples, noise):
        found = features_of(images, data.spec, network)
        values: dict[str, float] = {}
        for metric, reference in zip(metrics, references, strict=True):
            values |= metric.compare(found, reference)
        rows.append({"images": name, **values})
    return pd.DataFrame(rows)


def sets(data: Data, samples: int, noise: Sequence[float]) -> Iterator[tuple[str, Pixels]]:
    """Gives sets of images with their names: two as they are, then training images, spoilt."""
    whole = data.points["train"][:samples].astype(np.uint8)
    yield "training", whole
    yield "validation", data.points["validation"][:samples].astype(np.uint8)
    for scale in noise:
        yield f"noise of {scale:g}", noisy(whole, scale)
    for width in BLUR:
        yield f"blur of {width:g} pixels", blurred(whole, width)
    for count in MISSING:
        yield f"without digits below {count}", without(data, count, samples)


def noisy(images: Pixels, scale: float) -> Pixels:
    """Gives images (n, D) with normal noise; its standard deviation is in units of full white."""
    noise = np.random.default_rng(0).normal(0, 255 * scale, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def blurred(images: Pixels, width: float) -> Pixels:
    """Gives images (n, 784) after a Gaussian filter; its standard deviation is in pixels."""
    wide = images.reshape(-1, 28, 28).astype(np.float64)
    found: NDArray[np.float64] = gaussian_filter(wide, (0, width, width))
    return found.round().astype(np.uint8).reshape(len(images), -1)


def without(data: Data, count: int, samples: int) -> Pixels:
    """Gives the first training images of the digits from ``count`` on."""
    kept = data.points["train"][data.labels["train"] >= count]
    return kept[:samples].astype(np.uint8)


if __name__ == "__main__":
    main()
