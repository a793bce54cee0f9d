"""Captions and pages as HTML; what looks like HTML in them is shown and not run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from docutils.core import publish_parts
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markupsafe import Markup

_SAFE = {"raw_enabled": False, "file_insertion_enabled": False, "_disable_config": True}


def rst(text: str) -> Markup:
    """Gives reStructuredText as HTML; a mistake in it stands in the text."""
    parts = publish_parts(inspect.cleandoc(text), writer="html5", settings_overrides=_SAFE)
    return Markup(parts["body"])


def markdown(text: str) -> Markup:
    """Gives Markdown as HTML, tables in boxes that scroll."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
    return Markup(parser.render(text))


def _table_open(
    self: RendererProtocol,
    tokens: Sequence[Token],
    place: int,
    options: Mapping[str, Any],
    env: Mapping[str, Any],
) -> str:
    # A box that scrolls can be reached by the keyboard alone if it can have the focus.
    return '<div class="scroll" tabindex="0"><table>\n'


def _table_close(
    self: RendererProtocol,
    tokens: Sequence[Token],
    place: int,
    options: Mapping[str, Any],
    env: Mapping[str, Any],
) -> str:
    return "</table></div>\n"
