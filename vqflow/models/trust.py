"""What a file of a model may have built: classes of this library, and those that its reader names.

A file says by import paths what it was built from. Importing or calling whatever a stranger's file
names would run his code, so each path is looked at before that.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import nn
from torch.distributions import Transform

from vqflow.config.components import ConfigError, classes_in, import_class
from vqflow.models.density import Density

_OWN = ("vqflow", "zuko", "vector_quantize_pytorch")
_KINDS = (nn.Module, Transform, Density)


class UntrustedError(ConfigError):
    """A file names a class that is neither this library's nor allowed by its reader."""


def check_classes(path: Path, built: Any, allow: Collection[str]) -> None:
    """Refuses a file that names another class than may be built; imports no such class.

    Args:
        path: The file, for the message.
        built: Plain values of all that loading the file builds.
        allow: Import paths of classes that the reader allows besides this library's.

    Raises:
        UntrustedError: If one is neither allowed nor a module, transform or density of this
            library, or of those that it is made with.
    """
    for name in sorted(set(classes_in(built))):
        if name not in allow and not _is_own(name):
            raise UntrustedError(
                f"{path} names the class '{name}', which is none of vqflow's; if you trust both "
                f"file and class, name it: vqflow.load(path, allow=['{name}']), "
                f"or --allow {name}"
            )


def _is_own(name: str) -> bool:
    if name.partition(".")[0] not in _OWN:
        return False
    try:
        found = import_class(name, "")
    except ConfigError:
        return False
    own = isinstance(found, type) and found.__module__.partition(".")[0] in _OWN
    return own and issubclass(found, _KINDS)
