"""The command line: ``python -m vqflow`` is ``vqflow``."""

from vqflow.cli.app import app

if __name__ == "__main__":
    app(prog_name="vqflow")
