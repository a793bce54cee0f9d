"""The log-density on a plane through the data: each model's, beside the exact one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vqflow.config.limits import Count, Positive
from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import Points, limits, no_data
from vqflow.figures.style import WIDTH, label, theme

EXACT = "exact"
_WIDE = 2.0
_MARGIN = 0.06


class DensitySlice(RunFigure):
    """A slice of the log-density: a panel for the exact one, where it is known, and each variant.

    Args:
        points: About how many points the grid has.
        depth: Nats below the highest log-density where the colours end.
    """

    kinds = ("vector",)
    reads = ("data", "model")
    per = ("dataset", "family")
    caption = """
The log-density on the plane through the mean of the data along their first two principal axes:
the exact one, where the data set knows it, and that of each model (all charts), for the first
seed. All panels have one scale, which ends a fixed number of nats below the highest value; what
lies below is drawn in its darkest colour.
"""

    def __init__(self, points: Count = 60_000, depth: Positive = 20.0) -> None:
        if points < 4 or depth <= 0:
            raise ValueError(f"points is {points}, depth {depth}; allowed: 4 or more, and above 0")
        self.points = points
        self.depth = depth

    def draw(self, inputs: Inputs) -> Figure:
        """Evaluates exact density and models on the plane, and draws both."""
        import torch  # here, because the other figures do without

        (data,) = inputs.data.values()
        plane = Plane.through(data.points["train"].astype(np.float64), self.points)
        values: dict[str, Points] = {}
        exact = inputs.log_density(data.spec.name, plane.points)
        if exact is not None:
            values[EXACT] = np.asarray(exact, dtype=np.float64)
        with torch.no_grad():
            x = torch.as_tensor(plane.points, dtype=torch.float32)
            for cell in inputs.cells:
                model = inputs.model(cell)
                absent = np.full(len(x), np.nan)
                shown = absent if model is None else model.log_prob(x).double().numpy()
                values[label(cell.variant)] = shown
        return draw(plane, values, self.depth, label(data.spec.name))


@dataclass(frozen=True)
class Plane:
    """A grid on a plane through a cloud of points.

    Attributes:
        points: The grid's points in data space, (rows · columns, D), row by row.
        shape: Rows and columns of the grid.
        box: Lowest and highest coordinate along either axis of the plane, (2, 2).
        names: What the axes are.
    """

    points: Points
    shape: tuple[int, int]
    box: Points
    names: tuple[str, str]

    @classmethod
    def through(cls, cloud: Points, count: int) -> Plane:
        """Lays the plane through the mean, along the first two principal axes.

        In two dimensions that is the data's own plane, in its own coordinates.

        Args:
            cloud: Points, (N, D).
            count: About how many points the grid has; they are equally far apart on both axes.

        Raises:
            ValueError: If the points have fewer than two coordinates.
        """
        if cloud.shape[1] < 2:
            raise ValueError(
                f"density slice: points of shape {cloud.shape} (allowed: (N, D) with D at least 2)"
            )
        if cloud.shape[1] == 2:
            origin, axes, names = np.zeros(2), np.eye(2), ("$x_1$", "$x_2$")
        else:
            origin, axes = cloud.mean(axis=0), principal_axes(cloud)
            names = ("first principal axis", "second principal axis")
        box = limits((cloud - origin) @ axes.T, _MARGIN)
        sides = box[:, 1] - box[:, 0]
        spacing = (sides.prod() / count) ** 0.5
        across, up = (
            np.linspace(low, high, max(round((high - low) / spacing), 2)) for low, high in box
        )
        places = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
        return cls(origin + places @ axes, (len(up), len(across)), box, names)


def principal_axes(cloud: Points) -> NDArray[np.float64]:
    """Gives the first two principal axes (2, D) of points (N, D), their largest parts above 0."""
    _, vectors = np.linalg.eigh(np.cov(cloud, rowvar=False))
    axes = vectors[:, ::-1][:, :2].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    result: NDArray[np.float64] = axes * np.sign(largest)
    return result


@theme()
def draw(plane: Plane, values: dict[str, Points], depth: float, title: str) -> Figure:
    """Draws log-densities on a plane as images of one scale, side by side, or wide ones stacked.

    Args:
        plane: The plane.
        values: Log-densities of its points, (rows · columns,) each, by the panel's title. The
            highest exact one is the scale's upper end, or else the highest of all models.
        depth: Nats that the scale spans.
        title: Title of the figure.

    Raises:
        ValueError: If there is nothing to draw.
    """
    if not values:
        raise ValueError("density slice: no values given, so there is nothing to draw")
    sides = plane.box[:, 1] - plane.box[:, 0]
    aspect = float(sides[0] / sides[1])
    columns = 1 if aspect > _WIDE else min(len(values), 3)
    rows = -(-len(values) // columns)
    width = WIDTH if columns > 1 else 5.0
    height = min((width - 1.1) / columns / aspect, 3.5) + 0.25
    figure = Figure(figsize=(width, rows * height + 0.55), layout="constrained")
    grid: Any = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    panels = list(grid.ravel()[: len(values)])
    for unused in grid.ravel()[len(values) :]:
        unused.remove()
    top = _top(values)
    image = None
    for turn, (panel, (name, value)) in enumerate(zip(panels, values.items(), strict=True)):
        panel.set_title(name)
        panel.grid(False)
        if turn % columns == 0:
            panel.set_ylabel(plane.names[1])
        if turn + columns >= len(values):
            panel.set_xlabel(plane.names[0])
            panel.tick_params(labelbottom=True)
        if top is None or np.isnan(value).any():
            no_data(panel)
            continue
        image = panel.imshow(
            value.reshape(plane.shape),
            origin="lower",
            extent=plane.box.ravel(),
            norm=Normalize(top - depth, top),
            cmap="viridis",
            rasterized=True,
        )
    if image is not None:
        bar: dict[str, Any] = {"extend": "min", "pad": 0.01, "aspect": 30}
        figure.colorbar(image, ax=panels, label="log-density (nats)", **bar)
    figure.suptitle(title)
    return figure


def _top(values: dict[str, Points]) -> float | None:
    """The highest finite value: of the exact density where there is one, else of all models."""
    pooled = np.concatenate([values[EXACT]] if EXACT in values else list(values.values()))
    finite = pooled[np.isfinite(pooled)]
    return float(finite.max()) if len(finite) else None
