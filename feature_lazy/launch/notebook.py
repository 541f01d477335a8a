"""Training from Python: the command line of ``train.py`` as a function, which returns the sweep.

The command runs in a process of its own, so that a notebook keeps its logging, its signals and its memory, and there is
one way in which jobs are composed, checked, stored and resumed.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.core.terminal import say
from feature_lazy.launch.workers import PATIENCE
from feature_lazy.runs.plan import read_plans, stamps
from feature_lazy.runs.sweep import Sweep, load_sweep
from feature_lazy.settings.objects import PYTHON

REFUSED = "Nothing was started:"
"""How a sweep that is refused begins."""


class TrainingError(FeatureLazyError):
    """A training that did not end well; what is done is stored."""


def train(*overrides: str, output_dir: Path | str, quiet: bool = False) -> Sweep:
    """Train what a command line of ``train.py -m`` describes, and return its runs.

    What is done in the folder is not trained again, and what was interrupted goes on, as by a repeated command.

    Args:
        overrides: such as ``"width.h=20"`` and ``"alpha.value=1,10"``: keys, options and sweeps, as on a command line;
            ``"hydra.launcher.n_jobs=2"`` for two processes.
        output_dir: the results folder.
        quiet: say nothing while it trains.

    Returns:
        The complete runs that were asked for, and no others of the folder.

    Raises:
        ConfigError: what the command line refuses; nothing was trained.
        TrainingError: jobs that failed, each reason once.
        StoreError: no run is complete, such as after a submission to SLURM.
        KeyboardInterrupt: stopped; what is done is stored, and what was running has kept its state.
    """
    words, root = list(overrides), Path(output_dir).expanduser()
    _check(words)
    before = stamps(root)
    status, errors = _command(["-m", *words, f"output_dir={_quoted(root)}"], quiet=quiet)
    asked = {name: stamp for name, stamp in stamps(root).items() if before.get(name) != stamp}
    if status:
        refused = not asked or REFUSED in errors
        raise (ConfigError if refused else TrainingError)(errors or f"train.py ended with exit status {status}.")
    jobs, _ = read_plans(root, {*asked})
    wanted = {run.run_id for job in jobs for run in job.runs}
    sweep = load_sweep(root)
    return replace(sweep, runs=[run for run in sweep.runs if run.run_id in wanted])


def _check(words: Sequence[str]) -> None:
    """Refuse what is no override, or belongs to the function's own arguments.

    Raises:
        ConfigError: such a word.
    """
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"train({word!r}): overrides are texts, such as 'width.h=20'; output_dir=… is a keyword.")
        if word.startswith("-"):
            raise ConfigError(f"train({word!r}): flags are the command line's; give keys alone, such as 'width.h=20'.")
        if word.lstrip("+").startswith("output_dir="):
            raise ConfigError(f"train({word!r}): give the folder as a keyword, output_dir='results/mine'.")
        if PYTHON in word:
            raise ConfigError(
                f"train({word!r}): runs are trained in processes of their own, and an object of this one is not there; "
                "write it in a module and name that by its import path, or train here by feature_lazy.follow."
            )


def _quoted(root: Path) -> str:
    """A path as Hydra takes it, whatever is in it."""
    text = str(root).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _command(words: Sequence[str], *, quiet: bool) -> tuple[int, str]:
    """Run ``train.py`` in a process of its own, and say its lines as they come: its status and what it complains of.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    # What this process can import, its own folder included, the command can.
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    command = [sys.executable, "-m", "feature_lazy.launch.child", str(os.getpid()), *words]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, text=True, encoding="utf-8", errors="replace",
    ) as child, _interruptible(child):  # fmt: skip
        errors: list[str] = []
        assert child.stdout is not None
        assert child.stderr is not None
        listener = threading.Thread(target=errors.extend, args=(child.stderr,), daemon=True)
        listener.start()
        lines = []
        for line in child.stdout:
            lines.append(line)
            if not quiet:
                say(line.rstrip())
        status = child.wait()
        listener.join()
    if status == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    complaint = "".join(errors).strip()
    if not status and complaint and not quiet:
        say(complaint, error=True)
    return status, complaint or "".join(lines[-20:]).strip()


@contextmanager
def _interruptible(child: "subprocess.Popen[str]") -> Iterator[None]:
    """Let the command keep its state when a person stops the cell: it is asked once, and waited for."""
    try:
        yield
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
        raise
