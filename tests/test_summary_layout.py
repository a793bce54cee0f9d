"""How a summary is laid out, in Markdown and in LaTeX."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from summaries import (
    BASELINES,
    LEAK,
    identity,
    run_table,
    score,
    table,
)

from vqflow.metrics.base import Quantity
from vqflow.tables.layout import headline_tables
from vqflow.tables.markup import summary_latex, summary_markdown
from vqflow.tables.rows import rows
from vqflow.tables.summary import summarise


@pytest.fixture
def summary() -> pd.DataFrame:
    good = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 3.0, 1: 4.1, 2: 5.0}}
    bad = {"maf": {0: 1.0, 1: 2.0, 2: 3.0}, "vq-maf": {0: 0.0, 1: 2.5, 2: math.nan}}
    few = {"maf": {0: 1.0}}
    sets = {"twisted_eight": bad, "helix": good, "knotted": few}
    parts = [table(values, dataset=name) for name, values in sets.items()]
    metrics = pd.concat([*parts, table(good, LEAK)], ignore_index=True)
    runs = pd.concat([run_table(values, name) for name, values in sets.items()])
    return summarise(metrics, runs, BASELINES)


def test_the_summary_has_the_order_of_the_runs(summary: pd.DataFrame) -> None:
    assert summary["dataset"].unique().tolist() == ["twisted_eight", "helix", "knotted"]
    helix = summary[summary["dataset"] == "helix"]
    assert helix["metric"].unique().tolist() == ["leak", "log_likelihood_all"]
    assert helix["variant"].tolist() == ["maf", "vq-maf"] * 2


def test_headlines_come_by_their_place_and_then_by_name() -> None:
    names = {"z": 10, "c": 100, "a": 100, "b": None, "leak": 50}
    quantities = [Quantity(name, headline=place) for name, place in names.items()]
    frame = rows([score(quantity, 1.0) for quantity in quantities], identity("maf", 0))
    summary = summarise(frame, run_table({"maf": {0: 1.0}}), {})
    titles = [table.title[0] for table in headline_tables(summary, ["maf"], ["helix"])]
    assert titles == ["Z", "L", "A", "C"]


def test_metrics_of_one_label_are_told_apart() -> None:
    quantities = [Quantity(name, "KDE log-likelihood") for name in ("kde", "kde_wide")]
    frame = rows([score(quantity, 1.0) for quantity in quantities], identity("maf", 0))
    summary = summarise(frame, run_table({"maf": {0: 1.0}}), {})
    titles = [table.title for table in headline_tables(summary, ["maf"], ["helix"])]
    assert [title.partition(" (")[0] for title in titles] == [
        "KDE log-likelihood, kde",
        "KDE log-likelihood, kde_wide",
    ]


def test_markdown_layout(summary: pd.DataFrame) -> None:
    text = summary_markdown(
        headline_tables(summary, ["vq-maf", "maf"], ["twisted_eight", "helix", "absent"])
    )
    lines = text.splitlines()
    assert lines[0] == (
        "**Log-likelihood, all charts (nats; test split; higher is better; "
        "mean ± 95 % confidence of 3 seeds; bold: wins over its own baseline)**"
    )
    assert lines[2] == "|  | twisted_eight | helix | parameters |"
    assert lines[3] == "| :-- | --: | --: | --: |"
    assert lines[4] == "| vq-maf | 1.25 ± 15.88 (1 diverged) | **4.03 ± 2.49** | 10 |"
    assert lines[5] == "| maf | 2.00 ± 2.48 | 2.00 ± 2.48 | 10 |"
    assert lines[7].startswith("**Log-likelihood, all charts: gain over the baseline")
    gain = "−0.25 [−9.78, 9.28] (1 pair lost) –"
    assert lines[11] == f"| vq-maf vs maf | {gain} | **+2.03 [1.89, 2.18] ✓✓** |"
    assert "**Leak (test split; lower is better; mean" in text
    assert lines.count("|  | helix | parameters |") == 1


def test_a_data_set_without_the_variant_shows_a_dash(summary: pd.DataFrame) -> None:
    [values, *_] = headline_tables(summary, ["maf", "vq-maf"], ["helix", "knotted"])
    assert values.rows["vq-maf"][1].text == "–"
    assert "1 to 3 seeds" in values.title


def test_latex_is_balanced_and_escaped(summary: pd.DataFrame) -> None:
    text = summary_latex(headline_tables(summary, ["maf", "vq-maf"], ["twisted_eight", "helix"]))
    body = "\n".join(part for part in text.splitlines() if not part.startswith("%"))
    assert r" & twisted\_eight & helix & parameters \\" in body
    assert r"vq-maf & 1.25 $\pm$ 15.88 (1 diverged) & \textbf{4.03 $\pm$ 2.49} & 10 \\" in body
    assert r"\textbf{+2.03 [1.89, 2.18] $\checkmark$$\checkmark$}" in body
    assert "95 \\% confidence" in body
    assert body.isascii()
    for name in ("table", "tabular"):
        assert body.count(rf"\begin{{{name}}}") == body.count(rf"\end{{{name}}}") == 4
    for rule in ("toprule", "midrule", "bottomrule"):
        assert body.count(rf"\{rule}") == 4
    assert body.count("{") == body.count("}")
    for row in body.splitlines():
        if row.endswith(r"\\"):
            assert row.count(" & ") in (1, 2, 3)
