"""Runs the benchmarks and writes ``benchmarks/results/<name>.{json,md}``."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pandas as pd
import torch

from benchmarks.timing import Row
from vqflow.io import provenance

NAMES = ("inverse", "training", "density", "frechet")
PEERS = ("zuko", "nflows", "normflows", "pytorch-fid")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=list(NAMES), choices=NAMES)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    for name in parser.parse_args().names:
        rows: list[Row] = []
        for case in importlib.import_module(f"benchmarks.{name}").run():
            rows += case
            print(markdown(case), flush=True)
        machine = provenance(peers={peer: version(peer) for peer in PEERS})
        content = {**machine, "rows": [asdict(row) for row in rows]}
        (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
        (RESULTS / f"{name}.md").write_text(markdown(rows) + "\n")


def markdown(rows: Sequence[Row]) -> str:
    """Gives a table of medians and ratios."""
    table = pd.DataFrame(
        {
            "case": row.case,
            "": row.name,
            "median, ms": f"{median(row.milliseconds):.4g}" if row.milliseconds else "",
            "repeats": len(row.milliseconds) or "",
            "ratio": "" if row.ratio != row.ratio else f"{row.ratio:.3g}",
            "note": row.note,
        }
        for row in rows
    )
    return table.to_markdown(index=False, disable_numparse=True)


if __name__ == "__main__":
    main()
