"""Runs the benchmarks and writes ``benchmarks/results/<name>.{json,md}``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pandas as pd
import torch

from benchmarks.timing import Row
from vqflow.provenance import provenance

NAMES = ("inverse", "training", "scaling", "density", "frechet")
ON_GPUS = ("training",)
PEERS = ("zuko", "nflows", "normflows", "pytorch-fid")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Runs what is asked for."""
    arguments = parse(sys.argv[1:])
    torch.set_num_threads(arguments.threads)
    for name in arguments.names or NAMES:
        rows: list[Row] = []
        module = importlib.import_module(f"benchmarks.{name}")
        for case in module.run(arguments.device) if name in ON_GPUS else module.run():
            rows += case
            print(markdown(case), flush=True)
        machine = provenance(peers={peer: version(peer) for peer in PEERS})
        content = {**machine, "rows": [asdict(row) for row in rows]}
        stem = name if arguments.device == "cpu" else f"{name}-{arguments.device}"
        (RESULTS / f"{stem}.json").write_text(json.dumps(content, indent=1) + "\n")
        (RESULTS / f"{stem}.md").write_text(markdown(rows) + "\n")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(NAMES)}; default all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args(words)
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark '{unknown.pop()}'; allowed: {', '.join(NAMES)}")
    names = arguments.names or NAMES
    here = [name for name in names if name not in ON_GPUS]
    if arguments.device == "cuda" and here:
        parser.error(f"'{here[0]}' runs on the CPU; on a GPU: {', '.join(ON_GPUS)}")
    return arguments


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
