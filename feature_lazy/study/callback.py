"""A Hydra callback: how a sweep stands when it ends, its table and its figures."""

import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say


class SweepFigures(Callback):
    """Works on all complete runs of ``output_dir``, also those of earlier sweeps."""

    def __init__(self) -> None:
        """Look at the clock."""
        self.started = time.monotonic()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See ``Callback.on_multirun_end``; a failure here loses no run and is shown as one sentence."""
        # matplotlib and pandas: not needed while a sweep starts
        from feature_lazy.study.end import show_end
        from feature_lazy.study.summary import summarise

        seconds, folder = time.monotonic() - self.started, Path(config.output_dir)
        try:
            summarise(folder)
        except StoreError as error:
            say(f"No figures yet: {error}")  # jobs that were only submitted, or all failed
        try:
            show_end(folder, seconds)
        except StoreError as error:
            say(error)
