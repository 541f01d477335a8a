"""What is left of a run that failed: ``error.txt``, with the reason first, then all that helps to find the cause."""

import json
import logging
import socket
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from feature_lazy.core.environment import environment
from feature_lazy.core.files import read_regular, write_atomically
from feature_lazy.core.redaction import redact
from feature_lazy.runs.reading import ERROR
from feature_lazy.runs.stopping import StoppedError
from feature_lazy.runs.store import Store
from feature_lazy.runs.store.lease import GoneError, last_sign
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)


@contextmanager
def recorded(store: Store, cells: Sequence[Cell]) -> Iterator[None]:
    """Leave ``error.txt`` with each of some cells that is not done, if the body fails; the error goes on.

    Raises:
        StoppedError: the body's own, like every other error; a run that was stopped has not failed.
        GoneError: likewise; where a directory was taken away none is made again.
    """
    try:
        yield
    except StoppedError:
        raise
    except GoneError as error:
        record(store, [cell for cell in cells if store.path(cell.run_id).is_dir()], str(error))
        raise
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        record(store, cells, f"{type(error).__name__}: {error}", text)
        raise


def record(store: Store, cells: Sequence[Cell], reason: str, details: str = "") -> None:
    """Write ``error.txt`` for the cells that are not done and that nobody else trains.

    Args:
        store: where they are.
        cells: the cells of a job that failed.
        reason: why, in a sentence.
        details: a traceback.
    """
    for cell in cells:
        path = store.path(cell.run_id)
        if store.is_done(cell.run_id) or _somebody_elses(path):
            continue
        try:
            write_atomically(path / ERROR, redact(_report(cell, reason, details)).encode(errors="replace"))
        except OSError as error:
            log.error("%s cannot be written (%s); the reason was: %s", path / ERROR, error.strerror, redact(reason))


def _report(cell: Cell, reason: str, details: str) -> str:
    first = " ".join(reason.split())
    where: Mapping[str, str] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": socket.gethostname(),
    }
    lines = [f"{name}: {value}" for name, value in {**where, **environment()}.items()]
    config = json.dumps(cell.resolved, indent=1)
    return f"{first}\n\n{cell.label}\n" + "\n".join(lines) + f"\n\n{details}\nConfiguration:\n{config}\n"


def _somebody_elses(folder: Path) -> bool:
    sign = last_sign(folder)
    return sign is not None and sign.owner is not None and sign.owner.surely_alive() and not sign.owner.is_me()


def reason(folder: Path) -> str | None:
    """Why a run failed, None if it did not."""
    try:
        return read_regular(folder / ERROR).decode(errors="replace").split("\n", 1)[0]
    except OSError:
        return None
