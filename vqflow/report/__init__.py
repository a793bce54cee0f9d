"""The report of a run: one HTML file with all that came out, which needs nothing beside it."""

from __future__ import annotations
