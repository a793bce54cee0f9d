"""A fitted model as its user sees it: arrays in, arrays out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zipfile import is_zipfile

import torch
from numpy.typing import NDArray
from torch import Tensor

from vqflow.config.setting import ModelSetting
from vqflow.files import load_json
from vqflow.library.points import Kind, Points, read_points
from vqflow.models.confinement import sample_confined
from vqflow.models.density import Model
from vqflow.models.density_store import load_any
from vqflow.models.diverged import read_divergence
from vqflow.models.store import load_origin, save_model
from vqflow.models.vqflow import VQFlow


class FittedDensity:
    """A density on R^D, read by :func:`vqflow.load`: arrays in, arrays out.

    Points are numpy arrays or torch tensors (N, D) of any floating-point type; what comes out
    is of the same kind, on the same device. Inside, the model computes in float32.

    Args:
        model: The density.
        facts: How :func:`vqflow.fit` made it; empty for a model of the workflow.

    Attributes:
        model: The same, for all else that it can do.
        facts: The same.
    """

    def __init__(self, model: Model, facts: Mapping[str, Any]) -> None:
        self.model = model
        self.facts = dict(facts)

    @property
    def features(self) -> int:
        """D, the dimension of the points."""
        return self.model.preprocessing.spec.features

    def log_prob(self, x: Points) -> Points:
        """Gives log p(x) (N,), in nats, of points x (N, D).

        Raises:
            TypeError: If x is no array of floating-point numbers.
            ValueError: If x has another shape, or a value is not finite.
        """
        with torch.no_grad():
            return self._give(self.model.log_prob(self._read(x)), x)

    def posterior(self, x: Points) -> Points:
        """Refuses: without charts there is nothing to be probable.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{self!r} has no charts, and so no posterior p(k|x) over them")

    def sample(self, n: int, seed: int | None = None) -> Any:
        """Draws points (n, D), of the kind that the model was fitted to; else of numpy's.

        Args:
            n: Number of points.
            seed: The same gives the same points; ``None`` draws from torch's global generator.

        Raises:
            ValueError: If n is less than 1.
        """
        return self._give_samples(self.model.sample, n, seed)

    def _give_samples(self, draw: Callable[..., Any], n: int, seed: int | None) -> Any:
        if n < 1:
            raise ValueError(f"n is {n}; needed: 1 or more points")
        generator = None
        if seed is not None:
            generator = torch.Generator(self.model.device).manual_seed(seed)
        drawn = draw(n, generator=generator)
        points = drawn if isinstance(drawn, Tensor) else drawn[0]
        return Kind(**self.facts.get("kind", {})).give(points)

    def _read(self, x: NDArray[Any] | Tensor) -> Tensor:
        points = read_points(x, "x", self.features)
        return points.to(self.model.device, self.model.preprocessing.like.dtype)

    @staticmethod
    def _give(values: Tensor, x: Points) -> Points:
        given: Points = Kind.of(x).give(values)
        return given

    def __repr__(self) -> str:
        name = getattr(self.model, "name", "")
        return f"FittedDensity: {name}, {self.features} dimensions"


class FittedModel(FittedDensity):
    """A VQ-Flow, made by :func:`vqflow.fit` or read by :func:`vqflow.load`.

    Args:
        model: The density: atlas, embedding and flow.
        setting: What it was built from.
        facts: How :func:`vqflow.fit` made it; empty for a model of the workflow.
        history: One row per epoch of training.

    Attributes:
        model: The same, for all else that it can do, with gradients and on any device.
        facts: The same; plain values besides, put there by the user, are saved with them.
        setting: The same.
        history: The same; empty for a model that was loaded.
    """

    model: VQFlow

    def __init__(
        self,
        model: VQFlow,
        setting: ModelSetting,
        facts: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(model, facts)
        self.setting = setting
        self.history = list(history)

    @property
    def charts(self) -> int:
        """K, the number of charts."""
        return self.model.atlas.charts

    def posterior(self, x: Points) -> Points:
        """Gives p(k|x) (N, K), how probable each chart is, of points x (N, D).

        Raises:
            TypeError: See :meth:`log_prob`.
            ValueError: See there.
        """
        with torch.no_grad():
            return self._give(self.model.posterior(self._read(x)), x)

    def sample(
        self, n: int, seed: int | None = None, support: Literal["all", "confined"] = "all"
    ) -> Any:
        """Draws points (n, D), of the kind that the model was fitted to; else of numpy's.

        Args:
            n: Number of points.
            seed: The same gives the same points; ``None`` draws from torch's global generator.
            support: ``"confined"`` draws points that fall outside their chart's region anew.

        Raises:
            ValueError: If n is less than 1, or the support unknown.
            RuntimeError: If a chart's points stay outside its region.
        """
        if support not in ("all", "confined"):
            raise ValueError(f"support is {support!r}; allowed: 'all', 'confined'")
        confined = partial(sample_confined, self.model)
        return self._give_samples(self.model.sample if support == "all" else confined, n, seed)

    def save(self, path: str | Path) -> None:
        """Writes the model to a file, which holds no pickled code; see :func:`vqflow.load`."""
        save_model(Path(path), self.model, self.setting, self.facts)

    def __repr__(self) -> str:
        atlas, embedding, training = self.model.atlas, self.setting.embedding, self.setting.training
        facts = self.facts
        lines = [f"FittedModel: {self.setting.flow.name}, {self.features} dimensions"]
        overlap = f", m = {atlas.min_charts}, ε = {atlas.epsilon:g}" if atlas.charts > 1 else ""
        among = facts.get("candidates", 1)
        chosen = f", of {among} candidates by validation" if among > 1 else ""
        lines.append(f"charts: K = {atlas.charts}{overlap}{chosen}")
        arguments = [f"{k}={v}" for k, v in embedding.arguments().items() if k != "class"]
        lines.append(f"embedding: {embedding.name}({', '.join(arguments)})")
        budget = f"at most {training.epochs} epochs"
        if facts:
            budget = f"{facts['epochs']} of {budget}, best {facts['best_epoch']}"
        rate = f"learning rate {training.learning_rate:g}"
        lines.append(f"training: {budget}, batch {training.batch_size}, {rate}")
        if facts:
            lines.append(
                f"data: {facts['points']} points, and {facts['validation_points']} for "
                f"validation ({facts['validation_log_likelihood']:.3f} nats); seed {facts['seed']}"
            )
        return "\n  ".join(lines)


def load(path: str | Path, allow: Collection[str] = ()) -> FittedDensity:
    """Loads a model: a :class:`FittedModel`, unless the workflow fitted one that is no flow.

    Args:
        path: A file that :meth:`FittedModel.save` wrote, or the folder of one that the workflow
            trained, such as ``results/demo/flows/helix/framed-vq-maf/seed0``.
        allow: Import paths of classes, such as ``"my_things.TwoOrders"``, that the file may name
            besides this library's: loading runs their code.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the file holds no model, is damaged, or names another class.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import vqflow
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> model = vqflow.fit(x, charts=1, epochs=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.pt")
        ...     again = vqflow.load(f"{folder}/model.pt")
        >>> bool((again.log_prob(x) == model.log_prob(x)).all())
        True
    """
    file = model_file(path)
    if not is_zipfile(file):
        raise ValueError(f"{file} holds no model: it is no file of torch's")
    if (reason := read_divergence(file)) is not None:
        raise ValueError(f"{file} holds no model: {reason}")
    try:
        model = load_any(file, allow=allow)
        fitted = FittedDensity(model, {})
        if isinstance(model, VQFlow):
            fitted = FittedModel(model, *load_origin(file))
    except KeyError as error:
        raise ValueError(f"{file} holds no model: it has no {error}") from error
    _warn_of_divergence(file.with_name("status.json"))
    return fitted


def model_file(path: str | Path) -> Path:
    """Gives the file of a model, from its path or its folder.

    Raises:
        FileNotFoundError: If there is none.
    """
    file = Path(path) / "model.pt" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"no model at {file}; needed: a file that save wrote, or the folder of a trained "
            "model, results/<run>/flows/<data set>/<variant>/seed<n>"
        )
    return file


def _warn_of_divergence(status: Path) -> None:
    """Warns where the workflow says beside its model that the run diverged."""
    if status.is_file() and load_json(status)["status"] == "diverged":
        warnings.warn(f"{status}: the training of this model diverged", stacklevel=3)
