"""A finished run as an RO-Crate: what archives and machines need to know of it, in its folder.

Process Run Crate (https://w3id.org/ro/wfrun/process): files with their kinds and sums, the
workflow that made them, its commit, and the configuration. Run as
``python -m vqflow.stages.crate results/<run>``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vqflow import __version__
from vqflow.config.components import ConfigError
from vqflow.files import DamagedError, checksum_file, digest, load_text

METADATA = "ro-crate-metadata.json"
_SOURCE = "https://proceedings.mlr.press/v180/sidheekh22a.html"
_KINDS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
    ".html": "text/html",
    ".npz": "application/zip",
}
_LEFT_OUT = {"checkpoints", "benchmarks"}
"""Folders of a run that say nothing of its result."""


def write_crate(run: Path) -> Path:
    """Describes a run.

    Args:
        run: Its folder, ``results/<run>``.

    Returns:
        The file of metadata, in that folder.

    Raises:
        ConfigError: If the run is not finished: its tables are what makes it one.
        DamagedError: If a table is not what was written.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made = run / "provenance.json"
    missing = [path for path in (made, run / "config.yaml") if not path.is_file()]
    if missing:
        raise ConfigError(
            f"{run} is no finished run: no {missing[0].name}; run it to its end first"
        )
    facts: dict[str, Any] = json.loads(made.read_text("utf-8"))
    crate = ROCrate()
    crate.name = f"vqflow run {run.resolve().name}"
    crate.description = (
        "A benchmark run of normalizing flows with and without vector-quantized charts: models, "
        "samples, scores, tables and figures, with the configuration that makes them again."
    )
    crate.license = "https://spdx.org/licenses/MIT"
    tool = ContextEntity(
        crate,
        "#vqflow",
        {
            "@type": "SoftwareApplication",
            "name": "vqflow",
            "softwareVersion": __version__,
            "identifier": facts["git"]["commit"] or "unknown commit",
            "citation": _SOURCE,
        },
    )
    crate.add(tool)
    files = [_add(crate, run, path) for path in sorted(run.rglob("*")) if _belongs(run, path)]
    action = ContextEntity(
        crate,
        "#run",
        {
            "@type": "CreateAction",
            "name": f"snakemake --configfile {run.resolve().name}/config.yaml",
            "description": f"on {json.dumps(facts['hardware'], sort_keys=True)}, "
            f"Python {facts['python']}, {json.dumps(facts['packages'], sort_keys=True)}",
        },
    )
    crate.add(action)
    action["instrument"] = tool
    action["object"] = crate.dereference("config.yaml")
    action["result"] = files
    crate.root_dataset["mentions"] = action
    crate.metadata.write(run)
    return run / METADATA


def _belongs(run: Path, path: Path) -> bool:
    inner = path.relative_to(run)
    return path.is_file() and inner.parts[0] not in _LEFT_OUT and path.name != METADATA


def _add(crate: Any, run: Path, path: Path) -> Any:
    if checksum_file(path).exists():
        load_text(path)  # an archive keeps no file whose bytes have changed
    about = {
        "name": path.name,
        "contentSize": str(path.stat().st_size),
        "sha256": digest(path),
        "encodingFormat": _KINDS.get(path.suffix, "application/octet-stream"),
    }
    return crate.add_file(path, dest_path=path.relative_to(run).as_posix(), properties=about)


if __name__ == "__main__":
    try:
        print(f"written: {write_crate(Path(sys.argv[1]))}")
    except (ConfigError, DamagedError) as error:
        sys.exit(f"error: {error}")
