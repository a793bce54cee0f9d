"""The command line: ``python -m vqflow`` is ``vqflow``."""

from vqflow.cli.app import app

app(prog_name="vqflow")
