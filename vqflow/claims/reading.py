"""Reading back a run's claims."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from vqflow.claims.statement import Claim, Statement


def read_claims(path: str | Path) -> list[Claim]:
    """Reads ``claims.csv``: each claim with its statements' verdicts, without their evidence."""
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    return [
        Claim(
            key=str(key),
            title=str(rows["title"].iloc[0]),
            source=str(rows["source"].iloc[0]),
            meaning="",
            statements=[
                Statement(
                    dataset=row["dataset"],
                    variant=row["variant"],
                    against=row["against"],
                    metric=row["metric"],
                    verdict=row["verdict"],
                    p_value=float(row["p_value"] or "nan"),
                )
                for row in rows.to_dict("records")
            ],
        )
        for key, rows in table.groupby("claim", sort=False)
    ]
