"""What the paper's figure 5 shows, read off to about 1: Fréchet distances on MNIST by epoch.

The feature extractor, the number of samples and the reference split are not stated there, so
that its course may be compared with ours, and not its height.
"""

from __future__ import annotations

_REALNVP = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90)
_MAF = (10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130)

FRECHET_DISTANCE: dict[tuple[str, str], dict[int, float]] = {
    ("mnist", "realnvp"): dict(
        zip(
            _REALNVP,
            (180.5, 156.2, 144.9, 136.0, 129.4, 124.3, 116.9, 112.1, 108.5, 105.9, 104.4, 103.3),
            strict=True,
        )
    ),
    ("mnist", "vq-realnvp"): dict(
        zip(
            _REALNVP,
            (140.4, 113.6, 100.4, 91.2, 84.9, 81.6, 74.6, 72.1, 70.6, 67.6, 65.8, 64.7),
            strict=True,
        )
    ),
    ("mnist", "maf"): dict(
        zip(
            _MAF,
            (
                *(151.6, 128.2, 114.5, 106.7, 101.1, 95.2, 90.1, 86.6),
                *(85.4, 83.4, 80.3, 79.4, 77.5, 77.9, 75.8),
            ),
            strict=True,
        )
    ),
    ("mnist", "vq-maf"): dict(
        zip(
            _MAF,
            (
                *(143.5, 119.8, 104.5, 97.1, 91.8, 83.4, 77.9, 74.4),
                *(70.5, 69.1, 67.9, 67.2, 66.0, 65.5, 63.3),
            ),
            strict=True,
        )
    ),
}
"""By data set and variant, the mean over 3 trials at each epoch."""
