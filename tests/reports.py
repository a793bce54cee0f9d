"""Runs to make reports of, from a kept one, and what is in a page."""

from __future__ import annotations

import json
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
from conftest import ROOT

KEPT = ROOT / "results" / "reference" / "digits-frames"
HOSTILE = '<script>document.title="run"</script> & "more"'


def finished_run(folder: Path) -> Path:
    """A run with all that a finished one has, one of whose trainings diverged."""
    shutil.copytree(KEPT, folder)
    figures = folder / "figures"
    for flow in ("realnvp", "maf"):
        kept = figures / f"sample_grid-digits-framed-{flow}.png"
        shutil.copy(kept, figures / f"sample_grid-digits-{flow}.png")
    table = pd.read_csv(folder / "tables" / "runtime.csv", dtype="str", keep_default_na=False)
    lost = (table["variant"] == "maf") & (table["seed"] == "1")
    table.loc[lost, "status"] = "diverged"
    table.to_csv(folder / "tables" / "runtime.csv", index=False)
    status = folder / "flows" / "digits" / "maf" / "seed1" / "status.json"
    status.parent.mkdir(parents=True)
    status.write_text(json.dumps({"status": "diverged", "reason": f"loss is nan {HOSTILE}"}))
    write_log(folder, "flows/digits/maf/trials", ended=True, text=f"INFO epoch=1 {HOSTILE}")
    return folder


def write_log(run: Path, job: str, ended: bool, text: str) -> None:
    """Writes a job's log, and its benchmark where it ended."""
    log = run / "logs" / f"{job}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"x INFO started on somewhere, process 1\n{text}\n")
    benchmark = run / "benchmarks" / f"{job}.tsv"
    if ended:
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text("s\n1\n")
        os.utime(benchmark, ns=(log.stat().st_mtime_ns,) * 2)  # clocks of files are coarse
    elif benchmark.is_file():
        os.utime(benchmark, ns=(log.stat().st_mtime_ns - 10**9,) * 2)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """Gives the attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        """All texts, with single blanks."""
        return " ".join("".join(self.texts).split())
