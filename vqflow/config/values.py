"""Plain values of the configuration: equal text for equal meaning."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)


def dump(model: BaseModel) -> dict[str, Any]:
    """Gives a part of the configuration as plain values: all that its results depend on."""
    return model.model_dump(mode="json", by_alias=True)


def dump_unnamed(entry: BaseModel) -> dict[str, Any]:
    """Gives an entry of the catalogue as it is written there: its name is its key."""
    return entry.model_dump(mode="json", by_alias=True, exclude={"name"})


def load(kind: type[Model], value: Any) -> Model:
    """Gives back what :func:`dump` gave the plain values of.

    Raises:
        pydantic.ValidationError: If they are not those of the kind.
    """
    return kind.model_validate_json(json.dumps(value))


def canonical(value: Any) -> str:
    """Gives JSON with sorted keys: equal text for equal configuration."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(value: Any) -> str:
    """Gives a short hash of a plain value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def data_root(configured: str) -> Path:
    """Gives the data folder: the variable VQFLOW_DATA, or else the configured one.

    Where data lie is no parameter of a job: moving them runs nothing again.
    """
    return Path(os.environ.get("VQFLOW_DATA") or configured).expanduser()
