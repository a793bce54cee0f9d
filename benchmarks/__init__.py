"""Speed against peers and against our own targets: ``make bench``, or ``python -m benchmarks``."""
