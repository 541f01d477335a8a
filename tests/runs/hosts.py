"""Training as on a host of its own, for ``tests/runs/test_two_hosts.py``: namespaces with a name and processes.

unshare … python -m tests.runs.hosts PATIENCE OVERRIDE…
"""

import subprocess
import sys
from functools import partial

from tests.conftest import ROOT

ALONE = ("unshare", "--user", "--map-root-user", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")


def works():
    """Whether this machine gives namespaces to whoever asks."""
    try:
        return subprocess.run([*ALONE, "hostname", "node"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def start(host, patience, *overrides):
    """Begin to train on a host; its own process is a child of the one that comes back."""
    script = f'hostname {host} && exec "$0" -m tests.runs.hosts {patience} "$@"'
    command = [*ALONE, "sh", "-c", script, sys.executable, *overrides]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main(patience, *overrides):
    """Train, with quick signs of life, watching an owner that cannot be asked for so many seconds."""
    from feature_lazy.runs.store import claims, lease
    from tests.conftest import composed
    from tests.processes import train

    lease.BEAT = 0.1
    claims.claim = partial(lease.claim, patience=float(patience))
    train(composed(*overrides))


if __name__ == "__main__":
    main(*sys.argv[1:])
