"""Finished runs: the same scores in other jobs, verified, and made good after a failure."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import yaml
from runs import planned, run


def test_gathered_trials_are_one_job_and_give_the_same_scores(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config |= {"run": "gathered", "gather_trials": True, "seeds": [0, 1]}
    config["benchmarks"]["toys"]["figures"] = []
    (project / "gathered.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "gathered.yaml")
    assert jobs["train_flow"] == jobs["fit_atlas"] == 2
    run(project, "--configfile", "gathered.yaml")
    tables = [
        pd.read_csv(project / "results" / name / "tables" / "metrics.csv")
        for name in ("tiny", "gathered")
    ]
    assert set(tables[1]["seed"]) == {0, 1}
    pd.testing.assert_frame_equal(
        tables[0], tables[1][tables[1]["seed"] == 0].reset_index(drop=True)
    )
    log = project / "results/gathered/logs/flows/helix/realnvp/trials.log"
    assert log.read_text().count("epoch=") == 4


def test_verify_compares_a_finished_run_with_its_reference(project: Path) -> None:
    arguments = ["verify", "--configfile", "tiny.yaml"]
    output = run(project, *arguments, fails=True)
    assert "nothing to verify 'tiny' against: no " in output
    results, reference = project / "results" / "tiny", project / "results/reference/tiny"
    shutil.copytree(results / "tables", reference / "tables")
    shutil.copy(results / "config.yaml", reference)
    assert planned(project, *arguments) == {"verify": 1}
    output = run(project, *arguments)
    assert re.search(r"cells: \d+ equal, 0 close, 0 differs, 0 missing", output)
    assert "settings: the same" in output
    table = pd.read_csv(reference / "tables" / "metrics.csv")
    table.loc[0, "value"] += 1
    table.to_csv(reference / "tables" / "metrics.csv", index=False)
    output = run(project, *arguments, fails=True)
    assert "reference/tiny/tables/metrics.csv is damaged" in output, "it was changed by hand"
    (reference / "tables" / ".metrics.csv.sha256").unlink()
    output = run(project, *arguments, fails=True)
    assert (
        len(re.findall(r"^verify: 1 of \d+ cells differ, the first is helix/", output, re.M)) == 1
    )
    assert (pd.read_csv(results / "verify.csv")["status"] == "differs").sum() == 1


LATE = """
from pathlib import Path

from vqflow.datasets.toy3d import Helix


class Late(Helix):
    def load(self, name, data_root):
        if not Path("arrived").exists():
            raise RuntimeError("the points have not arrived")
        return super().load(name, data_root)
"""


def test_a_failed_job_is_made_good_by_running_again(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["run"] = "failed"
    config["datasets"] = {
        "mine": {"class": "late.Late", "n_train": 200, "n_validation": 100, "n_test": 100}
    }
    config["benchmarks"]["toys"] |= {"datasets": ["mine"], "variants": ["realnvp"], "figures": []}
    (project / "failed.yaml").write_text(yaml.safe_dump(config))
    (project / "late.py").write_text(LATE)
    output = run(project, "--configfile", "failed.yaml", fails=True)
    assert "RuntimeError: the points have not arrived" in output
    results = project / "results" / "failed"
    assert not list(results.rglob("*.npz")) + list(results.rglob("*.csv"))
    (project / "arrived").touch()
    run(project, "--configfile", "failed.yaml")
    assert set(pd.read_csv(results / "tables" / "metrics.csv")["dataset"]) == {"mine"}
