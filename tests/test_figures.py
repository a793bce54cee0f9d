"""Every figure: it draws, says what it shows, and repeats byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawings import (
    DRAWINGS,
    atlas_panel,
    circles,
    draw_curves,
    draw_gaps,
    draw_likelihood,
    fid_table,
    gallery_rows,
    gap_table,
    history,
    images,
    likelihood_table,
    texts,
)
from matplotlib.figure import Figure

from vqflow.figures import (
    atlas,
    sample_grid,
    sample_matrix,
    style,
    toy_gallery,
    training_curves,
)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_with_labels_and_leaves_no_trace(name: str) -> None:
    draw, expected = DRAWINGS[name]
    before = dict(mpl.rcParams)
    figure = draw()
    figure.canvas.draw()
    assert expected <= set(texts(figure))
    assert figure.get_figwidth() <= style.WIDTH + 1e-9
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", DRAWINGS)
def test_equal_inputs_give_equal_bytes_and_no_temporary_file(name: str, tmp_path: Path) -> None:
    draw, _ = DRAWINGS[name]
    for turn in ("first", "second"):
        style.save(draw(), tmp_path / f"{turn}.png", tmp_path / f"{turn}.pdf")
    for suffix in ("png", "pdf"):
        first, second = ((tmp_path / f"{t}.{suffix}").read_bytes() for t in ("first", "second"))
        assert first == second
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    pdf = (tmp_path / "first.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert len(list(tmp_path.iterdir())) == 4


def test_another_process_without_torch_gives_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import drawings\n"
        "from vqflow.figures import style\n"
        "paths = (f'{sys.argv[2]}/b.{kind}' for kind in ('png', 'pdf'))\n"
        "style.save(drawings.draw_likelihood(drawings.likelihood_table()), *paths)\n"
        "assert 'torch' not in sys.modules"
    )
    search = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": search}
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, check=True, env=environment)
    style.save(draw_likelihood(likelihood_table()), tmp_path / "a.png", tmp_path / "a.pdf")
    for kind in ("png", "pdf"):
        first, second = (tmp_path / f"{name}.{kind}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    class Broken(Figure):
        def savefig(self, *args: object, **kwargs: object) -> None:
            raise RuntimeError("disk full")

    png = tmp_path / "a.png"
    png.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="disk full"):
        style.save(Broken(), png, tmp_path / "a.pdf")
    assert png.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: toy_gallery.draw({}),
        lambda: toy_gallery.draw({"Data": {"helix": np.empty((0, 3))}}),
        lambda: atlas.draw({}),
        lambda: draw_curves(fid_table().iloc[:0]),
        lambda: draw_likelihood(likelihood_table().iloc[:0]),
        lambda: training_curves.draw(history().iloc[:0]),
        lambda: draw_gaps(gap_table().iloc[:0]),
        lambda: sample_matrix.draw({}),
        lambda: sample_grid.draw({}, 17, "digits"),
        lambda: sample_grid.draw({"Data": np.empty((0, 1, 8, 8), np.uint8)}, 17, "digits"),
    ],
)
def test_empty_input_is_a_clear_error(draw: Callable[[], Figure]) -> None:
    with pytest.raises(ValueError, match="nothing to draw") as caught:
        draw()
    assert "\n" not in str(caught.value)


def test_a_metric_without_rows_gets_empty_panels() -> None:
    metrics = fid_table()
    drawn = draw_curves(metrics, "fid_inception")
    texts = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert texts.count("no data") == metrics["dataset"].nunique()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: toy_gallery.draw({"Data": {"ring": np.ones((5, 4))}}), r"'ring'.*\(5, 4\)"),
        (lambda: sample_grid.draw({"Data": np.ones((4, 2, 8, 8), np.uint8)}, 17, ""), "'Data'"),
        (
            lambda: atlas.AtlasPanel(
                np.ones((4, 2)),
                np.full(4, 3),
                np.ones((3, 2)),
                np.ones((1, 2)),
                np.zeros(1, int),
                None,
            ),
            "from 0 to 2",
        ),
    ],
)
def test_wrong_shapes_are_named(draw: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


@pytest.mark.parametrize(
    "figure",
    [
        lambda: toy_gallery.draw({**gallery_rows(200), "maf": {"helix": circles(200)}}),
        lambda: toy_gallery.draw({"Data": {"helix": circles(200)}, "maf": {}}),
        lambda: draw_curves(fid_table().assign(value=np.nan)),
        lambda: draw_likelihood(likelihood_table().assign(value=np.nan, status="not_finite")),
        lambda: training_curves.draw(history().assign(train_loss=np.inf, validation_loss=np.nan)),
        lambda: sample_grid.draw({**images(), "maf": np.empty((0, 1, 8, 8), np.uint8)}, 17, ""),
        lambda: atlas.draw({"a": atlas_panel(count=0)}),
    ],
)
def test_empty_panels_say_so(figure: Callable[[], Figure]) -> None:
    drawn = figure()
    drawn.canvas.draw()
    assert "no data" in texts(drawn)
