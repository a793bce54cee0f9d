"""Put on the Python path of a run by ``tests/chaos/__main__.py``: kills its processes amid writes.

Python imports a module of this name at every start. Nothing of the product is changed but how
often it writes checkpoints.
"""

import os
import random
import signal
import sys
import threading
import time

SHARE = float(os.environ.get("CHAOS_SHARE", "0"))
SEED = os.environ.get("CHAOS_SEED", "")
LOG = os.environ.get("CHAOS_LOG", "")
WRITES = {"open", "os.rename", "os.remove", "os.rmdir", "os.utime", "os.mkdir"}
FOLDERS = (f"{os.sep}results{os.sep}", f"results{os.sep}", f".snakemake{os.sep}")


def watch(event: str, given: tuple) -> None:
    if event not in WRITES or not given or not isinstance(given[0], (str, bytes, os.PathLike)):
        return
    path = os.fsdecode(given[0])
    written = event != "open" or (isinstance(given[1], str) and set("wxa+") & set(given[1]))
    written = written or (event == "open" and given[1] is None and given[2] & os.O_CREAT)
    if not written or not any(folder in path for folder in FOLDERS) or "scripts" in path:
        return
    draw = random.Random(f"{SEED} {event} {os.path.dirname(path)} {time.monotonic_ns() % 97}")
    if draw.random() < SHARE:
        note = f"{event} {path}"
        if event == "open":  # some of it written
            threading.Timer(draw.random() * 0.01, kill, [note]).start()
        else:
            kill(note)


def kill(note: str) -> None:
    handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{note}\n".encode())
    os.killpg(os.getpgrp(), signal.SIGKILL)


def hurry() -> None:
    """Makes checkpoints as often as epochs end, once the training's module is there."""
    for _ in range(600):
        kind = getattr(sys.modules.get("vqflow.training.checkpoint"), "Checkpoint", None)
        if kind is not None:
            kind.__init__.__defaults__ = (0.0, *kind.__init__.__defaults__[1:])
            return
        time.sleep(0.05)


if LOG:
    threading.Thread(target=hurry, daemon=True).start()
if LOG and SHARE:
    sys.addaudithook(watch)
