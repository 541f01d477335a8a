"""Where, when and with what a run was made."""

import os
import platform
import resource
import socket
import sys
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from feature_lazy.core.environment import environment
from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import exists, write_atomically
from feature_lazy.core.revision import revision
from feature_lazy.runs.reading import UnreadableRunError, load_run
from feature_lazy.runs.store.open_run import writing

PACKAGES = ("feature_lazy", "torch", "numpy", "scipy", "hydra-core", "omegaconf", "scikit-learn", "mlxtend", "mnist1d")
DIFF_LIMIT = 2**20
"""Bytes of uncommitted changes that are kept; of more, the checksum alone."""


@cache
def versions() -> dict[str, str]:
    """Python's version and those of the packages that decide what is computed, by name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), **found}


class Provenance:
    """What a batch says of how its runs were made: of each a segment for every process that trained it."""

    def __init__(self, device: torch.device, members: int) -> None:
        """Begin now.

        Args:
            device: where it runs.
            members: members that are trained together; the wall time is theirs in common.
        """
        self.device, self.members = device, members
        self.started = time.time()
        self.clock = time.monotonic()

    def begin(self, run: Path) -> dict[str, Any]:
        """Provenance of a run that begins, or goes on, in its directory; uncommitted changes are kept once for all.

        Raises:
            StoreError: they cannot be.
            UnreadableRunError: what earlier processes said of the run cannot be read now.
        """
        git, diff = revision()
        if diff and len(diff) <= DIFF_LIMIT:
            path = run.parent.parent / "sources" / f"{git['diff']}.diff"
            with writing(run):
                if not exists(path):
                    write_atomically(path, diff, below=path.parents[1], sync=False)
        return {
            "versions": versions(),
            "git": git,
            "device": self._device(),
            "deterministic": {
                "algorithms": torch.are_deterministic_algorithms_enabled(),
                "cudnn": torch.backends.cudnn.deterministic,
                "tf32": torch.backends.cuda.matmul.allow_tf32,
            },
            "trained_together": self.members,
            "segments": [*_earlier_segments(run), self._segment()],
        }

    def end(self, before: dict[str, Any]) -> dict[str, Any]:
        """What ``begin`` gave, when this process has done its part."""
        seconds = time.monotonic() - self.clock
        now = {"ended": _date(time.time()), "wall_seconds": seconds, "peak_memory": self._peak_memory()}
        segments = [*before["segments"][:-1], {**before["segments"][-1], **now}]
        return {**before, "segments": segments, "wall_seconds": sum(s.get("wall_seconds", 0.0) for s in segments)}

    def _segment(self) -> dict[str, Any]:
        return {
            "started": _date(self.started),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "environment": environment(),
        }

    def _device(self) -> dict[str, Any]:
        cuda = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if cuda else platform.processor() or platform.machine()
        return {"type": self.device.type, "name": name, "threads": torch.get_num_threads()}

    def _peak_memory(self) -> int:
        """Bytes: of the device, or of this process, whatever else it has done."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _earlier_segments(run: Path) -> list[dict[str, Any]]:
    """What earlier processes said.

    Raises:
        UnreadableRunError: what they said is not known, and would be lost.
    """
    try:
        return list(load_run(run).provenance.get("segments", []))
    except UnreadableRunError:
        raise
    except StoreError:
        return []  # never begun, or its manifest is damaged: it is written anew


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
