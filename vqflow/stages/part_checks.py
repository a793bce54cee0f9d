"""Trying the parts of a model on a few made-up points, so that mistakes show before any work."""

from __future__ import annotations

import torch
from torch import Tensor

from vqflow.atlases import VQAtlas
from vqflow.atlases.base import Atlas
from vqflow.atlases.covering import Covering as Pairs
from vqflow.atlases.quantiser import DEFAULT
from vqflow.config.components import ConfigError
from vqflow.config.entries import Component, DatasetEntry
from vqflow.models.vqflow import VQFlow
from vqflow.objectives import Objective
from vqflow.preprocessing import Bijection, Preprocessing

POINTS = 3
_FITTED = 64
_CLOSE = 1e-3
_MOST_FEATURES = 64  # of a Jacobian that takes no time


def check_preprocessing(entry: DatasetEntry, preprocessing: Preprocessing) -> None:
    """Fits a data set's bijections on points in [0, 1], and sees that they are what they say.

    Raises:
        ConfigError: If one fails, is not inverted, or has another log-determinant.
    """
    features = preprocessing.spec.features
    x = torch.rand(_FITTED, features, generator=_generator()).double()
    for number, (step, given) in enumerate(zip(preprocessing.steps, entry.preprocess, strict=True)):
        place = f"datasets.{entry.name}.preprocess.{number}: {given.class_}"
        try:
            mistake = _mistake_of(step, x)
        except Exception as error:
            mistake = f"{type(error).__name__}: {error}"
        if mistake:
            raise ConfigError(f"{place}: fails on points of {features} dimensions: {mistake}")
        x = step(x)[0]
        if not x.isfinite().all():
            return  # made-up points need not suit it


@torch.no_grad()
def _mistake_of(step: Bijection, x: Tensor) -> str:
    step.fit(x)
    y, ladj = step(x)
    if y.shape != x.shape or ladj.shape != x.shape[:1]:
        shapes = f"{tuple(y.shape)} and {tuple(ladj.shape)}"
        return f"forward gives shapes {shapes}, not {tuple(x.shape)} and {tuple(x.shape[:1])}"
    if not y.isfinite().all():
        return ""
    error = float(((step.inverse(y) - x).abs() / (1 + x.abs())).max())
    if not error < _CLOSE:
        return f"inverse(forward(x)) differs from x by {error:.2g}"
    if x.shape[1] <= _MOST_FEATURES:
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(lambda v: step(v[None])[0][0], x[0])
        expected = float(torch.linalg.slogdet(jacobian)[1])
        if not abs(float(ladj[0]) - expected) < _CLOSE * (1 + abs(expected)):
            return f"forward gives the ladj {float(ladj[0]):.4g}, its Jacobian {expected:.4g}"
    return ""


@torch.no_grad()
def check_flow(entry: Component, model: VQFlow) -> None:
    """Reads the flow's density: what it calls itself shows its mistakes at the first points.

    Raises:
        ConfigError: If it fails, or has no density at 0.
    """
    code = model.code_of(torch.arange(POINTS))
    u = torch.zeros(POINTS, model.embedding.latent_features)
    try:
        finite = model.flow.log_prob(u, code).isfinite().all()
        mistake = "" if finite else "log p is not finite"
        if not model.flow.standard:
            model.flow.sample_noise(code, _generator())
        if not any(part.requires_grad for part in model.parameters()):
            mistake = "has no parameter to train"
    except Exception as error:
        mistake = f"{type(error).__name__}: {error}"
    if mistake:
        raise ConfigError(
            f"flows.{entry.name}: fails on points of {u.shape[1]} dimensions: "
            f"{mistake}; given: {entry.arguments()}"
        )


@torch.no_grad()
def check_base(entry: Component | None, model: VQFlow) -> None:
    """Draws from a base and reads the density of what it drew.

    Raises:
        ConfigError: If it fails, or gives other shapes than it should.
    """
    if entry is None or model.base is None:
        return
    charts, features = torch.arange(POINTS), model.embedding.latent_features
    try:
        w = model.base.sample(charts, _generator())
        shapes = tuple(w.shape), tuple(model.base.log_prob(w, charts).shape)
        expected = (POINTS, features), (POINTS,)
        wrong = f"sample and log_prob give shapes {shapes}, not {expected}"
        mistake = wrong if shapes != expected else ""
    except Exception as error:
        mistake = f"{type(error).__name__}: {error}"
    if mistake:
        raise ConfigError(f"bases.{entry.name}: fails on {POINTS} charts: {mistake}")


def check_objective(entry: Component, objective: Objective) -> None:
    """Combines made-up densities of three points on one to three charts.

    Raises:
        ConfigError: If it fails, or gives something else than a finite number for each point.
    """
    charts = torch.tensor([[0, 1, 2], [1, 0, 2], [2, 0, 1]])
    covered = Pairs(charts, charts.new_ones(3, 3).tril().bool())
    log_prior = torch.full((3,), 1 / 3).log()
    try:
        pairs, log_weight = objective.choose(covered, log_prior, _generator())
        log_prob = torch.zeros(pairs.mask.shape, requires_grad=True)
        value = objective.combine(log_prob, log_weight)
        value.sum().backward()
        wrong = f"combine gives shape {tuple(value.shape)}, not (3,)"
        mistake = wrong if value.shape != (3,) else ""
        if not mistake and not value.isfinite().all():
            mistake = f"combine gives {value.tolist()} for log p(x|k) = 0"
    except Exception as error:
        mistake = f"{type(error).__name__}: {error}"
    if mistake:
        raise ConfigError(f"objectives.{entry.name}: fails on three points: {mistake}")


def check_quantiser(atlas: Atlas) -> None:
    """Quantises made-up codes by the quantiser that an atlas names, if any.

    Raises:
        ConfigError: If it fails, or does not choose the nearest of its centres.
    """
    if not isinstance(atlas, VQAtlas) or atlas.quantiser == DEFAULT:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            quantiser = atlas.build_quantiser().eval()
            quantiser.check(torch.randn(max(_FITTED, atlas.wanted_charts), atlas.wanted_code_dim))
        except ConfigError:
            raise
        except Exception as error:
            message = str(error).removeprefix(f"{atlas.quantiser_place}: ")
            raise ConfigError(f"{atlas.quantiser_place}: {message}") from error


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
