"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Allow = Annotated[
    list[str] | None,
    typer.Option(
        help="A class of your own that the model may be made of, such as my_things.TwoOrders; "
        "repeat it for more. Its module is run."
    ),
]
