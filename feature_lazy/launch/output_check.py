"""A Hydra callback that refuses folders that cannot be made before Hydra itself stumbles over them."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import make_folder
from feature_lazy.core.terminal import say
from feature_lazy.runs.store import Store


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
    try:
        Store(config.output_dir).prepare()
        make_folder(Path(folder := config.hydra[mode].dir), below=None)
    except StoreError as error:
        say(error, error=True)
        sys.exit(1)
    except OSError as error:
        say(f"hydra.{mode}.dir={folder}: the folder cannot be made ({error.strerror}); name another.", error=True)
        sys.exit(1)
