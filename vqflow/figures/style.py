"""The look that all figures share: theme, names, colours, and saving to disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.style
import pandas as pd
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from vqflow.config.setting import NONE
from vqflow.files import atomic_path

WIDTH = 7.0
"""Width of a double-column figure in inches."""

SINGLE_CHART = "single"
"""The atlas of every plain (base) flow."""

GREY = "0.35"
"""Colour of notes and of what belongs to no variant."""

Colour = tuple[float, float, float]

_SETTINGS = {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 3,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "vqflow",
}

_NAMES = {
    "ae": "AE",
    "bpf": "BPF",
    "cef": "CEF",
    "cfm": "CFM",
    "cif": "CIF",
    "cnf": "CNF",
    "fashion": "Fashion",
    "gaussian": "Gaussian",
    "gaussians": "Gaussians",
    "gf": "GF",
    "glow": "Glow",
    "gmm": "GMM",
    "kmeans": "k-means",
    "maf": "MAF",
    "mnist": "MNIST",
    "naf": "NAF",
    "nice": "NICE",
    "nsf": "NSF",
    "realnvp": "RealNVP",
    "sospf": "SOSPF",
    "unaf": "UNAF",
    "vq": "VQ",
    "vqae": "VQ-AE",
}

_FAMILIES = {"realnvp": 0, "maf": 1, "nsf": 2, "cef": 4}
_OTHERS = (3, 5, 9, 6, 8, 7)
_LIGHTER = 0.4
_DASHES = (("dashed", "solid"), ("dotted", "dashdot"), ((0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@contextmanager
def theme() -> Iterator[None]:
    """Applies the figures' settings; restores the caller's when it ends."""
    with matplotlib.style.context(["default", _SETTINGS]):
        yield


@cache
def palette(name: str = "colorblind", count: int | None = None) -> list[Colour]:
    """Gives the colours of one of seaborn's palettes.

    Args:
        name: The palette.
        count: How many colours; as many as the palette has if ``None``.
    """
    import seaborn as sns  # slow to import, and checking a run draws nothing

    return list(sns.color_palette(name, count))


def density_colours() -> ListedColormap:
    """Gives the scale of densities: viridis without the yellow that is lost on white."""
    return ListedColormap(palette("viridis", 256)[:236])


def label(name: str) -> str:
    """Spells a name of the catalogue as a reader expects it.

    Args:
        name: Name of a data set, flow, atlas, variant or metric, such as
            ``"vq-realnvp"`` or ``"interlocked_circles"``.

    Returns:
        The readable name, such as ``"VQ-RealNVP"`` or ``"interlocked circles"``;
        words that are not known stay as they are.
    """
    words = re.split(r"([-_\s])", name)
    text = "".join(" " if word == "_" else _word(word) for word in words)
    return text.replace("Fashion MNIST", "Fashion-MNIST")


def _word(word: str) -> str:
    """Spells one word, keeping a number at its end."""
    stem = word.rstrip("0123456789")
    number = word[len(stem) :]
    known = _NAMES.get(stem.lower())
    if known is None:
        return word
    return f"{known} {number}" if number else known


@dataclass(frozen=True)
class Stroke:
    """How a variant is drawn in every figure.

    Attributes:
        family: The flow family, which sets the hue.
        colour: Red, green and blue, each in [0, 1].
        dash: A line style of Matplotlib.
        marker: A marker of Matplotlib.
        base: Whether the variant is a plain flow (one chart).
    """

    family: str
    colour: Colour
    dash: Any
    marker: str
    base: bool


def strokes(table: pd.DataFrame) -> dict[str, Stroke]:
    """Assigns colours and line styles: one hue per flow family, base lighter and dashed.

    Args:
        table: Rows with the columns ``variant``, ``flow`` and ``atlas``.

    Returns:
        A stroke per variant, in the order of the table.
    """
    rows = table[["variant", "flow", "atlas"]].dropna().drop_duplicates("variant")
    variants = [
        (
            row["variant"] not in (row["flow"], f"vq-{row['flow']}"),
            _family(row["flow"]),
            row["atlas"] not in (SINGLE_CHART, NONE),
            row["variant"],
        )
        for row in rows.to_dict("records")
        if row["variant"] and row["flow"]
    ]
    hues = _hues({family for _, family, *_ in variants})
    seen: dict[tuple[str, bool], int] = {}
    result = {}
    for _, family, vq, variant in sorted(variants, key=lambda v: v[0]):
        turn = seen[family, vq] = seen.get((family, vq), -1) + 1
        result[variant] = Stroke(
            family=family,
            colour=hues[family] if vq else lighter(hues[family]),
            dash=_DASHES[turn % len(_DASHES)][vq],
            marker=_MARKERS[(2 * turn + vq) % len(_MARKERS)],
            base=not vq,
        )
    return {variant: result[variant] for *_, variant in variants}


def _family(flow: str) -> str:
    """The known family whose name the flow's name begins with, else the flow itself."""
    return next((family for family in _FAMILIES if flow.lower().startswith(family)), flow)


def _hues(families: set[str]) -> dict[str, Colour]:
    known = [family for family in _FAMILIES if family in families]
    others = sorted(families - set(known))
    numbers = [_FAMILIES[family] for family in known]
    numbers += [_OTHERS[turn % len(_OTHERS)] for turn in range(len(others))]
    return {
        family: to_rgb(palette()[number])
        for family, number in zip(known + others, numbers, strict=True)
    }


def lighter(colour: Colour) -> Colour:
    """The colour of a family's base flow, given that of its VQ flow."""
    red, green, blue = (channel + _LIGHTER * (1 - channel) for channel in colour)
    return red, green, blue


def save(figure: Figure, png: str | Path, pdf: str | Path) -> None:
    """Writes a figure to both files, whole or not at all; equal figures give equal bytes.

    Args:
        figure: The figure.
        png: Path of the raster image, 200 dots per inch.
        pdf: Path of the vector image, with embedded TrueType fonts and no date.
    """
    with theme():
        with atomic_path(png) as temporary:
            figure.savefig(temporary, format="png")
        with atomic_path(pdf) as temporary:
            figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})
