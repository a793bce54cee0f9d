"""Figures: one file per figure; data in, Figure out."""
