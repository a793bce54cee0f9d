"""The report in a browser, from the disk: it works, at both widths, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from reports import finished_run

from vqflow.report.datatables import read_texts
from vqflow.report.page import write_report

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium or google-chrome on the path")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(finished_run(tmp_path_factory.mktemp("runs") / "digits-frames"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module", params=[1280, 390], ids="{} px".format)
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """The report, opened, with all that went wrong meanwhile in ``mistakes``."""
    opened = browser.new_page(viewport={"width": request.param, "height": 900})
    mistakes: list[str] = []
    opened.on("console", lambda message: mistakes.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: mistakes.append(str(error)))
    opened.on("requestfailed", lambda failed: mistakes.append(failed.url))
    opened.on("request", lambda sent: mistakes.append(sent.url) if "http" in sent.url[:4] else None)
    opened.goto(report.as_uri())
    opened.wait_for_selector("#table-metrics.dataTable")
    yield opened
    assert mistakes == []
    opened.close()


def column(page: Page, table: str, name: str) -> list[str]:
    """The cells of a column that are seen."""
    headings = page.locator(f"#{table} thead th").all_inner_texts()
    place = [heading.strip() for heading in headings].index(name) + 1
    return page.locator(f"#{table} tbody td:nth-child({place})").all_inner_texts()


def test_nothing_hangs_over_the_side(page: Page) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.evaluate(
        "[...document.querySelectorAll('main > section, .dt-container, figure, img, nav')]"
        ".map(each => each.getBoundingClientRect()).map(box => [box.left, box.right])"
    )
    assert [box for box in boxes if box[0] < 0 or box[1] > width] == []


def test_every_figure_is_seen_and_captioned(page: Page) -> None:
    figures = page.locator("figure")
    assert figures.count() == 7
    for figure in figures.all():
        image = figure.locator("img")
        assert image.is_visible() and image.evaluate("each => each.naturalWidth") > 0
        assert len(figure.locator("figcaption p").inner_text()) > 40
    image, widths = page.locator("#figure-training_curves img"), []
    for _ in range(3):
        widths.append(image.evaluate("each => each.clientWidth"))
        image.click()
    assert widths[0] == widths[2] < widths[1]
    image.click()


def test_a_click_on_a_heading_sorts_by_number_and_the_box_filters(page: Page) -> None:
    box = page.locator("#table-summary_wrapper input[type=search]").first
    box.fill("bits_per_dim test")
    assert set(column(page, "table-summary", "metric")) == {"bits_per_dim"}
    before = column(page, "table-summary", "mean")
    heading = page.locator("#table-summary thead th").filter(has_text="mean").first
    for turned in (False, True):
        heading.locator(".dt-column-title").click()
        values = [float(text) for text in column(page, "table-summary", "mean")]
        assert values == sorted(map(float, before), reverse=turned)
    assert len(values) == 8
    box.fill("")


def test_the_rows_of_every_seed_are_downloaded_to_the_last_digit(page: Page, report: Path) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as CSV").click()
    assert waiting.value.suggested_filename == "metrics.csv"
    saved = read_texts(waiting.value.path())
    kept = read_texts(report.parent / "tables" / "metrics.csv")
    order = list(kept.columns)
    pd.testing.assert_frame_equal(
        saved.sort_values(order, ignore_index=True), kept.sort_values(order, ignore_index=True)
    )
