"""Data sets: one file per kind; `base` says what a data set is."""
