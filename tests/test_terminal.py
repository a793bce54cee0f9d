"""What a run says: one line a finished job, warnings that matter, and no noise."""

from __future__ import annotations

import io
import json
import logging
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_vqflow import LogHandler
from vqflow.terminal.clock import Clock, duration
from vqflow.terminal.jobs import Job


@dataclass
class Settings:
    """What Snakemake tells a logger."""

    printshellcmds: bool = False
    nocolor: bool = False
    quiet: set[Any] = field(default_factory=set)
    debug_dag: bool = False
    verbose: bool = False
    show_failed_logs: bool = True
    stdout: bool = True
    dryrun: bool = False


class Terminal:
    """A handler that is passed records as Snakemake does, and what it has printed."""

    def __init__(self, **settings: Any) -> None:
        self._stream = io.StringIO()
        with redirect_stdout(self._stream):
            self._handler = LogHandler(Settings(**settings), None)
        self._handler.setFormatter(logging.Formatter("%(message)s"))

    def say(self, message: str | None = None, level: int = logging.INFO, **told: Any) -> None:
        record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
        vars(record).update(told)
        self._handler.handle(record)

    def shown(self) -> str:
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return text


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def begin(terminal: Terminal, number: int, rule: str, output: list[str], **wildcards: str) -> None:
    terminal.say(
        event=LogEvent.JOB_INFO, jobid=number, rule_name=rule, wildcards=wildcards, output=output
    )


def finish(terminal: Terminal, number: int) -> None:
    terminal.say(event=LogEvent.JOB_FINISHED, job_id=number)


def history(path: Path, *losses: float) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"epoch": range(1, len(losses) + 1), "validation_loss": losses}).to_csv(path)
    return str(path)


def test_a_finished_training_is_one_line_with_its_validation(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.say(event=LogEvent.RUN_INFO, stats={"train_flow": 2, "all": 1, "total": 3})
    terminal.say("demo: 1 data sets", expected={"train_flow": 30.0}, cores=2)
    files = [history(tmp_path / f"seed{n}" / "history.csv", 4.0, 2.0 - n, 2.5) for n in range(2)]
    begin(terminal, 1, "train_flow", files, dataset="helix", variant="vq-maf")
    begin(terminal, 2, "train_flow", [], dataset="helix", variant="maf")
    finish(terminal, 1)
    finish(terminal, 2)
    first, second, third = terminal.shown().splitlines()
    assert first == "demo: 1 data sets: 2 jobs, about 30 s"
    assert second.startswith(
        "[1/2] trained vq-maf on helix; 2 trials, 3 epochs, validation loss 1.500; 0 s; about "
    )
    assert third.startswith("[2/2] trained maf on helix; 0 s")
    assert max(map(len, (first, second, third))) <= 100


def test_noise_is_not_shown_and_the_rest_is(terminal: Terminal) -> None:
    for noise in ("Building DAG of jobs...", "Select jobs to execute...", "Execute 2 jobs..."):
        terminal.say(noise)
    for event in (LogEvent.PROGRESS, LogEvent.JOB_STARTED, LogEvent.RESOURCES_INFO):
        terminal.say(event=event)
    assert terminal.shown() == ""
    terminal.say("Trying to restart job 3.")
    terminal.say("Error in rule train_flow", logging.ERROR, event=LogEvent.JOB_ERROR)
    terminal.say("preflight: mistakes", logging.ERROR)
    assert terminal.shown().splitlines() == [
        "Trying to restart job 3.",
        "Error in rule train_flow",
        "preflight: mistakes",
    ]


def test_a_file_that_is_no_yaml_is_named_with_its_line(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("run: x\n")
    bad.write_text("run: x\n  seeds: [1\n")
    monkeypatch.setattr("sys.argv", ["snakemake", "--configfile", str(good), str(bad)])
    terminal.say("WorkflowError:\nConfig file is not valid JSON or YAML. ...", logging.ERROR)
    assert terminal.shown().startswith(f"{bad}:2: is no YAML: ")


def test_no_escape_codes_where_there_is_no_terminal(terminal: Terminal) -> None:
    terminal.say("nothing good", logging.ERROR)
    terminal.say("take care", logging.WARNING)
    assert "\x1b" not in terminal.shown()


def test_a_dry_run_is_snakemakes_own() -> None:
    terminal = Terminal(dryrun=True)
    terminal.say("Building DAG")
    assert terminal.shown() == "Building DAG\n"


def test_files_that_cannot_be_read_do_not_silence_the_job(
    terminal: Terminal, tmp_path: Path
) -> None:
    damaged = tmp_path / "charts.npz"
    damaged.write_bytes(b"no archive")
    begin(terminal, 1, "fit_atlas", [str(damaged)], dataset="helix", atlas="vq32")
    finish(terminal, 1)
    assert "atlas vq32 on helix" in terminal.shown()


def job(rule: str, *output: Path, **wildcards: str) -> Job:
    return Job(rule, {"dataset": "helix", "variant": "vq-maf", **wildcards}, list(map(str, output)))


def test_thin_charts_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "charts.npz"
    nearest = np.repeat([0, 1, 2], [50, 9, 10])
    np.savez(path, nearest=nearest, centres=np.zeros((4, 3)))
    assert list(job("fit_atlas", path).warnings()) == [
        "2 of 4 charts have fewer than 10 training points"
    ]
    np.savez(path, nearest=np.repeat([0, 1], 10), centres=np.zeros((2, 3)))
    assert not list(job("fit_atlas", path).warnings())


def test_a_diverged_trial_is_warned_of(tmp_path: Path) -> None:
    for seed, status in enumerate(("ok", "diverged")):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        (folder / "status.json").write_text(json.dumps({"status": status, "reason": "a loss"}))
    files = [tmp_path / f"seed{seed}" / "status.json" for seed in range(2)]
    assert list(job("sample_flow", *files).warnings()) == ["seed1 diverged: a loss"]


def scores(path: Path, **columns: Any) -> Path:
    row = {
        "epoch": None,
        "metric": "log_likelihood",
        "value": 1.25,
        "unit": "nats",
        "split": "test",
        "label": "log-likelihood",
        "headline": 10,
        "worst_share": 0.02,
    }
    pd.DataFrame([{**row, **columns}]).to_csv(path, index=False)
    return path


def test_scores_that_few_points_decide_are_warned_of(tmp_path: Path) -> None:
    path = scores(tmp_path / "vq-maf.csv")
    assert job("evaluate", path).result() == "log-likelihood 1.25 nats"
    assert not list(job("evaluate", path).warnings())
    (warning,) = job("evaluate", scores(path, worst_share=0.4)).warnings()
    assert "40%" in warning and "median" in warning


@pytest.mark.parametrize(("leak", "warned"), [(0.49, False), (0.6, True)])
def test_much_leak_is_warned_of(tmp_path: Path, leak: float, warned: bool) -> None:
    path = scores(tmp_path / "vq-maf.csv", metric="leak", split="train", value=leak)
    assert bool(list(job("evaluate", path).warnings())) == warned


def test_the_clock_weighs_jobs_by_what_they_take() -> None:
    clock = Clock()
    clock.expect_jobs({"train_flow": 3, "plot": 1, "total": 4})
    clock.expect_seconds({"train_flow helix maf": 90.0, "train_flow": 30.0, "plot": 10.0}, 2)
    assert clock.opening() == ": 4 jobs, about 50 s"
    done, total, left = clock.finish(Job("plot", {}, []))
    assert (done, total) == (1, 4) and left is not None
    *_, later = clock.finish(Job("train_flow", {"dataset": "helix", "variant": "maf"}, []))
    assert later is not None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "3 s"), (99, "99 s"), (100, "2 min"), (5400, "90 min"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
