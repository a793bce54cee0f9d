"""Tables that sort, filter and can be downloaded: DataTables, by itables."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import itables
import itables.options
import pandas as pd
from itables.javascript import generate_init_offline_itables_html
from markupsafe import Markup

_DIGITS = 5
_ROWS: list[int | str | Mapping[str, Any]] = [10, 25, 100, {"label": "all", "value": -1}]


def library() -> Markup:
    """Gives DataTables itself, as a part of the page, light or dark as the reader's system is."""
    bundle = generate_init_offline_itables_html(itables.options.dt_bundle)
    loaded = re.findall(r"window\._itables_\w+", bundle)[0]
    # As itables itself does in a notebook.
    colours = f'<script type="module">(await {loaded}).set_or_remove_dark_class()</script>'
    return Markup(bundle + colours)


def read_texts(path: Path) -> pd.DataFrame:
    """Reads a table as it is written, to the last digit: a variant may be called ``nan``."""
    return pd.read_csv(path, dtype="str", keep_default_na=False)


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Gives a table for reading: real numbers with five digits."""
    return table.apply(_round)


def _round(column: pd.Series[str]) -> pd.Series[str]:
    numbers = pd.to_numeric(column.where(column != "", None), errors="coerce")
    if not numbers.notna().equals(column != "") or not column.str.contains(r"[.e]").any():
        return column
    return numbers.map(lambda value: "" if pd.isna(value) else f"{value:.{_DIGITS}g}")


def interactive(
    table: pd.DataFrame,
    name: str,
    caption: str,
    shown: Collection[str] = (),
    download: bool = False,
) -> Markup:
    """Gives a table that sorts by a click on a heading and filters by all its columns.

    Args:
        table: Texts; columns of numbers sort as such.
        name: Of letters: its place in the page, ``table-<name>``, and the file's name.
        caption: What it holds.
        shown: The columns that are seen at first, as far as there are such; nothing: all.
        download: Whether a button gives it, as it is filtered, as CSV.
    """
    columns = list(table.columns)
    hidden = [columns.index(column) for column in columns if shown and column not in shown]
    buttons: list[dict[str, str | None]] = (
        [{"extend": "colvis", "text": "Columns"}] if hidden else []
    )
    if download:
        saved = {"extend": "csvHtml5", "text": "Download as CSV", "filename": name, "title": None}
        buttons.append(saved)
    # Beside the table, not in it, where a narrow page would cut it off.
    return Markup("<p>{}:</p>\n").format(caption) + Markup(
        itables.to_html_datatable(
            table,
            table_id=f"table-{name}",
            connected=False,
            display_logo_when_loading=False,
            maxBytes=0,
            maxColumns=0,
            showIndex=False,
            classes="display compact nowrap",
            style="width:100%",
            text_in_header_can_be_selected=False,
            autoWidth=False,
            deferRender=True,
            pageLength=10,
            lengthMenu=_ROWS,
            layout={
                "topStart": {"buttons": buttons} if buttons else "info",
                "topEnd": "search",
                "bottomStart": "pageLength",
                "bottomEnd": "paging",
            },
            columnControl=["searchDropdown"],
            columnDefs=[{"targets": hidden, "visible": False}] if hidden else [],
        )
    )
