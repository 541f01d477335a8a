"""A Hydra callback that refuses a results folder before Hydra itself stumbles over it."""

import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.runs.store import Store


class OutputCheck(Callback):
    """Ends the program with one sentence where ``output_dir`` cannot be written.

    By ``sys.exit``, because Hydra turns the exceptions of callbacks into warnings.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a single job."""
        _check(config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a sweep."""
        _check(config)


def _check(config: DictConfig) -> None:
    try:
        Store(config.output_dir).prepare()
    except StoreError as error:
        say(error, error=True)
        sys.exit(1)
