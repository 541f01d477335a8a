"""Weights & Biases: one run for each cell, with the cell's run id, against the training time t.

Offline, W&B keeps a folder for every process that logs a run, and joins them by appending: what two processes logged
alike would be there twice, and a process that is killed loses what it had not flushed. So a run that goes on replaces
its folder by one that begins with the observations of the store. Online, the server says which step it has.
"""

import logging
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.files import make_folder, remove_folder
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.runs.history import Row
from feature_lazy.runs.tracking.artifacts import files, upload
from feature_lazy.runs.tracking.options import Tracked
from feature_lazy.runs.tracking.refusals import reason
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

log = logging.getLogger(__name__)
SECONDS = 20
"""How long W&B may try to reach its server at the start, and again at the end, of a run."""


@option("tracking", "wandb")
class WandbTracking(Tracked):
    """Weights & Biases, one run for each cell; offline needs neither network nor account."""

    mode: str = key(
        "offline", "offline writes files, `feature-lazy sync` sends them", choices=("offline", "online", "disabled")
    )
    project: str = key("feature_lazy", "project name")
    entity: str | None = key(None, "team or user; null: the account's default")
    group: str | None = key(None, "groups runs; null: the name of output_dir")
    tags: list[str] = key([], "tags of the runs")
    artifacts: list[str] = key([], "files in a run's directory to upload at its end, such as outputs.safetensors")

    def maker(self, root: Path) -> "Callable[[], Wandb] | None":
        if self.mode == "disabled":
            return None
        group = self.group or root.resolve().name
        place = Place(self.project, self.entity, group, tuple(self.tags), tuple(self.artifacts))
        return lambda: Wandb(root, place, online=self.mode == "online")


@dataclass(frozen=True)
class Place:
    """Where W&B shows runs, and how.

    Attributes:
        project: W&B project.
        entity: team or user; None for the account's default.
        group: group of the runs.
        tags: tags of the runs.
        artifacts: names of files and folders in a run's directory that are uploaded when it is done.
    """

    project: str
    entity: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What a person is asked before something is sent there."""
        files = f", with {', '.join(self.artifacts)} of each run" if self.artifacts else ""
        return f"project {self.project!r} of {repr(self.entity) if self.entity else 'your default entity'}{files}"


class TakenError(RuntimeError):
    """The server has a run with this id and another configuration."""


class Wandb:
    """Weights & Biases."""

    def __init__(
        self, root: Path, place: Place, *, online: bool = False, fallback: bool = True, folder: Path | None = None
    ) -> None:
        """Choose where runs go; W&B is imported here, which takes half a second.

        Args:
            root: the results folder.
            place: project, entity and so on.
            online: whether to send what is logged at once, and not only write it.
            fallback: whether a run that the server does not take is written offline.
            folder: W&B writes under ``folder/wandb``; the results folder if omitted.
        """
        if not online:
            # W&B measures itself, and would send that: offline nothing is.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        place_for_logs()
        _look_for_staged_inputs_if_any(wandb.Run)
        self.wandb, self.root, self.place, self.online, self.fallback = wandb, root, place, online, fallback
        self.folder, self.uploads = folder or root, True
        self.runs: dict[str, Any] = {}
        self.best: dict[str, float] = {}
        self.steps: dict[str, int] = {}

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        """See ``Tracker.start``.

        Raises:
            Exception: whatever W&B raises; online only without ``fallback``.
        """
        make_folder(self.folder / "wandb", below=self.folder)
        try:
            run = self._begin(cell)
        except Exception as error:
            if self.runs or not (self.online and self.fallback):
                raise
            self.online = False  # for the runs that follow, too: each would wait
            why = reason(error, self.place)
            log.warning("W&B takes no runs, they are written offline (feature-lazy sync sends them): %s", why)
            self._end_process()  # it holds the run's id
            run = self._init(cell)
        run.define_metric("t")
        run.define_metric("*", step_metric="t")
        self.runs[cell.run_id], self.best[cell.run_id] = run, math.inf
        has = run.starting_step  # 0 but of a run that the server knew
        for step, row in enumerate(rows):
            self._log(cell, step, row, send=step >= has)

    def _begin(self, cell: Cell) -> Any:
        """A run; if W&B's own process has crashed under an earlier job, by another one.

        Raises:
            TakenError: the server has another run with this id.
        """
        try:
            return self._init(cell)
        except (self.wandb.errors.Error, TakenError):  # what W&B, or this module, has found
            raise
        except Exception:
            if self.runs or not self.fallback:  # sync has runs in other threads
                raise
            self._end_process()
            return self._init(cell)

    def _end_process(self) -> None:
        """End W&B's own process; the next run begins one."""
        with suppress(Exception, SystemExit):  # it fails, or exits with the code of a process that has crashed
            self.wandb.teardown()

    def _init(self, cell: Cell) -> Any:
        config = {**cell.columns, "label": cell.label, "cell": group_key(cell), "science": cell.config}
        if not self.online:
            for folder in offline_folders(self.folder, cell.run_id):
                remove_folder(folder, below=self.folder)
        run = self.wandb.init(
            id=cell.run_id,
            name=cell.label,
            project=self.place.project,
            entity=self.place.entity,
            group=self.place.group,
            job_type=cell.columns["dynamics"],
            tags=list(self.place.tags),
            mode="online" if self.online else "offline",
            dir=str(self.folder),
            resume="allow" if self.online else None,
            # Members of an ensemble are runs of one process at the same time; the default would close each other.
            reinit="create_new",
            settings=_settings(self.wandb),
        )
        if run.resumed and run.config.get("science", config["science"]) != config["science"]:
            run.finish()
            raise TakenError(
                f"project {self.place.project!r} has a run {cell.run_id} with another configuration; choose another: "
                "tracking.project=NAME"
            )
        run.config.update(config, allow_val_change=True)
        return run

    def log(self, cell: Cell, step: int, row: Row) -> None:
        self._log(cell, step, row, send=True)

    def _log(self, cell: Cell, step: int, row: Row, *, send: bool) -> None:
        """Log a row; ``log10_t`` is added because W&B has logarithmic axes per panel only."""
        self.steps[cell.run_id] = step + 1
        self.best[cell.run_id] = min(self.best[cell.run_id], row.get("test/error", math.inf))
        if send:
            log10_t = {"log10_t": math.log10(row["t"])} if row["t"] > 0 else {}
            # At once: else W&B keeps the row for later, and its values replace those of the summary, such as t.
            self.runs[cell.run_id].log({**row, **log10_t}, step=step, commit=True)

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``; the smallest test error is added to the summary.

        Raises:
            Exception: whatever W&B raises; of artifacts only without ``fallback``.
        """
        run, best = self.runs.pop(cell.run_id, None), self.best.pop(cell.run_id, math.inf)
        if run is None:
            return
        try:
            run.summary.update({**summary, **({"test/error_min": best} if math.isfinite(best) else {})})
            found = files(self.root / "runs" / cell.run_id, self.place.artifacts)
            refusal = upload(run, cell, found, wait=self.online) if found and self.uploads else None
        finally:
            # W&B calls every run finished that ends with 0; one that was stopped has not.
            run.finish(exit_code=int(summary.get("outcome") == Outcome.INTERRUPTED))
        if refusal is not None:
            if not self.fallback:
                raise refusal
            self.uploads = False  # of the runs that follow, too: each would wait
            why = reason(refusal, self.place)
            log.warning("W&B takes no artifacts, training goes on (feature-lazy sync sends them): %s", why)

    def reached(self, cell: Cell) -> int:
        """How many observations of a run the server has.

        Raises:
            Exception: whatever W&B raises.
        """
        run = self._init(cell)
        step = run.starting_step
        run.finish()
        return step


def group_key(cell: Cell) -> str:
    """What all seeds at one α and width share: W&B's charts group by one key only."""
    return f"√hα={cell.columns['sqrt_h_alpha']:g} h={cell.columns['h']}"


def offline_folders(root: Path, run_id: str) -> list[Path]:
    """What W&B has written of a run offline."""
    return [path for path in sorted((root / "wandb").glob(f"offline-run-*-{run_id}")) if not path.is_symlink()]


def refuse_settings_here() -> None:
    """Refuse to send by settings of the current folder, which W&B reads by itself: a server and proxies among them.

    Raises:
        ConfigError: there are some: a results folder that came from elsewhere has ``wandb/``, too.
    """
    for path in (Path.cwd() / folder / "settings" for folder in ("wandb", ".wandb")):
        if os.path.lexists(path):
            raise ConfigError(
                f"{path} would say to W&B where runs are sent, and your key with them. Call the command in another "
                "folder; what of the file is yours, say by WANDB_BASE_URL or in ~/.config/wandb/settings."
            )


def place_for_logs() -> None:
    """Have W&B's own process log to a folder of this process where the user's cache cannot be written.

    It would log to the terminal, and has no setting against that; artifacts are staged in the same cache.
    """
    from wandb.env import CACHE_DIR, get_cache_dir

    logs = get_cache_dir() / "logs"
    with suppress(OSError):
        make_folder(logs, below=None)
        if os.access(logs, os.W_OK | os.X_OK):
            return
    _caches.append(tempfile.TemporaryDirectory(prefix="feature_lazy_wandb_"))
    os.environ[CACHE_DIR] = _caches[-1].name


def _look_for_staged_inputs_if_any(run: Any) -> None:
    """Spare a run what W&B imports at its start for inputs of a job of its own queue: half of the time that it takes.

    They are staged by functions of ``wandb.sdk.launch``, so that there are none where that is not imported.

    Args:
        run: W&B's class of runs.
    """
    look = getattr(run, "_detect_and_apply_job_inputs", None)
    if look is None or hasattr(look, "__wrapped__"):  # another version, or it has been done
        return

    @wraps(look)
    def if_any(self: Any) -> None:
        if "wandb.sdk.launch" in sys.modules:
            look(self)

    run._detect_and_apply_job_inputs = if_any


_caches: list[tempfile.TemporaryDirectory] = []
"""Each is removed when this process ends."""


def _settings(wandb: Any) -> Any:
    """Quiet, without what is recorded elsewhere, and with an end to every wait; what this version has of it."""
    wanted = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "save_code": False,
        "x_disable_stats": True,
        "x_save_requirements": False,
        "x_transaction_log_flush_interval": 1.0,
        "init_timeout": SECONDS,
        "finish_timeout": SECONDS,
        "finish_timeout_raises": True,
        "stop_fn": _go_on,
    }
    known = wandb.Settings.model_fields
    return wandb.Settings(**{name: value for name, value in wanted.items() if name in known})


def _go_on() -> None:
    """W&B's page has a button that interrupts a script; tracking stops nothing here."""
