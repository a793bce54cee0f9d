"""What the shipped classifier of MNIST sees: spoilt training images against the test split.

``python -m benchmarks.classifier`` writes ``benchmarks/results/classifier.{json,md}``. MNIST is
read from the folder that ``VQFLOW_DATA`` names, or from ``data/``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
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
    table = measure(data, SAMPLES)
    content = {**provenance(), "samples": SAMPLES, "rows": table.to_dict("records")}
    (RESULTS / "classifier.json").write_text(json.dumps(content, indent=1) + "\n")
    text = table.to_markdown(index=False, disable_numparse=True, floatfmt=".3g")
    (RESULTS / "classifier.md").write_text(text + "\n")
    print(text)


def measure(data: Data, samples: int) -> pd.DataFrame:
    """Gives every metric of every set of images, against the test split.

    Args:
        data: MNIST.
        samples: Images in a set.
    """
    features = ClassifierFeatures()
    metrics: list[FeatureMetric] = [
        cls(features, samples) for cls in (FrechetDistance, KernelDistance, PrecisionRecall)
    ]
    references = [metric.reference(data) for metric in metrics]
    prepared, _ = features.of_split(data, "test")
    network = features.network(data.spec, prepared, "cpu")
    rows = []
    for name, images in spoilt(data, samples):
        found = features_of(images, data.spec, network)
        values: dict[str, float] = {}
        for metric, reference in zip(metrics, references, strict=True):
            values |= metric.compare(found, reference)
        rows.append({"training images": name, **values})
    return pd.DataFrame(rows)


def spoilt(data: Data, samples: int) -> Iterator[tuple[str, Pixels]]:
    """Gives sets of training images with their names, the untouched first, each fault growing."""
    whole = data.points["train"][:samples].astype(np.uint8)
    yield "as they are", whole
    for scale in NOISE:
        yield f"noise of {scale:g}", noisy(whole, scale)
    for width in BLUR:
        yield f"blur of {width:g} pixels", blurred(whole, width)
    for count in MISSING:
        yield f"digits below {count} missing", without(data, count, samples)


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
