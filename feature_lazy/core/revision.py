"""Which source runs: the git revision, and what differs from it."""

import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2]
"""The folder that holds this package: a checkout, a frozen copy of one, or ``site-packages``."""
FROZEN = "SNAPSHOT.json"
"""File of a frozen copy with the revision that was copied and the installed packages that its jobs need.

Git would answer for whatever checkout the copy happens to lie in.
"""
CHANGES = "changes.diff"


def frozen() -> dict[str, Any]:
    """What a frozen copy says of itself; nothing elsewhere."""
    return json.loads((HOME / FROZEN).read_text()) if (HOME / FROZEN).is_file() else {}


@cache
def revision() -> tuple[dict[str, Any], bytes]:
    """Git revision of the source, and the diff to it; empty outside a checkout."""
    if made := frozen():
        diff = (HOME / CHANGES).read_bytes() if (HOME / CHANGES).is_file() else b""
        return made["git"], diff

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], cwd=HOME, capture_output=True, check=True, timeout=10).stdout

    try:
        name, diff = git("rev-parse", "HEAD").decode().strip(), git("diff", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return {}, b""
    changes = {"diff": hashlib.sha256(diff).hexdigest()} if diff else {}
    return {"revision": name, "modified": bool(diff), **changes}, diff
