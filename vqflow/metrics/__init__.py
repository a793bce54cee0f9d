"""Metrics: one file per kind; `base` says what a metric is."""
