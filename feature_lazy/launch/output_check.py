"""A Hydra callback that refuses folders that cannot be made before Hydra itself stumbles over them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import exists, make_folder, remove, remove_empty
from feature_lazy.core.terminal import say
from feature_lazy.runs.plan import PLANS, requested
from feature_lazy.runs.store import Store

FILES = ("train.log", "multirun.yaml", ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml")
FOLDERS = (".hydra", "runs", PLANS, "slurm", ".")
"""What a command makes before anything is asked for, in the order in which it is taken back."""


class OutputCheck(Callback):
    """Ends the program with one sentence where ``output_dir``, or a folder of Hydra's own, cannot be written.

    By ``sys.exit``, because Hydra turns the exceptions of callbacks into warnings.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a single job."""
        _check(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a sweep."""
        _check(config, "sweep")


def _check(config: DictConfig, mode: str) -> None:
    folders = Path(config.output_dir), Path(config.hydra[mode].dir)
    _before.extend(_Before(folder) for folder in dict.fromkeys(folders))
    try:
        Store(folders[0]).prepare()
        make_folder(folders[1], below=None)
    except StoreError as error:
        say(error, error=True)
        sys.exit(1)
    except OSError as error:
        say(f"hydra.{mode}.dir={folders[1]}: the folder cannot be made ({error.strerror}); name another.", error=True)
        sys.exit(1)


class _Before:
    """A folder as it is before a command, which makes it and writes to it before it knows whether it is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.files = [path for name in FILES if not _there(path := self.folder / name)]
        folders = [*(self.folder / name for name in FOLDERS), *self.folder.parents]
        self.folders = [path for path in folders if not _there(path)]

    def again(self) -> None:
        """Remove what was not there; folders that hold anything else stay."""
        for path in self.files:
            with suppress(OSError):
                remove(path, below=self.folder)
        for path in self.folders:
            with suppress(OSError):
                remove_empty(path, below=self.folder if self.folder in path.parents else None)


def _there(path: Path) -> bool:
    try:
        return exists(path)
    except OSError:
        return True  # who cannot look does not remove


_before: list[_Before] = []


@contextmanager
def leaving_nothing() -> Iterator[None]:
    """Take back what the body has made in folders of its own, unless it has asked for runs, in whichever folder."""
    _before.clear()
    before = len(requested)
    try:
        yield
    finally:
        if len(requested) == before:
            for handler in logging.getLogger().handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.close()  # what is open cannot be removed everywhere
            for one in reversed(_before):
                one.again()
