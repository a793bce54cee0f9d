"""Snakemake finds a logger plugin by the name of its module; what it prints: vqflow/terminal/."""

from vqflow.terminal.handler import RunHandler as LogHandler

__all__ = ["LogHandler"]
