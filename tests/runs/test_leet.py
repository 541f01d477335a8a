"""W&B's own view on the terminal shows what runs have stored, without an account and without a network."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.conftest import QUICK, TINY

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)")
ANSWERS = {b"\x1b[6n": b"\x1b[1;1R", b"]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\"}
"""What a program asks its terminal, where the cursor is and how it is coloured, and what one says."""
SELECT = b" "
"""The key that selects the run of the list, and deselects it again."""
PATIENCE = {"Select a run": 2, "No scalar metrics": 20}
"""Seconds for which the pane may say this before the key is pressed: a selected run is read anew where it is selected
again, and on a busy machine a first look takes longer than a short patience, which would only deselect it."""


@pytest.mark.skipif(not hasattr(os, "forkpty"), reason="a terminal of one's own is POSIX")
def test_a_pane_shows_the_observables_of_a_tracked_run(train_py, tmp_path):
    folder = tmp_path / "results"
    assert train_py(folder, *TINY, *QUICK, "tracking=wandb").returncode == 0
    command, wanted = [Path(sys.executable).with_name("wandb"), "leet", folder / "wandb"], ("kernel/change", "[x: t]")
    text = shown(command, wanted, tmp_path)
    assert all(word in text for word in wanted), text


def shown(command, wanted, home):
    """What a program shows on a terminal of 160 × 48 until all that is wanted is there, or two minutes are over."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", HOME=str(home))
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
        os.execv(command[0], [str(word) for word in command])
    seen, text, end, pressed = b"", "", time.monotonic() + 120, time.monotonic()
    try:
        while time.monotonic() < end and not all(word in text for word in wanted):
            says = max(PATIENCE, key=text.rfind)  # the last of them is what stands there now
            if says in text and time.monotonic() > pressed + PATIENCE[says]:
                os.write(terminal, SELECT)
                pressed = time.monotonic()
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break  # it has ended
            seen += more
            for question, answer in ANSWERS.items():
                if question in more:
                    os.write(terminal, answer)
            text = ESCAPES.sub(b"", seen).decode(errors="replace")
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        os.close(terminal)
    return text
