"""Kills a tiny run again and again, types the same command, and compares the tables: `make chaos`.

Kills come while it starts, some time into a job, or amid a write (``sitecustomize.py`` beside
this). All are SIGKILL to the whole process group, and what follows is the same command. A run that
ended is compared, byte by byte, with one that nothing disturbed, and a new one begun.

``python -m chaos --kills 100 --seed 0`` in ``tests/``; a kill takes 10 s or more.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from runs import ROOT, SNAKEMAKE, copy_workflow

HERE = Path(__file__).resolve().parent
RUN = """
run: tiny
seeds: [0]
datasets: {helix: {n_train: 200, n_validation: 100, n_test: 100}}
training: {toy: {epochs: 12, snapshot_interval: 2, snapshot_samples: 50}}
sampling: {default: {samples: 50, confinement_samples: 10}}
atlases: {vq32: {charts: 4, min_charts: 2, epsilon: 0.5, training: {epochs: 6}}}
models: {cif-realnvp: {training: {epochs: 3}}}
benchmarks:
  toys:
    datasets: [helix]
    variants: [realnvp, vq-realnvp, cif-realnvp]
    metrics: [log_likelihood, charts]
    figures: []
"""
COMMAND = [*SNAKEMAKE, "--configfile", "tiny.yaml"]
COMPARED = ["tables/metrics.csv", "tables/summary.csv", "tables/summary.md", "claims.csv"]
PATIENCE = 40
"""Kills of one run after which it is left in peace, to end."""


def project(folder: Path) -> Path:
    """Copies the workflow into a new folder."""
    folder.mkdir(parents=True)
    (copy_workflow(folder) / "tiny.yaml").write_text(RUN)
    return folder


def start(folder: Path, seed: str = "", share: float = 0.0) -> subprocess.Popen[bytes]:
    """Starts the run, in a process group of its own."""
    paths = [str(HERE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "CHAOS_SEED": seed,
        "CHAOS_SHARE": str(share),
        "CHAOS_LOG": str(folder / "kills.log"),
    }
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def running(folder: Path) -> list[str]:
    """Gives the rules whose scripts run."""
    rules = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text or folder.name in text:
            rules |= set(re.findall(r"scripts/tmp\w+\.(\w+)\.py", text))
    return sorted(rules)


def stage(note: str) -> str:
    """Gives what a write that was cut belongs to."""
    found = re.search(r"(?:results/tiny|\.snakemake)/([^/]*)", note)
    return f"write: {found[1] if found else 'other'}"


def disturb(folder: Path, draw: random.Random, seed: str, kills: Counter[str]) -> bool:
    """Runs once and kills; gives whether the run ended before that, and well."""
    moment = draw.choice(["write", "write", "job", "job", "start"])
    log = folder / "kills.log"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    process = start(folder, seed, 0.01 if moment == "write" else 0.0)
    jobs, begun = draw.randint(1, 4), ""
    deadline = time.monotonic() + draw.uniform(0.2, 8) if moment == "start" else None
    while process.poll() is None and (deadline is None or time.monotonic() < deadline):
        now = " and ".join(running(folder))
        if moment == "job" and deadline is None and now not in ("", begun):
            begun, jobs = now, jobs - 1
            if jobs == 0:
                deadline = time.monotonic() + draw.uniform(0, 8)
        time.sleep(0.05)
    if process.poll() is None:
        rules = running(folder) or ["snakemake"]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills["time: " + " and ".join(rules)] += 1
        return False
    notes = log.read_text().splitlines() if log.exists() else []
    if len(notes) > before:
        kills[stage(notes[before])] += 1
        return False
    if process.returncode != 0:
        sys.exit(f"chaos: the run failed, see {folder}/output.log")
    return True


def main() -> None:
    """Counts kills, and says whether all runs ended with the same tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    quiet = project(root / "quiet")
    if start(quiet).wait() != 0:
        sys.exit(f"chaos: the undisturbed run failed, see {quiet}/output.log")
    kills: Counter[str] = Counter()
    runs = 0
    while kills.total() < given.kills:
        folder, first = project(root / f"run{runs}"), kills.total()
        ended = False
        while not ended:
            if kills.total() - first >= PATIENCE or kills.total() >= given.kills:
                ended = start(folder).wait() == 0
                if not ended:
                    sys.exit(f"chaos: the run failed, see {folder}/output.log")
            else:
                ended = disturb(folder, draw, f"{given.seed} {kills.total()}", kills)
        for name in COMPARED:
            ours, theirs = (each / "results" / "tiny" / name for each in (folder, quiet))
            if ours.read_bytes() != theirs.read_bytes():
                sys.exit(f"chaos: {ours} differs from {theirs}")
        print("\n".join(f"{count:5} {name}" for name, count in sorted(kills.items())))
        left = [path for path in (folder / "results").rglob(".*-*") if path.is_file()]
        runs += 1
        print(f"{runs} runs, {kills.total()} kills, tables equal; {len(left)} temporary files left")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
