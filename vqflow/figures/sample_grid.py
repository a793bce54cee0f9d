"""Images of the data and of each model, side by side."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vqflow.figures.base import Inputs, RunFigure
from vqflow.figures.panels import no_data, panel_grid
from vqflow.figures.style import label, theme

Pixels = NDArray[np.uint8]

_SIDE = 10


class SampleGrid(RunFigure):
    """Images of one data set beside the samples of each variant.

    Args:
        sampler: ``"all"``, or ``"confined"`` for samples that lie in their charts' regions. A
            variant that has none has an empty panel.
    """

    kinds = ("image",)
    reads = ("data", "samples")
    per = ("dataset", "family")
    caption = """
Images of the data and of each model, for the first seed: the first ones in each case, not selected.
Plain samples, or with ``sampler: confined`` those that lie in their charts' regions.
"""

    def __init__(self, sampler: Literal["all", "confined"] = "all") -> None:
        self.stored = {"all": "final", "confined": "final_confined"}[sampler]

    def draw(self, inputs: Inputs) -> Figure:
        """Draws the test split, and beside it the samples of each variant."""
        (data,) = inputs.data.values()
        images: dict[str, Any] = {"Data": data.points["test"]}
        for cell in inputs.cells:
            images[label(cell.variant)] = inputs.samples[cell].get(self.stored, images["Data"][:0])
        blocks = {name: pixels.reshape(-1, *data.spec.shape) for name, pixels in images.items()}
        return draw(blocks, levels=data.spec.levels or 2, title=data.spec.name)


@theme()
def draw(images: dict[str, Pixels], levels: int, title: str) -> Figure:
    """Draws a square grid of the first images of each block.

    Args:
        images: Quantised pixels, (n, channels, height, width), in [0, levels), by
            block (``"Data"``, then models); one channel is grey, three are RGB.
        levels: Number of values that a pixel can take.
        title: Title of the figure.

    Raises:
        ValueError: If there is no image at all, or a block has another shape.
    """
    sizes = [len(block) for block in images.values() if len(block)]
    if not sizes:
        raise ValueError("sample grid: no images given, so there is nothing to draw")
    for name, block in images.items():
        if len(block) and (block.ndim != 4 or block.shape[1] not in (1, 3)):
            raise ValueError(
                f"sample grid: block '{name}' of shape {block.shape} (allowed: (n, 1 or 3, "
                "height, width))"
            )
    side = min(_SIDE, max(1, int(min(sizes) ** 0.5)))
    columns = 2 if len(images) == 4 else min(len(images), 3)
    figure, panels = panel_grid(len(images), columns, 7.0 / columns + 0.25 if columns > 1 else 3.6)
    for panel, (name, block) in zip(panels, images.items(), strict=True):
        panel.set_title(label(name))
        panel.grid(False)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
        if len(block) == 0:
            no_data(panel)
            panel.set_box_aspect(1)
            continue
        panel.imshow(mosaic(block, side, levels), cmap="gray", vmin=0, vmax=1, rasterized=True)
    figure.suptitle(label(title))
    return figure


def mosaic(block: Pixels, side: int, levels: int) -> NDArray[Any]:
    """Puts the first images into a square, row by row, with white lines between them.

    Args:
        block: Quantised pixels, (n, channels, height, width).
        side: Images per row and column; missing ones stay white.
        levels: Number of values that a pixel can take.

    Returns:
        Brightness in [0, 1], (rows, columns) for one channel, (rows, columns, 3) for three.
    """
    count, channels, height, width = block.shape
    gap = max(1, height // 14)
    canvas = np.ones((side * (height + gap) - gap, side * (width + gap) - gap, channels))
    for turn in range(min(count, side * side)):
        top, left = turn // side * (height + gap), turn % side * (width + gap)
        canvas[top : top + height, left : left + width] = np.moveaxis(
            block[turn].astype(np.float64) / (levels - 1), 0, -1
        )
    return canvas[..., 0] if channels == 1 else canvas
