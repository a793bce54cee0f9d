"""The report: all that came out is in it, and nothing of it lies elsewhere."""

from __future__ import annotations

import base64
import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from reports import HOSTILE, Page, finished_run, write_log

from vqflow.config.components import ConfigError
from vqflow.figures import Likelihood
from vqflow.report.datatables import rounded
from vqflow.report.markup import markdown, rst
from vqflow.report.page import page, write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("runs") / "digits-frames")


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return page(run)


@pytest.fixture(scope="module")
def shown(html: str) -> Page:
    return Page(html)


@pytest.fixture
def part(run: Path, tmp_path: Path) -> Path:
    """A copy, to take something away from."""
    return Path(shutil.copytree(run, tmp_path / run.name))


def test_every_figure_is_in_it_with_its_caption(run: Path, shown: Page) -> None:
    images = {each["src"] for each in shown.all("img")}
    kept = {base64.b64encode(path.read_bytes()).decode() for path in run.rglob("*.png")}
    assert {image.removeprefix("data:image/png;base64,") for image in images} == kept
    names = {path.stem for path in run.rglob("*.png")}
    assert {each["id"] for each in shown.all("figure")} == {f"figure-{name}" for name in names}
    assert len(shown.all("figcaption")) == len(shown.all("img")) == len(names)
    assert all(each["alt"] for each in shown.all("img"))
    words = " ".join(inspect.cleandoc(Likelihood.caption).replace("*", "").split())
    assert words in shown.text


@pytest.mark.parametrize("file", ["tables/summary.md", "claims.md"])
def test_tables_and_claims_are_in_it_cell_by_cell(run: Path, shown: Page, file: str) -> None:
    lines = (run / file).read_text().splitlines()
    cells = [cell for line in lines if line.startswith("|") for cell in line.split("|")]
    words = {" ".join(re.sub(r"[*`]", "", cell).split()) for cell in cells}
    assert len(words) > 20
    assert [word for word in words if word not in shown.text and "--" not in word] == []


def test_it_says_what_was_run_and_what_made_it(run: Path, shown: Page) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert ", ".join(config["benchmarks"]["digits"]["variants"]) in shown.text
    assert " ".join((run / "config.yaml").read_text().split()) in shown.text
    for value in re.findall(r'": "?([^",{}\n]+)', (run / "provenance.json").read_text()):
        assert value in shown.text.replace("False", "false")
    assert "24 models, 1 diverged" in shown.text
    assert "not finished" not in shown.text


def test_nothing_is_loaded_from_elsewhere(html: str, shown: Page) -> None:
    for tag, attributes in shown.elements:
        if tag != "a":
            for name in ("src", "href", "srcset", "data", "action", "poster"):
                assert attributes.get(name, "data:").startswith("data:"), (tag, name)
        elif not attributes["href"].startswith("#"):
            assert attributes["href"].startswith("https://itables.org/"), attributes
    sheet = (ROOT / "vqflow/report/templates/report.css").read_text()
    assert sheet.strip() in html and "url(" not in sheet and "@import" not in sheet


def test_equal_folders_give_equal_bytes(html: str, part: Path) -> None:
    assert page(part) == html
    assert write_report(part).read_text(encoding="utf-8") == html
    assert page(part) == html, "also once there is a report in it"


def test_what_diverged_stands_with_its_reason_and_the_end_of_its_log(
    html: str, shown: Page
) -> None:
    assert "maf on digits, seed 1: diverged: loss is nan" in shown.text
    assert f"INFO epoch=1 {HOSTILE}" in shown.text
    assert html.count(HOSTILE) == 0 < html.count("&lt;script&gt;document.title")


def test_a_run_that_failed_names_what_is_missing_and_the_logs_that_say_why(part: Path) -> None:
    figure = part / "figures" / "likelihood.png"
    for path in (figure, part / "claims.md", part / "tables" / "summary.md"):
        path.unlink()
    write_log(part, "figures/likelihood", ended=False, text="a\nx ERROR job failed\nKeyError: 'z'")
    write_log(part, "claims", ended=False, text="killed")
    write_log(part, "summary", ended=True, text="an earlier time")
    write_log(part, "summary", ended=False, text="killed")
    write_log(part, "tables", ended=True, text="x ERROR job failed\nof an earlier attempt")
    made = Page(page(part)).text
    assert "3 of its results are not there figure likelihood tables/summary.md claims.md" in made
    assert "figures/likelihood: failed: KeyError: 'z'" in made
    assert "claims: did not end" in made and "summary: did not end" in made
    assert "of an earlier attempt" not in made


def test_before_the_tables_are_made_the_file_asked_for_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "results" / "mine"
    run.mkdir(parents=True)
    benchmark = {"datasets": ["helix"], "variants": ["realnvp"], "metrics": ["log_likelihood"]}
    asked = {"run": "mine", "seeds": [0, 1], "benchmarks": {"one": benchmark}}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mine.yaml").write_text(yaml.safe_dump(asked))
    monkeypatch.chdir(tmp_path)
    made = Page(page(run)).text
    assert "0 of 2 models" in made
    assert "model realnvp on helix, seeds 0, 1 scores of realnvp on helix tables/metrics" in made


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (None, "not known: it has no config.yaml"),
        ("run: [", "not known: config.yaml: "),
        ("run: other\nwat: 1\n", "wat: no such key here"),
    ],
)
def test_without_a_configuration_what_is_there_is_shown(
    part: Path, config: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(part)
    path = part / "config.yaml"
    path.unlink() if config is None else path.write_text(config)
    made = Page(page(part))
    assert reason in made.text
    assert len(made.all("figure")) == len(list(part.rglob("*.png")))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dmeo: no such folder; allowed: that of a run"):
        write_report(tmp_path / "dmeo")


@pytest.mark.parametrize("made", [rst, markdown])
def test_texts_are_shown_and_not_run(made: Callable[[str], str]) -> None:
    html = made("A <script>alert(1)</script>\n\n.. raw:: html\n\n   <b>x</b>\n")
    assert not {"script", "b"} & {tag for tag, _ in Page(html).elements}
    assert "<script>alert(1)</script>" in Page(html).text
    assert not Page(markdown("[a](javascript:b)")).all("a")


def test_numbers_are_rounded_and_texts_are_kept() -> None:
    table = pd.DataFrame(
        {
            "real": ["0.123456789", "", "-1e-09"],
            "whole": ["1234567", "2", ""],
            "name": ["1.50", "nan", ""],
        }
    )
    kept = rounded(table)
    assert list(kept["real"]) == ["0.12346", "", "-1e-09"]
    assert list(kept["whole"]) == list(table["whole"])
    assert list(kept["name"]) == list(table["name"])
