"""YAML files that cannot be read, or that YAML reads as something else, name file and line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, RUNS

from vqflow.check import check
from vqflow.config.components import ConfigError
from vqflow.config.files import check_files, read_files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"run: r\nseeds: [0\nflows: {}\n", ":3: is no YAML: "),
        (b"run: r\nseeds: 'x\n", ":3: is no YAML: found unexpected end of stream"),
        (b"run: r\nflows:\n\tmaf: {}\n", ":3: is no YAML: .*; indent with blanks, not with tabs"),
        (b"run: r\n  seeds: [0]\n", ":2: is no YAML: mapping values are not allowed"),
        (b"run: *here\n", ":1: is no YAML: .*undefined alias"),
        (b"run: r\n---\nrun: s\n", ":2: is no YAML: .*another document"),
        (b"run: !!python/object/apply:os.system [ls]\n", ":1: is no YAML: .*python/object"),
        (b"- run\n- seeds\n", ":1: holds a list; allowed: keys and their values"),
        (b"run\n", ":1: holds one value; allowed: keys and their values"),
        (b"", ":1: holds nothing; allowed: keys and their values"),
        (b"# run: r\n", ":1: holds nothing; allowed: keys and their values"),
        ("run: r\nflows: größe\n".encode("latin-1"), r":2: is no text in UTF-8 \(byte 0xf6\)"),
        (b"\x00\x01\x02\x03", ": is no YAML: .*"),
        (b"\x89PNG\r\n\x1a\n", r":1: is no text in UTF-8 \(byte 0x89\)"),
        (b"flows:\n  a: {k: 1, k: 2}\n", ":2: flows.a.k is there already, in line 2; write it"),
        (b"run: r\nseeds: [0]\nrun: s\n", ":3: run is there already, in line 1; write it once"),
        (b"seeds: [0, 010]\n", ":1: seeds.1: YAML reads 010 as 8; write 8"),
        (b"epochs: 1:30\n", ":1: epochs: YAML reads 1:30 as 90; write 90"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{file}{message}") as caught:
        read_files([file])
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.yaml"
    with pytest.raises(ConfigError) as caught:
        read_files([tmp_path, absent])
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: is a folder; allowed: a YAML file",
        f"{absent}: cannot be read: No such file or directory",
    ]


def test_dictionaries_merge_and_the_rest_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x: {p: 1, q: {r: [1, 2]}}\ny: 1\n")
    (tmp_path / "b.yaml").write_text("x: {q: {r: [3], s: 4}}\ny: {z: 5}\n")
    merged = read_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert merged == {"x": {"p": 1, "q": {"r": [3], "s": 4}}, "y": {"z": 5}}


def test_shipped_files_hold_no_surprises() -> None:
    check_files([*RUNS, ROOT / "config" / "config.yaml"])


def test_shipped_runs_are_checked_whole() -> None:
    assert "variants.vq-maf on digits" in check([str(ROOT / "config" / "demo.yaml")])


def test_a_mistake_is_one_line_and_waits_for_nothing(tmp_path: Path) -> None:
    """Also of an argument of a class, which Snakemake's dry run does not see."""
    file = tmp_path / "mine.yaml"
    file.write_text((ROOT / "config" / "demo.yaml").read_text() + "flows: {maf: {transforms: 0}}\n")
    command = [sys.executable, "-m", "vqflow", "check", str(file)]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vqflow: flows.maf.transforms: is 0; allowed: 1 or more\n"
