"""What made a result: versions of packages, code and machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vqflow import __version__

PACKAGES = (
    "torch",
    "zuko",
    "vector-quantize-pytorch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "snakemake",
    "pytorch-fid",
)


def provenance(**facts: Any) -> dict[str, Any]:
    """Describes what made a result: versions, code, machine, and the given facts."""
    return {
        **facts,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": git_state(),
        "hardware": _hardware(),
    }


def versions() -> dict[str, str]:
    """Gives the versions of Python, of this project, and of the packages that are installed."""
    found = {"python": platform.python_version(), "vqflow": __version__}
    return found | {name: given for name in PACKAGES if (given := _version(name))}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_state() -> dict[str, Any]:
    """Gives the commit of this code, and whether files differ from it; nulls without git."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _hardware() -> dict[str, Any]:
    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["threads"] = torch.get_num_threads()
        facts["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
