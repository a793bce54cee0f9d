"""Runs through a real SLURM: equal to local ones, whatever happens on the way.

Minutes each: `make test-slurm`, where a SLURM answers.
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import yaml
from conftest import ROOT
from submitting import Make, Project, answer, copy_project, kill, queued, submitted, wait_for

pytest_plugins = ["submitting"]
pytestmark = pytest.mark.slurm

SMALL: dict[str, Any] = {
    "run": "small",
    "seeds": [0, 1],
    "datasets": {"helix": {"n_train": 400, "n_validation": 100, "n_test": 100}},
    "training": {"toy": {"epochs": 3}},
    "sampling": {"default": {"samples": 50, "confinement_samples": 10}},
    "benchmarks": {
        "toys": {
            "datasets": ["helix"],
            "variants": ["realnvp"],
            "metrics": ["log_likelihood"],
        }
    },
}
LONG_EPOCHS = 8000
PATIENT = {"epochs": LONG_EPOCHS, "patience": 200}
"""Expected to take long, and soon over."""
LONG = {**SMALL, "seeds": [0], "gather_trials": False, "training": {"toy": {"epochs": LONG_EPOCHS}}}


def training(folder: Project) -> str:
    """The lines of the long training's log."""
    return folder.log("small", "flows/helix/realnvp/*.log")


def epochs(lines: str) -> list[int]:
    return [int(number) for number in re.findall(r" epoch=(\d+)", lines)]


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, partition: str) -> dict[str, bytes]:
    """The tables of the long training run here, which others must be equal to."""
    made = copy_project(tmp_path_factory.mktemp("local") / "project", partition, LONG)
    made.run("--cores", "2", profile="default")
    return made.tables("small")


def test_the_demo_is_a_few_submissions_and_equal_to_a_local_run(make_project: Make) -> None:
    demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    here, there = make_project("here", demo), make_project("there", demo)
    start = time.monotonic()
    here.run("--cores", "2", profile="default")
    took = time.monotonic() - start
    output = there.run()
    assert there.tables("demo") == here.tables("demo")
    figures = sorted((here.folder / "results" / "demo" / "figures").glob("*.png"))
    for figure in figures:
        assert (there.folder / figure.relative_to(here.folder)).read_bytes() == figure.read_bytes()
    assert figures and 1 <= len(submitted(output)) <= 12
    assert time.monotonic() - start - took <= 1.5 * took + 30


def test_a_cancelled_training_is_submitted_again(
    make_project: Make, local: dict[str, bytes]
) -> None:
    made = make_project("cancelled", LONG)
    started = made.start()
    wait_for(lambda: len(epochs(training(made))) > 200)
    (job,) = [number for number, state in queued().items() if state == "RUNNING"]
    answer("scancel", job)
    output = made.finish(started)
    assert "Trying to restart" in output
    assert made.tables("small") == local


def test_a_time_limit_twice_over_costs_no_attempt(
    make_project: Make, local: dict[str, bytes]
) -> None:
    longer = {**LONG, "training": {"toy": {"epochs": LONG_EPOCHS, "runtime": 3}}}
    made = make_project("limited", longer, max_runtime=3)
    made.settings = {"retries": 0, "default-resources": {"slurm_extra": "'--signal=TERM@30'"}}
    made.write(longer)
    output = made.run()
    lines = training(made)
    assert lines.count("started on") >= 2, lines[:2000]
    assert lines.count("resumed") >= 1
    assert "Trying to restart" not in output
    assert made.tables("small") == local


def test_many_trainings_alike_are_one_array(make_project: Make) -> None:
    many = {**LONG, "seeds": [0, 1, 2, 3], "training": {"toy": PATIENT}}
    here, there = make_project("here", many), make_project("there", many)
    here.run("--cores", "2", profile="default")
    output = there.run()
    assert there.tables("small") == here.tables("small")
    assert "Submitted array job" in output
    assert len(submitted(output)) < 10, "4 atlases, 4 trainings, the reference, and the scores"


def test_a_job_without_enough_memory_gets_more(make_project: Make) -> None:
    starved = {**LONG, "training": {"toy": {**PATIENT, "mem_mb": 600}}}
    made = make_project("starved", starved)
    output = made.run()
    assert "memory limit" in output, "the scheduler's reason stands in the terminal"
    assert "Trying to restart" in output
    assert training(made).count("started on") >= 2


def test_an_orphan_and_its_successor_do_not_meet(
    make_project: Make, local: dict[str, bytes]
) -> None:
    made = make_project("orphan", LONG)
    started = made.start()
    wait_for(lambda: len(epochs(training(made))) > 200)
    kill(started)
    output = made.run()
    assert made.tables("small") == local
    assert "LockException" not in output
    seen = epochs(training(made))
    assert len(seen) == len(set(seen)), "no epoch was trained twice"


@pytest.mark.usefixtures("operator")
def test_a_drained_node_is_waited_for(make_project: Make) -> None:
    (node,) = set(answer("sinfo", "--noheader", "--Node", "--format=%N").split())
    made = make_project("drained", SMALL)
    answer("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        started = made.start()
        wait_for(lambda: "PENDING" in queued().values())
    finally:
        answer("scontrol", "update", f"nodename={node}", "state=resume")
    made.finish(started)
    assert b"log_likelihood" in made.tables("small")["metrics.csv"]


@pytest.mark.usefixtures("operator")
def test_jobs_go_to_the_partition_that_has_what_they_ask_for(
    make_project: Make, partition: str
) -> None:
    for name in ("cpus", "gpus"):
        answer(
            "scontrol", "create", f"partitionname={name}", "nodes=ALL", "state=up", "maxtime=240"
        )
    run = {**LONG, "training": {"toy": {"epochs": LONG_EPOCHS, "device": "cuda"}}}
    made = make_project("routed", run)
    made.partitions = {"cpus": {"max_runtime": 240}, "gpus": {"max_runtime": 240, "max_gpu": 1}}
    made.settings = {"retries": 0}
    made.write(run)
    try:
        output = made.run(fails=True)  # the GPU is pretended
    finally:
        for name in ("cpus", "gpus"):
            answer("scontrol", "delete", f"partitionname={name}")
    chosen = dict(re.findall(r"Auto-selected partition '(\w+)' for job (\w+)", output))
    by_rule = {
        rule: place for place, rule in re.findall(r"partition '(\w+)' for job (\w+)", output)
    }
    assert chosen and by_rule["fit_atlas"] == "cpus"
    assert by_rule["make_reference"] == by_rule["train_flow"] == "gpus"


def test_a_cluster_without_accounts_is_said_at_the_start(make_project: Make) -> None:
    if "accounting_storage/none" not in answer("scontrol", "show", "config"):
        pytest.skip("this cluster keeps accounts")
    made = make_project("accounts", SMALL)
    made.settings = {"slurm-status-command": "sacct"}
    made.write(SMALL)
    output = made.run(fails=True)
    assert "slurm-status-command is sacct, but the cluster keeps no accounts" in output
    assert not (made.folder / "results").exists()


def test_partitions_that_are_not_there_are_said_at_the_start(make_project: Make) -> None:
    made = make_project("absent", SMALL)
    made.partitions = {"nowhere": {"max_runtime": 60}}
    made.write(SMALL)
    assert "no partition nowhere; the cluster has" in made.run(fails=True)
