"""The catalogue's figures: from what a run left behind to a drawing, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import CATALOGUE, images, ring
from drawings import fid_table, gap_table, history, likelihood_table, runs_of, texts
from matplotlib.figure import Figure
from small import component, train

from vqflow.config.components import ConfigError, build, build_entry
from vqflow.config.figures import Drawing
from vqflow.datasets.base import Data
from vqflow.figures import DensitySlice, Inputs, KDEBandwidth, RunFigure, SampleGrid
from vqflow.figures.density_slice import Plane, draw, principal_axes
from vqflow.metrics.kde import KDELogLikelihood
from vqflow.models.store import load_model
from vqflow.stages.figure import draw_figure

VARIANTS = ("realnvp", "vq-realnvp")


def drawing(entry: dict[str, Any], reads: tuple[str, ...], **changes: Any) -> Drawing:
    cells = [
        {
            "dataset": "helix",
            "variant": name,
            "flow": "realnvp",
            "atlas": "vq32" if "vq" in name else "single",
            "embedding": "identity",
        }
        for name in VARIANTS
    ]
    fields = {"name": "mine", "entry": {"name": "mine", **entry}, "reads": list(reads)}
    fields |= {"cells": cells, "seeds": [0, 1], "metric": None, "datasets": []}
    return Drawing.model_validate({**fields, **changes})


def inputs_of(figure: RunFigure, data: Data, **changes: Any) -> Inputs:
    """Everything that a figure can read, with samples that are the data."""
    asked = drawing({"class": "a.B"}, figure.reads, **changes)
    name = asked.cells[0].dataset
    samples = data.points["test"]
    charts = np.arange(len(samples)) % 4
    arrays = {"final": samples, "final_charts": charts}
    leaks = pd.DataFrame({"dataset": [name], "metric": ["leak"], "seed": [0], "value": [0.25]})
    tables = {
        "atlas": leaks,
        "metric_curves": fid_table(),
        "likelihood": likelihood_table(),
        "gap_closed": gap_table(),
    }
    tables["kde_bandwidth"] = leaks.assign(metric="kde_log_likelihood_bandwidth", value=0.3)
    metrics = tables.get(type(figure).__module__.rpartition(".")[2])
    centres = data.points["train"][:4]
    nearest = np.arange(len(data.points["train"])) % 4
    contents = {
        "data": {name: data},
        "log_density": {name: lambda x: None},
        "samples": {cell: arrays for cell in asked.cells},
        "charts": {cell: {"nearest": nearest, "centres": centres} for cell in asked.cells},
        "metrics": metrics,
        "runs": runs_of(fid_table() if asked.metric else likelihood_table()),
        "history": history(),
        "model": {cell: Normal for cell in asked.cells},
    }
    return Inputs(asked, {read: contents[read] for read in (*figure.reads, "log_density")})


class Normal:
    """A model whose density is standard normal."""

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1)


SHOWN = {
    "toy_gallery": {"Data", "VQ-RealNVP", "helix"},
    "atlas": {"helix: data, 4 charts", "helix: samples, leak 25.0%"},
    "likelihood": {
        "test log-likelihood, all charts\n(nats, higher is better)",
        "mean, 95 % interval",
    },
    "training_curves": {"negative log-likelihood\n(nats)", "VQ-MAF"},
    "fid_curves": {"Fréchet classifier distance\n(lower is better)", "published"},
    "gap_closed": {"gap of RealNVP (nats)", "0.95", "mean over data sets"},
    "sample_matrix": {"helix", "Data", "RealNVP", "VQ-RealNVP", "high"},
    "sample_grid": {"images", "Data", "RealNVP", "VQ-RealNVP"},
    "kde_bandwidth": {"helix", "test points", "cross-validated bandwidth", "VQ-RealNVP"},
    "density_slice": {"RealNVP", "VQ-RealNVP", "log-density (nats)", "second principal axis"},
}


@pytest.mark.parametrize("name", sorted(CATALOGUE["figures"]))
def test_every_figure_of_the_catalogue_draws_what_it_reads(name: str) -> None:
    figure = build_entry(component("figures", name), "figures", RunFigure)
    data = images() if figure.kinds == ("image",) else ring(3, name="helix")
    changes = {"metric": "fid_classifier"} if figure.per == ("metric",) else {}
    drawn = figure.draw(inputs_of(figure, data, **changes))
    drawn.canvas.draw()
    assert SHOWN[name] <= set(texts(drawn))
    assert figure.caption.strip()


@pytest.mark.parametrize("sampler", ["all", "confined"])
def test_a_grid_of_images_shows_the_samples_that_it_is_asked_for(sampler: Any) -> None:
    data = images()
    figure = SampleGrid(sampler)
    inputs = inputs_of(figure, data)
    white = np.full((9, *data.points["test"].shape[1:]), 16, np.uint8)
    samples = {"all": {"final": white}, "confined": {"final_confined": white}}
    inputs.contents["samples"] = {
        cell: samples[kind] for cell, kind in zip(inputs.cells, ("all", "confined"), strict=True)
    }
    drawn = figure.draw(inputs)
    shown = {panel.get_title(): panel.images for panel in drawn.axes}
    asked, other = ("RealNVP", "VQ-RealNVP") if sampler == "all" else ("VQ-RealNVP", "RealNVP")
    (image,) = shown[asked]
    assert np.asarray(image.get_array()).min() == 1
    assert not shown[other]


def test_curves_over_the_bandwidth_go_through_the_metric_s_own_value() -> None:
    data = ring(3, name="helix")
    figure = KDEBandwidth(lowest=0.1, highest=10.0, count=3, samples=100)
    inputs = inputs_of(figure, data)
    inputs.contents["samples"][inputs.cells[0]] = {"final": data.points["validation"]}
    inputs.contents["samples"][inputs.cells[1]] = {}
    drawn = figure.draw(inputs)
    (panel,) = drawn.axes
    curves = {str(line.get_label()): line for line in panel.lines if len(line.get_xdata()) == 3}
    scale = np.sqrt(data.points["train"].var(axis=0).mean())
    metric = KDELogLikelihood(samples=100)
    for place, bandwidth in enumerate(scale * np.array([0.1, 1.0, 10.0])):
        reference = {"bandwidth": np.array(bandwidth), "points": data.points["train"]}
        reference["floor"] = np.zeros(1)
        for name, split in (("realnvp", "validation"), ("test points", "test")):
            run: Any = SimpleNamespace(data=data, samples={"final": data.points[split]})
            value, *_ = metric.scores(run, reference)
            shown = np.asarray(curves[name].get_xydata())[place]
            assert shown == pytest.approx([bandwidth, value.value], rel=1e-9)
    assert set(curves) == {"realnvp", "test points"}
    (mark,) = [line for line in panel.lines if len(line.get_xdata()) == 2]
    assert set(mark.get_xdata()) == {0.3}
    assert "VQ-RealNVP: diverged" in texts(drawn)
    inputs.contents["metrics"] = inputs.contents["metrics"].assign(metric="leak")
    assert "cross-validated bandwidth" not in texts(figure.draw(inputs))


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 3.0}, {"samples": 0}, {"count": 1}])
def test_wrong_bandwidths_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*: got"):
        KDEBandwidth(**wrong)


def test_a_gallery_of_diverged_runs_says_so() -> None:
    figure = build_entry(component("figures", "toy_gallery"), "figures", RunFigure)
    inputs = inputs_of(figure, ring(3, name="helix"))
    inputs.contents["samples"][inputs.cells[1]].clear()
    assert texts(figure.draw(inputs)).count("no data") == 2


def test_what_is_not_stated_cannot_be_read() -> None:
    inputs = Inputs(drawing({"class": "a.B"}, ("data",)), {"data": {}})
    for read in ("samples", "charts", "metrics", "history", "runs"):
        with pytest.raises(
            ValueError, match=rf"mine: uses {read}, but a.B states reads = \('data'"
        ):
            getattr(inputs, read)
    with pytest.raises(ValueError, match="mine: uses model"):
        inputs.model(inputs.cells[0])
    assert inputs.data == {}


class Everything(RunFigure):
    """Notes what it is given."""

    reads = ("data", "samples", "charts", "history", "runs", "model")
    seen: Inputs

    def draw(self, inputs: Inputs) -> Figure:
        type(self).seen = inputs
        for cell in inputs.cells:
            assert inputs.model(cell).log_prob(torch.zeros(2, 3)).shape == (2,)
        return Figure()


class Nothing(RunFigure):
    def draw(self, inputs: Inputs) -> Any:
        return None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The files of two variants on one data set."""
    files: dict[str, list[str]] = {}
    for variant in VARIANTS:
        folder = tmp_path_factory.mktemp(variant)
        outputs = train(folder, variant)
        outputs |= {"data": folder / "data.npz", "charts": folder / "charts.npz"}
        outputs["flows"], outputs["statuses"] = outputs["provenance"], outputs["status"]
        outputs["atlases"] = folder / "atlas.json"
        for name, path in outputs.items():
            count = 2 if name in ("history", "flows", "statuses", "atlases") else 1  # of both seeds
            files.setdefault(name, []).extend([str(path)] * count)
    return files


def test_a_figure_is_given_what_the_jobs_wrote(
    trained: dict[str, list[str]], tmp_path: Path
) -> None:
    entry = {"class": "test_figure_classes.Everything"}
    helix = {"name": "helix", "class": "vqflow.datasets.toy3d.Helix"}
    asked = drawing(entry, Everything.reads, datasets=[helix])
    draw_figure(asked, trained, tmp_path / "a.png", tmp_path / "a.pdf")
    seen = build(entry, "").seen
    assert (tmp_path / "a.png").stat().st_size > 0
    assert seen.datasets == ["helix"]
    for cell in seen.cells:
        assert seen.samples[cell]["final"].shape == (60, 3)
        assert seen.charts[cell]["centres"].shape[1] == 3
    assert len(seen.history) == 2 * 2 * 4
    assert set(seen.history["variant"]) == set(VARIANTS)
    assert list(seen.runs["seed"]) == [0, 1, 0, 1]
    assert set(seen.runs["status"]) == {"ok"}
    assert seen.log_density("helix", np.zeros((1, 3))) is not None


def test_the_density_slice_draws_model_beside_truth(
    trained: dict[str, list[str]], tmp_path: Path
) -> None:
    entry = {"class": "vqflow.figures.DensitySlice", "points": 100}
    helix = {"name": "helix", "class": "vqflow.datasets.toy3d.Helix", "noise": 0.3}
    asked = drawing(entry, DensitySlice.reads, datasets=[helix])
    draw_figure(asked, trained, tmp_path / "a.png", tmp_path / "a.pdf")
    assert (tmp_path / "a.png").stat().st_size > 5000
    figure = DensitySlice(points=100)
    data = Data.load(Path(trained["data"][0]))
    inputs = inputs_of(figure, data)
    model = load_model(Path(trained["model"][1]))
    inputs.contents["model"][inputs.cells[1]] = lambda: model
    inputs.contents["log_density"]["helix"] = lambda x: -np.square(x).sum(1)
    panels = [axes for axes in figure.draw(inputs).axes if axes.get_images()]
    assert [panel.get_title() for panel in panels] == ["exact", "RealNVP", "VQ-RealNVP"]
    plane = Plane.through(data.points["train"], 100)
    x = torch.as_tensor(plane.points, dtype=torch.float32)
    with torch.no_grad():
        expected = [-np.square(plane.points).sum(1), Normal().log_prob(x), model.log_prob(x)]
    for panel, values in zip(panels, expected, strict=True):
        shown = np.asarray(panel.get_images()[0].get_array(), dtype=float)
        np.testing.assert_allclose(shown.ravel(), np.asarray(values), rtol=1e-5)


def test_the_scale_ends_at_the_highest_exact_value() -> None:
    plane = Plane.through(ring(2).points["train"], 100)
    values = {name: np.full(len(plane.points), top) for name, top in (("a", 1.0), ("b", 5.0))}
    for extra, top in (({}, 5.0), ({"exact": values["a"] + 1}, 2.0)):
        panel, *_ = draw(plane, {**extra, **values}, 10.0, "ring").axes
        assert panel.get_images()[0].get_clim() == (top - 10.0, top)


def test_the_plane_goes_through_the_mean_along_the_principal_axes() -> None:
    generator = np.random.default_rng(0)
    frame, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    cloud = generator.normal(size=(5000, 4)) * [3.0, 2.0, 0.5, 0.1] @ frame.T + 7
    axes = principal_axes(cloud)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(np.abs(axes @ frame[:, :2]), np.eye(2), atol=0.05)
    plane = Plane.through(cloud, 600)
    rows, columns = plane.shape
    assert 540 < rows * columns < 660
    assert plane.points.shape == (rows * columns, 4)
    away = plane.points - cloud.mean(axis=0)
    np.testing.assert_allclose(away - away @ axes.T @ axes, 0, atol=1e-12)
    np.testing.assert_allclose((away @ axes.T).min(axis=0), plane.box[:, 0], atol=1e-9)
    steps = (plane.box[:, 1] - plane.box[:, 0]) / (np.array([columns, rows]) - 1)
    assert steps[0] == pytest.approx(steps[1], rel=0.1)


def test_in_two_dimensions_the_slice_is_the_plane_itself() -> None:
    plane = Plane.through(ring(2).points["train"], 100)
    assert plane.names == ("$x_1$", "$x_2$")
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    np.testing.assert_allclose(np.stack([low, high], axis=1), plane.box)


def test_a_slice_of_numbers_says_where_there_are_none() -> None:
    plane = Plane.through(ring(2).points["train"], 100)
    values = {"a": np.zeros(len(plane.points)), "b": np.full(len(plane.points), np.nan)}
    assert texts(draw(plane, values, 10.0, "ring")).count("no data") == 1
    panels = draw(plane, {name: values["a"] for name in "abcde"}, 10.0, "ring").axes
    assert [panel.get_xlabel() != "" for panel in panels[:5]] == [False, False, True, True, True]
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(plane, {}, 10.0, "ring")
    with pytest.raises(ValueError, match=r"\(300, 1\) \(allowed: \(N, D\) with D at least 2"):
        Plane.through(ring(2).points["train"][:, :1], 100)


def test_a_class_that_draws_nothing_is_named(tmp_path: Path) -> None:
    asked = drawing({"class": "test_figure_classes.Nothing"}, ())
    with pytest.raises(ConfigError, match="figures.mine: .*Nothing.draw gave a NoneType, expected"):
        draw_figure(asked, {}, tmp_path / "a.png", tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())
