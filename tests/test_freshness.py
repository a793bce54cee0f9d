"""What runs again after a change: exactly what depends on it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from runs import TINY, copy_workflow, run

CLASS = '''
"""Two moons."""

from helper import SCALE
from sklearn.datasets import make_moons

from vqflow.datasets.base import SPLITS, Data, Dataset, DataSpec
from vqflow.metrics.base import Metric, Quantity, Score


class Moons(Dataset):
    kind = "vector"

    def load(self, name, data_root):
        points = {s: SCALE * make_moons(200, random_state=i)[0] for i, s in enumerate(SPLITS)}
        return Data(DataSpec(name, "vector", (2,)), points)


class Weighed(Metric):
    quantities = (Quantity("weighed", "weight", better="lower"),)
    weights_url = "https://nowhere.example/network.pth"

    def scores(self, run, reference):
        yield Score("weighed", 1.0, 1, "test")


class Counted(Metric):
    quantities = (Quantity("counted", "count", better="lower"),)

    def scores(self, run, reference):
        yield Score("counted", 1.0, 1, "test")
'''
CONFIG = {
    **TINY,
    "gather_trials": True,
    "datasets": {
        "moons": {"class": "my_things.Moons"},
        "points": {"class": "vqflow.datasets.arrays.Arrays", "path": "points.npy"},
    },
    "metrics": {
        "weighed": {"class": "my_things.Weighed"},
        "counted": {"class": "my_things.Counted"},
    },
    "benchmarks": {
        "both": {
            "datasets": ["moons", "points"],
            "variants": ["kmeans-realnvp"],
            "metrics": ["log_likelihood", "weighed", "counted"],
            "figures": ["likelihood", "training_curves"],
        }
    },
}
BOTH = ("moons", "points")
REPORTED = {"Writing the report"}
TABLED = {"Writing the tables", "Deciding the claims", "Plotting likelihood"} | REPORTED
FIGURES = {"Plotting likelihood", "Plotting training_curves"} | REPORTED


def each(*jobs: str, of: tuple[str, ...] = BOTH) -> set[str]:
    """Those jobs of some data sets."""
    return {f"{job} {dataset}" for job in jobs for dataset in of}


def all_of(dataset: str) -> set[str]:
    """All jobs of a data set, and what gathers them."""
    jobs = ("Preparing", "Fitting", "Computing", "Training", "Sampling", "Scoring")
    return each(*jobs, of=(dataset,)) | TABLED | FIGURES


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project, library included, after a tiny run; changed and restored by tests."""
    folder = copy_workflow(tmp_path_factory.mktemp("fresh"), "vqflow")
    (folder / "my_things.py").write_text(CLASS)
    (folder / "helper.py").write_text("SCALE = 2\n")
    (folder / "data").mkdir()
    np.save(folder / "data" / "points.npy", np.random.default_rng(0).normal(size=(300, 2)))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        output = run(folder, "--configfile", "tiny.yaml")
        assert output.count("metrics.weighed is left out: no weights at ") == 1
        yield folder


def again(folder: Path, *arguments: str) -> set[str]:
    """Gives the jobs of a dry run, by the first word of their message and their data set."""
    output = run(folder, "-n", "--configfile", "tiny.yaml", *arguments)
    found = set()
    for message in re.findall(r"^Job \d+: (.*)$", output, re.M):
        dataset = re.search(r"moons|points", message)
        first = message.split()[0]
        found.add(f"{first} {dataset[0]}" if dataset else " ".join(message.split()[:3]))
    assert found or "Nothing to be done" in output
    return found


@contextmanager
def edited(*files: Path, old: str = "", new: str) -> Iterator[None]:
    """Replaces a text of some files, or adds one at their end, until the context ends."""
    texts = {file: file.read_text() for file in files}
    for file, text in texts.items():
        assert old in text
        file.write_text(text.replace(old, new) if old else text + new)
    try:
        yield
    finally:
        for file, text in texts.items():
            file.write_text(text)


def test_words_repeat_nothing(project: Path) -> None:
    folders = [project / "vqflow", project / "workflow" / "scripts"]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    assert len(files) > 50
    files += [project / "my_things.py", project / "helper.py"]
    with edited(*files, new='\n# A comment.\n"""A text that does nothing."""\n'):
        assert again(project) == set()
    library = [project / "vqflow" / "training" / "loop.py", project / "my_things.py"]
    with edited(*library, old='"""T', new='"""All that t'):
        assert again(project) == set()
    os.utime(project / "data" / "points.npy")
    assert again(project) == set()


def test_what_no_job_uses_repeats_nothing(project: Path) -> None:
    files = [project / "vqflow" / name for name in ("training/loop.py", "metrics/base.py")]
    files += [project / "my_things.py", project / "vqflow" / "provenance.py"]
    with edited(*files, new="\n\ndef unused(x):\n    return x\n"):
        assert again(project) == set()


def test_a_figure_repeats_itself_alone(project: Path) -> None:
    figures = project / "vqflow" / "figures"
    with edited(figures / "likelihood.py", old="def draw(self, ", new="def draw(self, *_x, "):
        assert again(project) == {"Plotting likelihood"} | REPORTED
    with edited(figures / "style.py", old="def save(", new="def save(_x, "):
        assert again(project) == FIGURES


def test_tables_repeat_themselves_alone(project: Path) -> None:
    with edited(project / "vqflow/tables/layout.py", old='"–"', new='"-"'):
        assert again(project) == {"Writing the tables", "Deciding the claims"} | REPORTED
    with edited(project / "vqflow/claims/layout.py", old='"–"', new='"-"'):
        assert again(project) == {"Deciding the claims"} | REPORTED


def test_the_training_loop_repeats_what_trains_and_what_follows(project: Path) -> None:
    with edited(project / "vqflow/training/loop.py", old="def fit(", new="def fit(_x, "):
        jobs = again(project)
    trained = each("Training", "Sampling", "Scoring")
    assert jobs == trained | TABLED | FIGURES  # k-means has no training


def test_the_confinement_estimator_repeats_draws_and_scores_and_no_training(project: Path) -> None:
    file = project / "vqflow/models/confinement.py"
    with edited(file, old="def estimate_confinement(", new="def estimate_confinement(_x, "):
        assert again(project) == each("Sampling", "Scoring") | TABLED


def test_a_user_s_class_and_what_it_imports_repeat_their_data_set(project: Path) -> None:
    with edited(project / "my_things.py", old="make_moons(200", new="make_moons(201"):
        assert again(project) == all_of("moons")
    with edited(project / "helper.py", old="2", new="3"):
        assert again(project) == all_of("moons")
    with edited(project / "my_things.py", old='"counted", 1.0', new='"counted", 2.0'):
        assert again(project) == each("Computing", "Scoring") | TABLED


def test_a_data_file_is_seen_by_content(project: Path) -> None:
    path = project / "data" / "points.npy"
    before, state = path.read_bytes(), path.stat()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    os.utime(path, ns=(0, 0))
    assert again(project) == all_of("points")
    path.write_bytes(before)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    shutil.copytree(project / "data", project / "moved")
    assert again(project, "--config", "data_root=moved") == set()
    path.rename(project / "gone.npy")
    output = run(project, "-n", "--configfile", "tiny.yaml", fails=True)
    (project / "gone.npy").rename(path)
    assert f"datasets.points.path: no file '{path}'" in output


def test_a_metric_is_computed_when_its_weights_come(project: Path) -> None:
    path = project / "torch" / "hub" / "checkpoints" / "network.pth"
    output = run(project, "-n", "--configfile", "tiny.yaml")
    advice = "put https://nowhere.example/network.pth there and run again"
    assert f"metrics.weighed is left out: no weights at {path}; {advice}" in output
    path.parent.mkdir(parents=True)
    path.touch()
    assert again(project) == each("Computing", "Scoring") | TABLED
    path.unlink()
