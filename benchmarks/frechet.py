"""The Fréchet distance of two Gaussians at Inception's 2,048 dimensions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance

from benchmarks.timing import Row, compare
from vqflow.metrics.frechet import frechet_distance, statistics

FEATURES, SAMPLES = 2048, 10_000


def run() -> Iterator[list[Row]]:
    """Gives the rows."""
    generator = np.random.default_rng(0)
    scales = np.geomspace(1, 1e-3, FEATURES)
    first, second = (
        statistics(generator.standard_normal((SAMPLES, FEATURES)) * scales + shift)
        for shift in (0.0, 0.01)
    )
    ours = frechet_distance(*first, *second)
    theirs = calculate_frechet_distance(*first, *second)
    rows = compare(
        "Fréchet distance",
        f"{FEATURES} features",
        {
            "vqflow": lambda: frechet_distance(*first, *second),
            "pytorch-fid": lambda: calculate_frechet_distance(*first, *second),
        },
        repeats=3,
        budget=180,
    )
    note = f"relative difference {abs(ours - theirs) / theirs:.0e}"
    yield [Row(**{**vars(rows[0]), "note": note}), rows[1]]
