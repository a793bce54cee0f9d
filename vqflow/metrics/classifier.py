"""Features of a small classifier: MNIST's, that is shipped, or one trained on the data."""

from __future__ import annotations

import logging
from inspect import signature

import numpy as np
import torch
from torch import Tensor, nn

from vqflow.config.limits import Count, Positive, Seed
from vqflow.datasets.base import Data, DataSpec
from vqflow.metrics import shipped
from vqflow.metrics.base import Reference
from vqflow.metrics.features import Extractor, Features, as_images
from vqflow.seeding import derive_seed
from vqflow.training.adam import Adam

_FEATURES = 128
_WEIGHTS = "weights/"
_STREAM = "fid_classifier"  # names its random streams: another name is another classifier

logger = logging.getLogger(__name__)


class Classifier(nn.Module):
    """A small convolutional network whose penultimate layer gives 128 features.

    Images larger than 16 pixels are halved twice, smaller ones once.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        """Builds the network.

        Args:
            shape: Channels, height and width of an image.
            classes: Number of classes.
        """
        super().__init__()
        channels, height, width = shape
        halvings = 2 if min(height, width) > 16 else 1
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2) if halvings == 2 else nn.Identity(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (height >> halvings) * (width >> halvings), _FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(_FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """Gives features (n, 128) of images (n, channels, height, width) in [0, 1]."""
        features: Tensor = self.body(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Gives logits (n, classes) of images (n, channels, height, width) in [0, 1]."""
        logits: Tensor = self.head(self.features(images))
        return logits


class ClassifierFeatures(Features):
    """The 128 features of a classifier that knows the data's domain, as Inception's do not.

    For MNIST its weights come with the package (:mod:`vqflow.metrics.shipped`), so that distances
    compare between machines. For other data, which need labels, it is trained once per data set
    with a fixed seed, and distances compare on one kind of machine alone. So it is for MNIST
    wherever a setting is another than its default.
    """

    label = "classifier"

    def __init__(
        self,
        steps: Count = 1000,
        batch_size: Count = 128,
        learning_rate: Positive = 3e-3,
        seed: Seed = 0,
    ) -> None:
        """Checks the settings.

        Args:
            steps: Number of training steps of the classifier.
            batch_size: Images per step.
            learning_rate: Peak of the one-cycle learning rate.
            seed: Seed of the classifier's initial weights and batches.

        Raises:
            ValueError: If a setting is out of range.
        """
        if steps < 1 or batch_size < 1 or learning_rate <= 0:
            raise ValueError(
                f"steps, batch_size, learning_rate: got {steps}, {batch_size}, {learning_rate}, "
                "allowed: above 0"
            )
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed

    def check(self, spec: DataSpec) -> None:
        """Checks the shipped weights where the images may be MNIST's."""
        if self._takes_shipped and shipped.may_fit(spec):
            shipped.check_file()

    def prepare(self, data: Data) -> Reference:
        """Gives the shipped weights where they fit, and else trains on the training split.

        Returns:
            The weights (``weights/<name>``), the number of classes and the accuracy on
            the validation split.

        Raises:
            ValueError: If the data have no labels, or the shipped file is not the expected one.
        """
        if not data.labels:
            raise ValueError("the data have no labels; choose other features, or data with labels")
        found = shipped.load_for(data) if self._takes_shipped else None
        origin = "trained on these data" if found is None else "that comes with vqflow"
        weights = self.train(data) if found is None else found
        score = accuracy(self.classifier(data.spec, weights), data, "validation")
        logger.info(
            "%s: the classifier %s, validation accuracy %.4f", data.spec.name, origin, score
        )
        return {**weights, "validation_accuracy": np.array(score)}

    def train(self, data: Data) -> Reference:
        """Trains on the training split: ``weights/<name>`` and the number of ``classes``."""
        labels = torch.from_numpy(data.labels["train"])
        classes = int(labels.max()) + 1
        network = self._train(as_images(data.points["train"], data.spec), labels, classes)
        weights = {_WEIGHTS + key: value.numpy() for key, value in network.state_dict().items()}
        return {**weights, "classes": np.array(classes)}

    @property
    def _takes_shipped(self) -> bool:
        """Whether all settings are the defaults."""
        arguments = signature(ClassifierFeatures).parameters.values()
        return all(getattr(self, argument.name) == argument.default for argument in arguments)

    def network(self, spec: DataSpec, prepared: Reference, device: str) -> Extractor:
        """Builds the classifier from its trained weights."""
        network = self.classifier(spec, prepared).to(device)

        def features(images: Tensor) -> Tensor:
            found: Tensor = network.features(images.to(device))
            return found.cpu()

        return features

    @staticmethod
    def classifier(spec: DataSpec, prepared: Reference) -> Classifier:
        """Gives the trained classifier, on the CPU, from what :meth:`prepare` gave."""
        with torch.random.fork_rng(devices=[]):
            network = Classifier(spec.shape, int(prepared["classes"]))
        network.load_state_dict(
            {
                key.removeprefix(_WEIGHTS): torch.from_numpy(np.array(value))
                for key, value in prepared.items()
                if key.startswith(_WEIGHTS)
            }
        )
        return network.eval()

    def _train(self, images: Tensor, labels: Tensor, classes: int) -> Classifier:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(_STREAM, "weights", self.seed))
            network = Classifier(tuple(images.shape[1:]), classes)
        generator = torch.Generator().manual_seed(derive_seed(_STREAM, "batches", self.seed))
        optimiser = Adam(network.parameters(), lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=self.learning_rate, total_steps=self.steps + 1
        )
        order = torch.empty(0, dtype=torch.long)
        for _ in range(self.steps):
            if len(order) < self.batch_size:
                order = torch.cat([order, torch.randperm(len(images), generator=generator)])
            batch, order = order[: self.batch_size], order[self.batch_size :]
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        return network.eval()


def accuracy(network: Classifier, data: Data, split: str) -> float:
    """Gives the share of a split's images that a classifier gives their label."""
    labels = torch.from_numpy(data.labels[split])
    with torch.no_grad():
        predicted = [
            network(images).argmax(1)
            for images in torch.split(as_images(data.points[split], data.spec), 1000)
        ]
    return float((torch.cat(predicted) == labels).double().mean())
