"""A metric of the user's, as docs/extend.md prints it: one file, one block, all tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from printed import classes, entries, lines
from small import score, train

from vqflow.config.entries import Component
from vqflow.stages.tables import make_tables

VARIANTS = ["realnvp", "kmeans-realnvp"]
SEEDS = [0, 1]


def test_a_loss_of_15_lines_is_in_all_tables_the_right_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lines("Missed") <= 15
    (tmp_path / "my_things.py").write_text(classes())
    monkeypatch.syspath_prepend(tmp_path)
    metrics = [
        Component.model_validate({"name": name, **entry})
        for name, entry in entries(metrics=["missed"])["metrics"].items()
    ]
    cells, tables = [], []
    files: dict[str, list[str]] = {"flows": [], "statuses": [], "atlases": [], "points": []}
    for variant in VARIANTS:
        runs = {}
        for seed in SEEDS:
            folder = tmp_path / variant / str(seed)
            runs[seed] = train(folder, variant, seed=seed)
            of = {"dataset": "helix", "variant": variant, "seed": seed}
            cells.append({**of, "flow": "realnvp", "atlas": "an atlas"})
            files["flows"].append(str(runs[seed]["provenance"]))
            files["statuses"].append(str(runs[seed]["status"]))
            files["atlases"].append(str(folder / "atlas.json"))
        table = score(tmp_path / variant / "0", variant, runs, *metrics)
        tables.append(str(table))
        files["points"].append(str(table.with_suffix(".npz")))
    names = {"summary": "csv", "metrics": "csv", "runtime": "csv", "markdown": "md", "latex": "tex"}
    outputs = {name: tmp_path / f"{name}.{suffix}" for name, suffix in names.items()}
    outputs |= {name: tmp_path / f"{name}.json" for name in ("provenance", "config")}
    baselines = {"kmeans-realnvp": "realnvp"}
    make_tables(
        {"run": "mine"},
        ["helix"],
        VARIANTS,
        baselines,
        cells,
        tables,
        **files,
        outputs=outputs,
    )
    table = pd.read_csv(outputs["metrics"])
    assert table["variant"].tolist() == ["realnvp"] * 2 + ["kmeans-realnvp"] * 2
    assert set(table["metric"]) == {"missed"} and set(table["better"]) == {"lower"}
    base, ours = (table.loc[table["variant"] == name, "value"].to_numpy() for name in VARIANTS)
    summary = pd.read_csv(outputs["summary"]).set_index("variant")
    gain = (base - ours).mean()
    assert summary.loc["kmeans-realnvp", "gain_mean"] == pytest.approx(gain, rel=1e-12)
    low = summary.loc["kmeans-realnvp", "gain_low"]
    assert summary.loc["kmeans-realnvp", "win"] == (low > 0)
    markdown = outputs["markdown"].read_text()
    title = "**Distance to the nearest sample (test split; lower is better; mean ± 95 % confidence"
    assert f"{title} of 2 seeds" in markdown
    assert f"| kmeans-realnvp vs realnvp | {gain:+.2f} [".replace("-0", "−0") in markdown
    assert "Distance to the nearest sample (test split; lower" in outputs["latex"].read_text()
