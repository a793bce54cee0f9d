"""The command line as a whole: help, errors, streams, and what it imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from cli import COMMANDS, vqflow
from conftest import ROOT
from typer.testing import CliRunner

import vqflow as library
from vqflow.cli.app import app
from vqflow.cli.reporting import Reporting
from vqflow.config.components import ConfigError


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with good and bad files."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(30, 2)))
    np.save("flat.npy", np.zeros(3))
    Path("words.csv").write_text("a,b\n1,2\n3,x\n")
    Path("notes.txt").write_text("no table")
    Path("m.pt").write_text("no model")
    Path("bad.yaml").write_text("a: [")
    Path("folder.csv").mkdir()
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(command: str) -> None:
    text = vqflow(command, "--help")
    assert f"Example: vqflow {command} " in text
    assert max(map(len, text.splitlines())) <= 80


def test_help_names_every_command_and_version_the_library() -> None:
    assert vqflow() == vqflow("--help")
    assert all(f"\n  {command} " in vqflow("--help") for command in COMMANDS)
    assert "..." not in vqflow("--help").partition("Commands:")[2]
    assert vqflow("--version") == f"vqflow {library.__version__}\n"


def test_the_shell_completes_commands() -> None:
    asked = {"_VQFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "vqflow s", "COMP_CWORD": "1"}
    result = CliRunner().invoke(app, env=asked, prog_name="vqflow")
    assert (result.exit_code, result.stdout.split()) == (0, ["sample", "score", "show"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("shw", "No such command 'shw'.* 'show'"),
        ("fit", "Missing argument"),
        ("fit x.npy", "Missing option '--out'; see vqflow fit --help"),
        ("fit x.npy --out m.pt --epoch 3", "No such option: --epoch"),
        ("fit x.npy --out m.pt --epochs two", "Invalid value for '--epochs'"),
        ("fit y.npy --out m.pt", "no file y.npy"),
        ("fit notes.txt --out m.pt", r"notes.txt ends in '.txt'; allowed: .npy, .csv, .parquet"),
        ("fit flat.npy --out m.pt", r"flat.npy: .*of shape \(3,\)"),
        ("fit words.csv --out m.pt", "words.csv: .*x"),
        ("fit words.csv --columns a,c --out m.pt", "words.csv: .*no column c"),
        ("fit x.npy --columns a --out m.pt", "x.npy: .*has no names"),
        ("fit x.npy --out x.npy", "x.npy is read and would be written over"),
        ("fit x.npy --out folder.csv", "folder.csv is a folder"),
        ("fit x.npy --out notes.txt/m.pt", "no files can be made"),
        ("fit x.npy --out m.pt --charts many", "--charts is many; allowed: auto"),
        ("fit x.npy --out m.pt --charts 0", "--charts is 0; allowed: auto"),
        ("fit x.npy --out m.pt --charts 99", "charts is 99; allowed: 1 to"),
        ("fit x.npy --out m.pt --test 1", "--test is 1.0; allowed"),
        ("fit x.npy --out m.pt --validation 2", "validation is 2.0; needed"),
        ("fit x.npy --out m.pt --epochs 0", "epochs is 0; needed"),
        ("fit x.npy --out m.pt --learning-rate 0", "learning_rate is 0.0; needed"),
        ("fit x.npy --out m.pt --flow naf", "flow is 'naf'; allowed: realnvp"),
        ("fit x.npy --out m.pt --flow zuko.flows.NAX", "NAX"),
        ("sample m.pt --out s.npy", "m.pt holds no model"),
        ("sample none.pt --out s.npy", "no model at none.pt"),
        ("sample m.pt --out s.txt", "s.txt ends in '.txt'"),
        ("sample m.pt --out s.npy -n 0", "Invalid value for '--number'"),
        ("sample m.pt --out s.npy --sampler best", "'plain', 'confined'"),
        ("score m.pt x.npy", "m.pt holds no model"),
        ("score m.pt x.npy --out x.npy", "x.npy is read"),
        ("info x.npy", "x.npy holds no model"),
        ("catalogue flowz", "no section 'flowz'; did you mean 'flows'"),
        ("catalogue flows --configfile none.yaml", "none.yaml: cannot be read"),
        ("catalogue flows --configfile bad.yaml", "bad.yaml:[12]: is no YAML"),
        ("new metrik mine", "'metrik' is not one of 'data'"),
        ("new metric a-b", "the name is 'a-b'; allowed: letters"),
        ("new metric null", "no word such as true"),
        ("new metric numpy", "as that of a module of Python's"),
        ("new metric metric", "the class would be named Metric"),
        ("new flow maf", "flows.maf is in the catalogue already"),
        ("show nowhere", "nowhere holds no results: there is no nowhere/tables/summary.md"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(
    files: Path, arguments: str, message: str
) -> None:
    before = sorted(files.rglob("*"))
    line = vqflow(*arguments.split(), code=2)
    assert re.search(message, line), line
    assert sorted(files.rglob("*")) == before


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("n is 0;\nneeded: 1"), 2, "vqflow: n is 0; needed: 1\n"),
        (ConfigError("a: wrong\nb: wrong"), 2, "vqflow: a: wrong\nvqflow: b: wrong\n"),
        (FileNotFoundError(2, "No such file", "x"), 2, "vqflow: x: No such file\n"),
        (OSError(28, "No space left", "x"), 1, "vqflow: x: No space left\n"),
        (RuntimeError("training diverged"), 1, "vqflow: training diverged\n"),
        (KeyError("x"), 1, "vqflow: KeyError: 'x'\n"),
        (
            ModuleNotFoundError("no yaml", name="yaml"),
            1,
            "vqflow: yaml is not installed; pip install 'vq-flows[workflow]' brings it\n",
        ),
    ],
)
def test_what_goes_wrong_has_its_code(error: Exception, code: int, line: str) -> None:
    failing = typer.Typer(cls=Reporting, callback=lambda: None)

    @failing.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(failing, ["fail"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, line, "")


def test_a_process_keeps_its_streams_and_codes_apart(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "vqflow", "show", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("vqflow: nowhere holds no results") and done.stderr[-1] == "\n"


def test_help_and_the_catalogue_import_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from vqflow.cli.app import app\n"
        "def call(*arguments):\n"
        "    try:\n"
        "        app(list(arguments))\n"
        "    except SystemExit as end:\n"
        "        assert not end.code\n"
        "call('fit', '--help')\n"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'yaml'} & set(sys.modules)\n"
        "call('catalogue')\n"
        "sys.exit(', '.join(heavy | {'torch', 'zuko', 'pandas'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
