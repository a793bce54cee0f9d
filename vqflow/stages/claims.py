"""A run's claims, from its tables."""

from __future__ import annotations

from pathlib import Path

import yaml

from vqflow.claims import own_claims, paper_claims
from vqflow.claims.layout import claims_page, claims_table
from vqflow.claims.roles import Roles
from vqflow.claims.scores import Scores
from vqflow.config.parsing import parse_config
from vqflow.files import load_text, write_text
from vqflow.tables.reading import read_scores


def make_claims(metrics: Path, config: Path, table: Path, page: Path) -> None:
    """Decides the claims of the paper and of this project.

    Args:
        metrics: The run's table of scores.
        config: What the run selected, as it was written beside the tables.
        table: Where the statements go, one row each.
        page: Where the page to read goes.
    """
    chosen = parse_config(yaml.safe_load(load_text(config)))
    scores, roles = Scores(read_scores(metrics), chosen.seeds), Roles(chosen)
    paper, own = paper_claims(scores, roles), own_claims(scores, roles)
    statements = claims_table([*paper, *own])
    write_text(table, statements.to_csv(index=False, lineterminator="\n"))
    write_text(page, claims_page(chosen.run, chosen.seeds, paper, own))
