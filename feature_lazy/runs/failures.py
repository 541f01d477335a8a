"""What is left of a run that failed: ``error.txt``, with the reason first, then all that helps to find the cause."""

import json
import logging
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from feature_lazy.core.environment import environment
from feature_lazy.core.files import probe, read_head, write_atomically
from feature_lazy.core.redaction import redact
from feature_lazy.runs.reading import ERROR, UnreadableRunError
from feature_lazy.runs.stopping import StoppedError
from feature_lazy.runs.store import Store
from feature_lazy.runs.store.lease import GoneError, last_sign
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)


@contextmanager
def recorded(store: Store, cells: Sequence[Cell], holds: Callable[[str], bool] | None = None) -> Iterator[None]:
    """Leave ``error.txt`` with each of some cells that is not done, if the body fails; the error goes on.

    Args:
        store: where they are.
        cells: the cells that the body is about.
        holds: whether this process, which has claimed them, still holds a run; if omitted, it has claimed none.

    Raises:
        StoppedError: the body's own, like every other error; a run that was stopped has not failed.
        GoneError: likewise; where a directory was taken away none is made again.
        UnreadableRunError: nor has one that cannot be read now.
    """
    try:
        yield
    except (StoppedError, UnreadableRunError):
        raise
    except GoneError as error:
        record(store, [cell for cell in cells if store.path(cell.run_id).is_dir()], str(error))
        raise
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        ours = [cell for cell in cells if holds is None or holds(cell.run_id)]
        record(store, ours, f"{type(error).__name__}: {error}", text)
        raise


def record(store: Store, cells: Sequence[Cell], reason: str, details: str = "", *, job: str = "") -> None:
    """Write ``error.txt`` for the cells that are not done and that nobody else trains.

    Args:
        store: where they are.
        cells: the cells of a job that failed.
        reason: why, in a sentence.
        details: a traceback.
        job: SLURM job that is known to have ended: it trains them no more, whatever its last sign of life.
    """
    for cell in cells:
        path = store.path(cell.run_id)
        try:
            if store.is_done(cell.run_id) or _somebody_elses(path, job):
                continue
            text = redact(_report(cell, reason, details)).encode(errors="replace")
            write_atomically(path / ERROR, text, below=store.root)
        except (OSError, UnreadableRunError) as error:
            log.error("%s cannot be written (%s); the reason was: %s", path / ERROR, error, reason)


def _report(cell: Cell, reason: str, details: str) -> str:
    first = " ".join(reason.split())
    where: Mapping[str, str] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": socket.gethostname(),
    }
    lines = [f"{name}: {value}" for name, value in {**where, **environment()}.items()]
    config = json.dumps(cell.resolved, indent=1)
    return f"{first}\n\n{cell.label}\n" + "\n".join(lines) + f"\n\n{details}\nConfiguration:\n{config}\n"


def _somebody_elses(folder: Path, job: str) -> bool:
    """Whether another process trains a run, or may: a process that was taken for dead must leave no reason in it.

    Raises:
        OSError: it cannot be found out, or the folder cannot be written.
    """
    sign = last_sign(folder)
    if sign is None or not sign.alive(probe(folder, below=folder.parents[1])):
        return False
    return sign.owner is None or not (sign.owner.is_me() or (job and sign.owner.job == job))


def reason(folder: Path) -> str | None:
    """Why a run failed, None if it did not."""
    try:
        return read_head(folder / ERROR).decode(errors="replace").split("\n", 1)[0]
    except OSError:
        return None
