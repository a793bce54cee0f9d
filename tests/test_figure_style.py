"""Variants keep their colours and names in every figure."""

from __future__ import annotations

import pandas as pd
import pytest
from drawings import draw_curves, fid_table, history, line
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from vqflow.figures import style, training_curves

pytestmark = pytest.mark.filterwarnings("error")


def test_one_hue_per_family_base_lighter_and_dashed() -> None:
    table = pd.DataFrame(
        [
            ("vq-realnvp", "realnvp", "vq32"),
            ("kmeans-realnvp", "realnvp", "kmeans32"),
            ("realnvp", "realnvp", "single"),
            ("vq-zeta", "zeta", "vq32"),
            ("zeta", "zeta", "single"),
            ("alpha", "alpha", "single"),
        ],
        columns=["variant", "flow", "atlas"],
    )
    strokes = style.strokes(table)
    assert list(strokes) == ["vq-realnvp", "kmeans-realnvp", "realnvp", "vq-zeta", "zeta", "alpha"]
    for family in ("realnvp", "zeta"):
        base, full = strokes[family], strokes[f"vq-{family}"]
        assert base.colour == style.lighter(full.colour)
        assert all(a > b for a, b in zip(base.colour, full.colour, strict=True) if b < 1)
        assert (base.dash, full.dash) == ("dashed", "solid")
        assert (base.base, full.base) == (True, False)
    kmeans, vq = strokes["kmeans-realnvp"], strokes["vq-realnvp"]
    assert kmeans.colour == vq.colour
    assert (kmeans.dash, kmeans.marker) != (vq.dash, vq.marker)
    looks = {(stroke.colour, str(stroke.dash)) for stroke in strokes.values()}
    assert len(looks) == len(strokes)


def test_a_variant_looks_the_same_in_every_figure() -> None:
    strokes = style.strokes(fid_table())
    assert style.strokes(history()) == strokes
    (panel,) = draw_curves(fid_table()).axes
    for variant, stroke in strokes.items():
        assert to_hex(line(panel, variant).get_color()) == to_hex(stroke.colour)
    colours = {to_hex(item.get_color()) for item in training_curves.draw(history()).axes[0].lines}
    assert colours == {to_hex(stroke.colour) for stroke in strokes.values()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("realnvp", "RealNVP"),
        ("vq-realnvp", "VQ-RealNVP"),
        ("maf", "MAF"),
        ("interlocked_circles", "interlocked circles"),
        ("fashion_mnist", "Fashion-MNIST"),
        ("vq-mnist", "VQ-MNIST"),
        ("kmeans32", "k-means 32"),
        ("my_own-flow2", "my own-flow2"),
        ("Data", "Data"),
    ],
)
def test_labels(name: str, expected: str) -> None:
    assert style.label(name) == expected


@given(st.text(max_size=20))
def test_labelling_twice_changes_nothing(name: str) -> None:
    once = style.label(name)
    assert style.label(once) == once
