"""What the site takes from outside of docs/, and how it draws equations.

Pages link to the repository's other files as they lie (``../results/...``), so that they read the
same in the repository and on the site.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.mathtext import math_to_image
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks")  # whose warnings are errors

ROOT = Path(__file__).parents[1]
KEPT = "results/reference"
SHOWN = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/results/*.md",
    "config/*.yaml",
    f"{KEPT}/**/*.md",
    f"{KEPT}/**/*.png",
)
"""Files that the site has a copy of; YAML becomes a page that shows it, a run's folder one too."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Has blocks of the language ``math`` drawn."""
    fence = {"name": "math", "class": "math", "format": draw}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files from outside, and a page for each run that is kept."""
    for path in sorted(path for pattern in SHOWN for path in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".yaml":
            page = f"# {name}\n\n```yaml\n{path.read_text(encoding='utf-8')}```\n"
            files.append(File.generated(config, _page(name), content=page))
        else:
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for folder in sorted(path for path in (ROOT / KEPT).iterdir() if path.is_dir()):
        page = "\n".join(_overview(folder))
        files.append(File.generated(config, _page(f"{KEPT}/{folder.name}/"), content=page))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turns links out of docs/ into links to the copies."""
    if "/" in page.file.src_uri:
        return markdown
    return re.sub(r"\]\(\.\./([^)]+)\)", lambda link: f"]({_page(link[1])})", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Turns the roles of docstrings, such as :class:, into links."""
    return re.sub(r":(?:attr|class|func|meth|mod):<code>(.+?)</code>", _reference, content)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warns of what a page would load from other hosts; links may lead there."""
    for host in re.findall(r"<(?!a\s)[^>]*\s(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)", output):
        log.warning("%s loads %s: a page loads nothing from other hosts", page.file.src_uri, host)
    return output


def draw(source: str, *_: Any, **__: Any) -> str:
    """Gives an equation, in TeX, as a picture that no other host or script has a part in."""
    text, picture = source.strip(), io.BytesIO()
    with mpl.rc_context({"mathtext.fontset": "cm", "svg.hashsalt": "equation"}):
        math_to_image(f"${text}$", picture, format="svg")
    data = base64.b64encode(picture.getvalue()).decode()
    image = f"data:image/svg+xml;base64,{data}"
    return f'<p><img class="math" alt="{html.escape(text)}" src="{image}"></p>'


def _page(name: str) -> str:
    """Gives the page that stands for a file or a folder."""
    return re.sub(r"\.yaml$", ".md", re.sub(r"/$", "/overview.md", name))


def _reference(role: re.Match[str]) -> str:
    name = role[1].removeprefix("~")
    shown = f"<code>{name.rpartition('.')[2] if role[1] != name else name}</code>"
    return f'<autoref optional identifier="{name}">{shown}</autoref>' if "." in name else shown


def _overview(folder: Path) -> Iterator[str]:
    """Gives the lines of a kept run's page: how it was made, its texts, its figures."""
    yield f"# {folder.name}\n"
    if (ROOT / "config" / f"{folder.name}.yaml").exists():
        yield f"Made by [config/{folder.name}.yaml](../../../config/{folder.name}.md):\n"
        yield f"```sh\nsnakemake --configfile config/{folder.name}.yaml\n```\n"
    for path in sorted(folder.rglob("*.md")):
        name = path.relative_to(folder).as_posix()
        yield f"- [{name}]({name})"
    yield f"- `{KEPT}/{folder.name}/` holds all tables, settings and versions\n"
    for path in sorted(folder.rglob("*.png")):
        yield f"## {path.stem}\n\n![{path.stem}]({path.relative_to(folder).as_posix()})\n"
