"""The report of a run, whole or not: ``python -m vqflow.report results/demo``."""

from __future__ import annotations

import sys
from pathlib import Path

from vqflow.config.components import ConfigError
from vqflow.report.page import write_report

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m vqflow.report results/demo")
    try:
        print(f"written: {write_report(Path(sys.argv[1]))}")
    except ConfigError as error:
        sys.exit(f"error: {error}")
