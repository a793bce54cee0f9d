"""Trains the classifier of MNIST whose weights come with the package, and writes their file.

``python -m vqflow.metrics.train_classifier``, 3 minutes on one core. MNIST is read from the
folder that ``VQFLOW_DATA`` names, or from ``data/``, and downloaded where it is not there. The same
machine writes the same bytes; on another, weights differ by rounding, and so does the file's
SHA-256, which must then stand in ``vqflow/metrics/shipped.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from vqflow.datasets.base import SPLITS, Data
from vqflow.datasets.images import MNIST
from vqflow.files import digest, save_arrays, write_text
from vqflow.metrics import shipped
from vqflow.metrics.classifier import ClassifierFeatures, accuracy

STEPS = 3000


def main() -> None:
    """Trains, writes ``mnist-classifier.npz`` and ``.json``, and says what to do."""
    torch.set_num_threads(1)
    data = MNIST().load("mnist", Path(os.environ.get("VQFLOW_DATA", "data")))
    print(f"training on {len(data.points['train']):,} images, {STEPS} steps ...", flush=True)
    found = make(data, ClassifierFeatures(steps=STEPS), shipped.FILE)
    print(f"{shipped.FILE}: {found}")
    if digest(shipped.FILE) != shipped.SHA256:
        print(f'vqflow/metrics/shipped.py: write SHA256 = "{digest(shipped.FILE)}"')


def make(data: Data, features: ClassifierFeatures, path: Path) -> dict[str, float]:
    """Trains a classifier and writes its weights, and beside them a description.

    Args:
        data: The data set to train on.
        features: The settings of the training.
        path: Where the weights go, an ``.npz`` file; the description ends in ``.json``.

    Returns:
        The accuracy by split, of the weights as they are in the file.
    """
    content = shipped.pack(features.train(data), data)
    save_arrays(path, content)
    network = features.classifier(data.spec, shipped.unpack(content))
    accuracies = {split: accuracy(network, data, split) for split in SPLITS}
    description = {
        "sha256": digest(path),
        "data": {
            "name": "MNIST, as vqflow.datasets.images.MNIST splits it with seed 0",
            "training_images": len(data.points["train"]),
            "sha256_of_images_and_labels": _data_digest(data),
        },
        "settings": {
            "steps": features.steps,
            "batch_size": features.batch_size,
            "learning_rate": features.learning_rate,
            "seed": features.seed,
        },
        "accuracy": accuracies,
        "versions": {"python": platform.python_version(), "torch": version("torch")},
    }
    write_text(path.with_suffix(".json"), json.dumps(description, indent=2) + "\n")
    return accuracies


def _data_digest(data: Data) -> str:
    """Gives the SHA-256 of the training split's pixels and labels, as bytes in its order."""
    found = hashlib.sha256(np.ascontiguousarray(data.points["train"]).tobytes())
    found.update(data.labels["train"].astype(np.uint8).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
