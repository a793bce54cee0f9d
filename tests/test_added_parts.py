"""Runs with what users add: entries of each kind, and classes of their own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from printed import blocks, classes, entries, lines
from runs import planned, run


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
    assert jobs["plot"] == 7, "training curves, atlases and slices are of what has them"
    config["benchmarks"]["toys"]["figures"] = ["toy_gallery", "likelihood"]
    (project / "models.yaml").write_text(yaml.safe_dump(config))
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
    assert figures == {"likelihood", "toy_gallery-kernels", "toy_gallery-realnvp"}
    code = (project / "my_things.py").read_text()
    (project / "my_things.py").write_text(
        code.replace("resample(n, seed).T", "resample(n, seed).T * 1")
    )
    jobs = planned(project, "--configfile", "models.yaml")
    assert (jobs["fit_model"], jobs["evaluate"]) == (1, 1) and "train_flow" not in jobs
    (project / "my_things.py").write_text(code)


def test_frames_bases_and_chosen_charts_run_from_their_entries(project: Path) -> None:
    config = yaml.safe_load((project / "tiny.yaml").read_text())
    config["run"] = "framed"
    config["training"]["frames"] = config["training"]["toy"]
    choice = {"charts": [2, 3], "min_charts": [1, 2], "epsilon": [0.1]}
    config["atlases"]["kmeans-auto"] = {"choice": choice}
    base = {"flow": "maf", "training": "toy", "base": "chart-normal"}
    config["variants"] = {"based": {**base, "atlas": "kmeans32", "baseline": "one-base"}}
    config["variants"]["one-base"] = {**base, "atlas": "single"}
    names = ["framed-kmeans-realnvp", "one-base", "based"]
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
