"""The page itself: what the template shows, read from a run's folder."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from vqflow.config.components import ConfigError
from vqflow.config.figures import kind_of, subject_of
from vqflow.files import write_text
from vqflow.report import failures
from vqflow.report.datatables import interactive, library, read_texts, rounded
from vqflow.report.markup import markdown, rst
from vqflow.report.plan import MISSING, Plan, Trial, missing, read_plan, read_trials

NAME = "report.html"

_TABLES: dict[str, tuple[str, str, list[str]]] = {
    "claims": (
        "claims.csv",
        "Every statement, with the number that decides it and the paper's",
        "claim dataset variant against metric unit value low high published verdict".split(),
    ),
    "summary": (
        "tables/summary.csv",
        "Every score of every variant, over the seeds, and its gain over the baseline",
        "dataset metric split variant mean ci95 unit gain_mean gain_low gain_high win".split(),
    ),
    "runtime": (
        "tables/runtime.csv",
        "Every training, seconds",
        "dataset variant seed status epochs best_epoch training_seconds atlas_seconds threads "
        "device".split(),
    ),
    "metrics": (
        "tables/metrics.csv",
        "Every score of every seed, as in tables/metrics.csv",
        "dataset variant seed epoch metric split value unit status".split(),
    ),
}
"""Of the tables that sort and filter: the file, the caption, and the columns seen at first."""


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        name: Its file's name, without the suffix.
        title: What it is, in words.
        source: The image, as a ``data:`` address.
        caption: What it shows, as HTML.
    """

    name: str
    title: str
    source: str
    caption: Markup


def write_report(run: Path) -> Path:
    """Writes the report of a run, of all that its folder holds, and of what it does not.

    The same folder gives the same bytes.

    Args:
        run: The folder, ``results/<run>``.

    Returns:
        The report, in that folder.

    Raises:
        ConfigError: If there is no such folder.
    """
    if not run.is_dir():
        raise ConfigError(f"{run}: no such folder; allowed: that of a run, such as results/demo")
    target = run / NAME
    write_text(target, page(run))
    return target


def page(run: Path) -> str:
    """Gives the report as HTML; arguments and errors as for :func:`write_report`."""
    plan = read_plan(run)
    trials = read_trials(run, plan)
    lost = missing(run, plan, trials)
    failed = [*failures.diverged(run, trials), *(failures.unfinished(run) if lost else ())]
    introduction, verdicts, claims = _claims(_text(run / "claims.md"))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vqflow.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        name=run.resolve().name,
        plan=plan,
        source=_source(run, plan),
        missing=lost,
        failures=failed,
        facts=_facts(run, plan, trials),
        headlines=_blocks(_text(run / "tables" / "summary.md")),
        introduction=introduction,
        verdicts=verdicts,
        claims=claims,
        tables=_tables(run),
        pictures=_pictures(run, plan),
        configuration="" if plan.source is None else plan.source.read_text(encoding="utf-8"),
        provenance=_flat(_json(run / "provenance.json")),
        library=library(),
    )


def _facts(run: Path, plan: Plan, trials: Sequence[Trial]) -> dict[str, str]:
    """Says in a few lines what was run, and on what."""
    facts = {}
    if plan.config is not None:
        facts["Data sets"] = ", ".join(plan.config.selected_datasets())
        facts["Variants"] = ", ".join(plan.config.selected_variants())
        facts["Seeds"] = ", ".join(map(str, plan.config.seeds))
        ends = pd.Series([trial.status for trial in trials]).value_counts(sort=False)
        ended = len(trials) - ends.get(MISSING, 0)
        texts = [f"{ended} of {len(trials)} models" if ended < len(trials) else f"{ended} models"]
        texts += [f"{count} {how}" for how, count in ends.items() if how not in ("ok", MISSING)]
        facts["Trained"] = ", ".join(filter(None, (*texts, _seconds(run))))
    made = _json(run / "provenance.json")
    if made:
        commit = made["git"]["commit"] or "unknown"
        facts["Commit"] = commit + (", with changes" if made["git"]["dirty"] else "")
        hardware = made["hardware"]
        facts["Machine"] = f"{hardware['processor']}, {hardware['cores']} cores"
    return facts


def _seconds(run: Path) -> str:
    """Says how long all trainings took together; nothing where that is not known."""
    path = run / "tables" / "runtime.csv"
    if not path.is_file():
        return ""
    seconds = pd.to_numeric(read_texts(path)["training_seconds"]).sum()
    unit, size = next(((u, s) for u, s in _UNITS if seconds >= s), ("s", 1))
    return f"{seconds / size:.3g} {unit} of training"


_UNITS = (("h", 3600), ("min", 60))


def _source(run: Path, plan: Plan) -> str:
    """Names the configuration, not where the run's folder lies."""
    if plan.source is None:
        return ""
    inside = plan.source.is_relative_to(run)
    return (plan.source.relative_to(run) if inside else plan.source).as_posix()


def _claims(text: str) -> tuple[Markup, Markup, dict[str, Markup]]:
    """Gives how claims are decided, their verdicts, and by its title each with its statements."""
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    introduction, table, verdicts = head.partition("\n|")
    words = introduction.partition("\n")[2]
    claims = {}
    for section in sections:
        title, _, statements = section.partition("\n")
        claims[title] = markdown(statements)
    return markdown(words), markdown(table + verdicts), claims


def _blocks(text: str) -> list[Markup]:
    """Gives the tables of the summary, each with its title."""
    return [markdown(block) for block in re.split(r"^(?=\*\*)", text, flags=re.MULTILINE) if block]


def _tables(run: Path) -> dict[str, Markup]:
    found = {}
    for name, (file, caption, shown) in _TABLES.items():
        if (run / file).is_file():
            raw = read_texts(run / file)
            exact = name == "metrics"
            table = raw if exact else rounded(raw)
            found[name] = interactive(table, name, caption, shown, download=exact)
    return found


def _pictures(run: Path, plan: Plan) -> list[Picture]:
    """Gives the figures of the plan, in its order; all that are there where there is no plan."""
    there = {path.stem: path for path in sorted((run / "figures").glob("*.png"))}
    pictures = []
    for name in plan.drawings or there:
        if name not in there:
            continue
        drawing = plan.drawings.get(name)
        title, caption = name, ""
        if drawing is not None:
            title = ", ".join(filter(None, (kind_of(drawing), subject_of(drawing))))
            caption = plan.captions[drawing.entry.name]
        image = base64.b64encode(there[name].read_bytes()).decode("ascii")
        pictures.append(Picture(name, title, f"data:image/png;base64,{image}", rst(caption)))
    return pictures


def _flat(content: Mapping[str, Any], place: str = "") -> dict[str, str]:
    """Gives nested values by their places."""
    rows: dict[str, str] = {}
    for key, value in content.items():
        inner = f"{place} {key}".lstrip()
        if isinstance(value, Mapping):
            rows |= _flat(value, inner)
        else:
            rows[inner] = "unknown" if value is None else str(value)
    return rows


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_text(path) or "{}")
    return content


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
