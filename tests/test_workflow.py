"""The workflow as Snakemake sees it: what runs, what runs again, and how it fails."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from runs import planned, run


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
    assert planned(project, *arguments)["train_flow"] == 18


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


def test_the_report_is_made(project: Path) -> None:
    run(project, "--configfile", "tiny.yaml", "--report", "report.zip")
    assert (project / "report.zip").stat().st_size > 10_000
