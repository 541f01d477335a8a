"""Where, when and with what a run was made."""

import platform
import subprocess
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("feature_lazy", "torch", "numpy", "scipy", "hydra-core", "omegaconf", "scikit-learn", "mlxtend")


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), **found}


@cache
def _revision() -> dict[str, Any]:
    """Git revision of the source, and whether it differs from it; empty outside a checkout."""

    def git(*arguments: str) -> str:
        folder = Path(__file__).parent
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "modified": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def provenance(started: float, device: torch.device, members: int) -> dict[str, Any]:
    """Versions, source revision, hardware and wall time.

    Args:
        started: Unix time at which the batch started.
        device: where it ran.
        members: members that were trained together; the wall time is theirs in common.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "versions": _versions(),
        "git": _revision(),
        "device": {"type": device.type, "name": name, "threads": torch.get_num_threads()},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_seconds": time.time() - started,
        "trained_together": members,
    }
