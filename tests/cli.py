"""The command line, run in this process."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from vqflow.cli.app import app

COMMANDS = ("fit", "sample", "score", "info", "check", "catalogue", "new", "show")


def vqflow(*arguments: Any, code: int = 0) -> str:
    """Gives what a command prints; of one that fails its one line on stderr."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="vqflow")
    assert result.exit_code == code, result.output
    assert "\x1b" not in result.output
    if code == 0:
        return result.stdout
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("vqflow: "), result.stderr
    return result.stderr
