"""The locked environment is whole: it is installed without resolving, so nothing is added to it."""

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENVS = Path(__file__).parents[1] / "envs"


def _locked() -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in (ENVS / "requirements.lock").open())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def test_what_a_locked_package_needs_is_locked_too() -> None:
    names = {canonicalize_name(requirement.name) for requirement in _locked()}
    missing = []
    for name in sorted(names):
        try:
            needs = [Requirement(need) for need in requires(name) or []]
        except PackageNotFoundError:  # of another system
            continue
        missing += [
            f"{name} needs {need}"
            for need in needs
            if canonicalize_name(need.name) not in names
            and (need.marker is None or need.marker.evaluate({"extra": ""}))
        ]
    assert not missing


def test_conda_and_pip_get_the_same_versions() -> None:
    packages = yaml.safe_load((ENVS / "environment.yaml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in packages if isinstance(entry, dict)]
    given = {str(Requirement(line)) for line in pip if not line.startswith("-")}
    assert given == {str(requirement) for requirement in _locked()}
