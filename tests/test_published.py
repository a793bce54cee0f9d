"""The paper's numbers: complete, with their sources, and of one file that the code vouches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqflow import published
from vqflow.files import digest
from vqflow.identity import Code

SETS = ["spherical", "helix", "lissajous", "twisted_eight", "knotted", "interlocked_circles"]
FAMILIES = ("realnvp", "maf", "cef")


@pytest.mark.parametrize("quantity", ["log_likelihood", "kde_log_likelihood"])
def test_the_tables_are_complete(quantity: str) -> None:
    assert published.datasets(quantity) == SETS
    for dataset in SETS:
        for family in FAMILIES:
            for variant in (family, f"vq-{family}"):
                found = published.find(quantity, dataset, variant)
                assert found is not None and found.half_width is not None
                assert found.source == ("table 1" if quantity == "log_likelihood" else "table 2")
                assert found.reading_error == 0


def test_vq_is_ahead_in_every_cell_of_the_tables() -> None:
    """What the paper claims; a slip in a sign or a column would show."""
    for quantity in ("log_likelihood", "kde_log_likelihood"):
        for dataset in SETS:
            for family in FAMILIES:
                pair = (
                    published.find(quantity, dataset, f"vq-{family}"),
                    published.find(quantity, dataset, family),
                )
                gain = published.difference(*pair)
                assert gain is not None and gain.value > 0


def test_the_curves_fall_and_say_how_well_they_were_read() -> None:
    curves = published.curves("frechet_distance")
    assert {variant for _, variant in curves} == {"realnvp", "vq-realnvp", "maf", "vq-maf"}
    for (dataset, variant), curve in curves.items():
        epochs = list(curve)
        assert dataset == "mnist" and epochs == sorted(epochs)
        assert curve[epochs[0]] > 1.4 * curve[epochs[-1]]
        found = published.find("frechet_distance", dataset, variant, epochs[0])
        assert found is not None and (found.reading_error, found.half_width) == (1.0, None)
        other = curves[dataset, variant.removeprefix("vq-")]
        assert all(curve[epoch] <= other[epoch] for epoch in epochs)


def test_differences_add_what_is_uncertain() -> None:
    vq, base = (published.find("log_likelihood", "helix", name) for name in ("vq-maf", "maf"))
    gain = published.difference(vq, base)
    assert gain is not None and gain.value == pytest.approx(-0.49 + 2.90)
    assert gain.half_width == pytest.approx((0.03**2 + 0.02**2) ** 0.5)
    assert published.difference(vq, published.find("log_likelihood", "digits", "maf")) is None


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert digest(published.FILE) == published.SHA256
    published._values.cache_clear()
    monkeypatch.setattr(published, "FILE", tmp_path / "values.csv")
    with pytest.raises(ValueError, match=r"values\.csv is absent, expected "):
        published.curves("frechet_distance")
    (tmp_path / "values.csv").write_text("quantity,value\n")
    with pytest.raises(ValueError, match=r"has the SHA-256 .*; install vqflow anew"):
        published.curves("frechet_distance")


def test_figures_that_show_them_know_of_their_content() -> None:
    """The file's hash is code of theirs, so that other values draw them again."""
    reached = Code().reached(["vqflow.figures.MetricCurves"])
    assert {"SHA256", "FILE"} <= reached["vqflow.published"]
