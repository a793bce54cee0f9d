"""The workflow as Snakemake sees it: what runs, what runs again, and how it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, RUNS
from printed import blocks, classes, entries, lines

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]

TINY = {
    "run": "tiny",
    "seeds": [0],
    "datasets": {"helix": {"n_train": 200, "n_validation": 100, "n_test": 100}},
    "training": {"toy": {"epochs": 2}},
    "sampling": {"default": {"samples": 50, "confinement_samples": 10}},
    "atlases": {"kmeans32": {"charts": 4, "min_charts": 2, "epsilon": 0.5}},
    "metrics": {"kde_log_likelihood": {"samples": 50}},
    "figures": {"density_slice": {"points": 400}},
    "benchmarks": {
        "toys": {
            "datasets": ["helix"],
            "variants": ["realnvp", "kmeans-realnvp"],
            "metrics": ["log_likelihood", "charts"],
            "figures": ["toy_gallery", "atlas", "likelihood", "training_curves", "density_slice"],
        }
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workflow, run once on a tiny configuration."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "workflow", "config", "profiles", "envs"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    run(folder, "--configfile", "tiny.yaml")
    return folder


def run(folder: Path, *arguments: str, fails: bool = False) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("VQFLOW_DATA", None)
    result = subprocess.run(
        [*SNAKEMAKE, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    output = result.stdout + result.stderr
    assert (result.returncode != 0) == fails, output
    return output


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Gives how many jobs of each rule a dry run would run."""
    output = run(folder, "-n", *arguments)
    table = output.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.M)}


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_shipped_configuration_plans(path: Path, tmp_path: Path) -> None:
    output = run(ROOT, "-n", "--configfile", str(path), "--directory", str(tmp_path))
    assert "train_flow" in output


def test_it_makes_tables_figures_logs_and_benchmarks(project: Path) -> None:
    results = project / "results" / "tiny"
    table = pd.read_csv(results / "tables" / "metrics.csv")
    assert set(table["variant"]) == {"realnvp", "kmeans-realnvp"}
    assert table["value"].notna().all()
    for name in ("runtime.csv", "summary.csv", "summary.md", "summary.tex"):
        assert (results / "tables" / name).stat().st_size > 0
    claims = pd.read_csv(results / "claims.csv")
    assert set(claims["claim"]) >= {f"paper-{number}" for number in range(1, 6)}
    assert (results / "claims.md").read_text().startswith("# Claims, run tiny\n")
    figures = {"toy_gallery-realnvp", "atlas-kmeans-realnvp", "likelihood", "training_curves"}
    figures |= {"density_slice-helix-realnvp"}
    assert {path.stem for path in (results / "figures").iterdir()} == figures
    for name in figures:
        for suffix in ("png", "pdf"):
            assert (results / "figures" / f"{name}.{suffix}").stat().st_size > 5000
    report = (results / "report.html").read_text(encoding="utf-8")
    assert report.count("<figure ") == len(figures) and "not finished" not in report
    assert (results / "logs/flows/helix/realnvp/trials.log").read_text().count("epoch=") == 2
    assert (results / "benchmarks/flows/helix/realnvp/trials.tsv").exists()
    assert yaml.safe_load((results / "config.yaml").read_text())["run"] == "tiny"
    assert not [path for path in (results / "checkpoints").rglob("*") if path.is_file()]


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


def test_run_again_does_nothing(project: Path) -> None:
    assert "Nothing to be done" in run(project, "--configfile", "tiny.yaml")


def test_a_new_variant_runs_only_its_jobs(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["variants"] = {"mine": {"flow": "nsf", "atlas": "kmeans32", "training": "toy"}}
    config["benchmarks"]["toys"]["variants"].append("mine")
    (project / "more.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "more.yaml")
    assert jobs["train_flow"] == jobs["evaluate"] == 1
    assert not {"prepare_data", "fit_atlas", "make_reference"} & set(jobs)


def test_frames_bases_and_chosen_charts_run_from_their_entries(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["run"] = "framed"
    config["training"]["frames"] = config["training"]["toy"]
    choice = {"charts": [2, 3], "min_charts": [1, 2], "epsilon": [0.1]}
    config["atlases"]["kmeans-auto"] = {"choice": choice}
    base = {"flow": "maf", "training": "toy", "base": "chart-normal"}
    config["variants"] = {"based": {**base, "atlas": "kmeans32", "baseline": "one-base"}}
    config["variants"]["one-base"] = {**base, "atlas": "single"}
    names = ["framed-realnvp", "framed-kmeans-realnvp", "one-base", "based"]
    config["benchmarks"]["toys"] |= {"variants": names, "figures": ["atlas"]}
    (project / "framed.yaml").write_text(yaml.safe_dump(config))
    run(project, "--configfile", "framed.yaml")
    results = project / "results" / "framed"
    table = pd.read_csv(results / "tables" / "metrics.csv")
    assert set(table["variant"]) == set(names)
    assert table["value"].notna().all()
    atlases = results / "atlases" / "helix"
    assert len(pd.read_csv(atlases / "kmeans-auto/seed0/choice.csv")) == 4
    assert len(pd.read_csv(atlases / "kmeans32/seed0/choice.csv")) == 0
    config["datasets"]["helix"]["preprocess"] = []
    (project / "framed.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "framed.yaml")
    assert jobs["fit_atlas"] == 1, "of the charts that are chosen in the space of the flow"


def test_models_that_are_no_flow_run_beside_flows(project: Path) -> None:
    """The catalogue's mixture and the class of docs/extend.md, as baselines and compared."""
    (project / "my_things.py").write_text(classes())
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config |= {"run": "models"} | entries(models=["kernels"])
    config["models"]["mixture-of-gaussians"] = {"components": [1, 2]}
    config["variants"] = {
        "mixture-of-gaussians": {"baseline": "realnvp"},
        "kernels": {"model": "kernels"},
        "kmeans-realnvp": {"baseline": "kernels"},
    }
    names = ["realnvp", "mixture-of-gaussians", "kernels", "kmeans-realnvp"]
    metrics = ["log_likelihood", "ceiling", "kde_log_likelihood", "charts"]
    config["benchmarks"]["toys"] |= {"variants": names, "metrics": metrics}
    (project / "models.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "models.yaml")
    assert (jobs["fit_model"], jobs["train_flow"], jobs["fit_atlas"]) == (2, 2, 2)
    run(project, "--configfile", "models.yaml")
    tables = project / "results" / "models" / "tables"
    rows = pd.read_csv(tables / "metrics.csv", keep_default_na=False)
    rows = rows.set_index("variant")
    likelihood = rows[rows["metric"] == "log_likelihood_all"]
    assert likelihood.index.value_counts().to_dict() == dict.fromkeys(names, 2)
    assert set(rows[rows["metric"] == "leak"].index) == {"realnvp", "kmeans-realnvp"}
    assert set(rows.loc["kernels", "atlas"]) == {"none"}
    summary = pd.read_csv(tables / "summary.csv")
    gained = summary[summary["metric"] == "log_likelihood_all"].dropna(subset=["gain_mean"])
    assert set(gained["variant"]) == {"mixture-of-gaussians", "kmeans-realnvp"}
    runtime = pd.read_csv(tables / "runtime.csv", keep_default_na=False).set_index("variant")
    assert set(runtime["status"]) == {"ok"} and set(runtime.loc[["kernels"], "epochs"]) == {0}
    figures = {path.stem for path in (project / "results/models/figures").glob("*.png")}
    assert figures == {
        "atlas-kmeans-realnvp",
        "density_slice-helix-kernels",
        "density_slice-helix-realnvp",
        "likelihood",
        "toy_gallery-kernels",
        "toy_gallery-realnvp",
        "training_curves",
    }
    code = (project / "my_things.py").read_text()
    (project / "my_things.py").write_text(
        code.replace("resample(n, seed).T", "resample(n, seed).T * 1")
    )
    jobs = planned(project, "--configfile", "models.yaml")
    assert (jobs["fit_model"], jobs["evaluate"]) == (1, 1) and "train_flow" not in jobs
    (project / "my_things.py").write_text(code)


def test_a_changed_entry_retrains_what_depends_on_it(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["atlases"]["kmeans32"]["epsilon"] = 0.6
    (project / "changed.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "changed.yaml")
    assert jobs["fit_atlas"] == jobs["train_flow"] == jobs["evaluate"] == 1


def test_reordered_keys_run_nothing(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    reordered = {key: config[key] for key in reversed(config)}
    (project / "reordered.yaml").write_text(yaml.safe_dump(reordered, sort_keys=False))
    output = run(project, "-n", "--configfile", "reordered.yaml")
    assert "Nothing to be done" in output


def test_what_is_not_selected_runs_nothing(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["datasets"]["knotted"] = {"noise": 0.5}
    config["data_root"] = "elsewhere"
    (project / "unselected.yaml").write_text(yaml.safe_dump(config))
    output = run(project, "-n", "--configfile", "unselected.yaml")
    assert "Nothing to be done" in output


def test_figures_show_what_their_benchmarks_hold(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["run"] = "two"
    config["benchmarks"]["more"] = {
        "datasets": ["helix", "digits"],
        "variants": ["maf", "vq-maf"],
        "metrics": ["log_likelihood"],
        "figures": ["likelihood"],
    }
    (project / "two.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "two.yaml")
    assert jobs["plot"] == 5
    assert jobs["train_flow"] == 6


def test_a_changed_figure_is_drawn_again_alone(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["figures"]["density_slice"]["points"] = 500
    (project / "redrawn.yaml").write_text(yaml.safe_dump(config))
    jobs = planned(project, "--configfile", "redrawn.yaml")
    again = ("make_tables", "make_claims", "plot", "make_report")
    assert jobs == {"all": 1, **dict.fromkeys(again, 1)}


def test_without_weights_a_distance_and_its_figure_are_not_planned(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(project / "torch"))
    output = run(project, "-n", "--configfile", "config/mnist.yaml")
    assert output.count("metrics.fid_inception is left out: no weights at") == 1
    assert "figures/fid_curves-fid_inception" not in output
    weights = project / "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    output = run(project, "-n", "--configfile", "config/mnist.yaml")
    assert "is left out" not in output
    assert "figures/fid_curves-fid_inception" in output


def test_the_cluster_profile_plans(project: Path) -> None:
    pytest.importorskip("snakemake_executor_plugin_slurm")
    arguments = ["--workflow-profile", "profiles/slurm", "--configfile", "config/mnist.yaml"]
    assert planned(project, *arguments)["train_flow"] == 12


def test_a_mistake_stops_before_any_job(project: Path) -> None:
    output = run(
        project,
        "--configfile",
        "tiny.yaml",
        "--config",
        'variants={"realnvp": {"atlas": "singel"}}',
        fails=True,
    )
    assert "variants.realnvp.atlas: no atlas 'singel'; did you mean 'single'?" in output


def test_without_a_run_the_error_says_what_to_add(project: Path) -> None:
    output = run(project, "-n", "--workflow-profile", "none", fails=True)
    assert "add --configfile config/demo.yaml" in output


def test_a_wrong_argument_stops_at_preflight(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["flows"] = {"realnvp": {"hiden_features": [8]}}
    config["run"] = "wrong"
    (project / "wrong.yaml").write_text(yaml.safe_dump(config))
    output = run(project, "--configfile", "wrong.yaml", fails=True)
    assert (
        "flows.realnvp.hiden_features: zuko.flows.RealNVP has no such argument; did you mean"
        in output
    )
    assert not (project / "results" / "wrong" / "data").exists()


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


def test_the_report_is_made(project: Path) -> None:
    run(project, "--configfile", "tiny.yaml", "--report", "report.zip")
    assert (project / "report.zip").stat().st_size > 10_000


def test_a_figure_of_the_users_is_one_class_and_one_entry(project: Path) -> None:
    """That of docs/extend.md: at most 15 lines, drawn without training anything again."""
    assert lines("Strays") <= 15
    (project / "my_things.py").write_text(classes())
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["figures"] |= entries(figures=["strays"])["figures"]
    config["benchmarks"]["toys"]["figures"].append("strays")
    (project / "strays.yaml").write_text(yaml.safe_dump(config))
    assert planned(project, "--configfile", "strays.yaml")["plot"] == 1
    run(project, "--configfile", "strays.yaml")
    figures = project / "results" / "tiny" / "figures"
    for suffix in ("png", "pdf"):
        assert (figures / f"strays-helix.{suffix}").stat().st_size > 5000
    run(project, "--configfile", "strays.yaml", "--report", "strays.zip")
    with zipfile.ZipFile(project / "strays.zip") as report:
        pages = "".join(report.read(name).decode(errors="ignore") for name in report.namelist())
    assert "How far samples lie from the nearest point of the test split." in pages
    assert "samples of the model are coloured by the chart" in pages
    assert '"labels": {"figure": "toy gallery", "of": "realnvp"}' in pages


def test_the_printed_examples_work_when_pasted(project: Path) -> None:
    """One file of entries and one of classes, as printed: all are built, the data are made."""
    (project / "my_things.py").write_text(classes())
    (block,) = (text for text in blocks("yaml") if text.startswith("run: mine"))
    (project / "mine.yaml").write_text(block)
    (project / "data").mkdir(exist_ok=True)
    np.save(project / "data" / "points.npy", np.random.default_rng(0).normal(size=(400, 2)))
    everything = yaml.safe_load(block)
    everything["benchmarks"]["mine"]["variants"] += ["framed-two-orders", "based-two-orders"]
    everything["benchmarks"]["mine"]["datasets"] += ["heavy-tailed"]
    (project / "everything.yaml").write_text(yaml.safe_dump(everything))
    for name in ("mine.yaml", "everything.yaml"):
        output = run(project, "--configfile", name, "--until", "prepare_data")
        assert "can be built" in output
    assert (project / "results" / "mine" / "data" / "heavy-tailed.npz").exists()
