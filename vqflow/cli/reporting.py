"""What the user is told on stderr: each mistake, failure and warning in one line."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

WRONG_INPUT = 2
FAILURE = 1

_WRONG = (
    *(ValueError, TypeError, FileNotFoundError, FileExistsError),
    *(IsADirectoryError, NotADirectoryError, PermissionError),
)


def tell(message: str) -> None:
    """Writes a line to stderr."""
    typer.echo(f"vqflow: {message}", err=True)


def progress(message: str) -> None:
    """Writes a line to stderr where someone looks on, as progress bars are shown."""
    if sys.stderr.isatty():
        tell(message)


class Reporting(TyperGroup):
    """A group of commands whose errors are one line on stderr, with the code that they exit by.

    That is 2 where the input is wrong, and 1 where the work failed.
    """

    def main(self, *args: Any, **kwargs: Any) -> None:
        with _told():
            try:
                code = super().main(*args, **{**kwargs, "standalone_mode": False})
            except typer.Abort:
                code = FAILURE
            except Exception as error:
                code = _tell_error(error)
        sys.exit(code)


def _tell_error(error: Exception) -> int:
    """Says what went wrong; gives the code to exit by."""
    if hasattr(error, "format_message"):  # of click, which typer keeps to itself
        command = getattr(getattr(error, "ctx", None), "command_path", "vqflow")
        tell(f"{_one_line(error.format_message()).rstrip('.')}; see {command} --help")
        return WRONG_INPUT
    if isinstance(error, ModuleNotFoundError):
        tell(f"{error.name} is not installed; pip install 'vq-flows[workflow]' brings it")
        return FAILURE
    from vqflow.config.components import ConfigError

    if isinstance(error, ConfigError):
        for line in str(error).splitlines():
            tell(line)
        return WRONG_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        tell(f"{error.filename}: {error.strerror}")
    elif isinstance(error, (*_WRONG, RuntimeError)):
        tell(_one_line(str(error)))
    else:
        tell(f"{type(error).__name__}: {_one_line(str(error))}")
    return WRONG_INPUT if isinstance(error, _WRONG) else FAILURE


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(_one_line(record.getMessage()))


@contextmanager
def _told() -> Iterator[None]:
    """Gives warnings a line each, whether they are logged or warned of."""
    logger, handler = logging.getLogger("vqflow"), _Lines(logging.WARNING)
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    finally:
        logger.removeHandler(handler)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(f"warning: {_one_line(str(message))}")
