"""Hydra callbacks for the end of a sweep: its table and figures where they are asked for, and always how it stands."""

import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say


class SweepFigures(Callback):
    """What all complete runs of ``output_dir`` show, also those of earlier sweeps."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See ``Callback.on_multirun_end``; a failure here loses no run and is shown as one sentence."""
        from feature_lazy.study.summary import summarise  # matplotlib and pandas: not needed while a sweep starts

        try:
            summarise(Path(config.output_dir))
        except StoreError as error:
            say(f"No figures yet: {error}")  # jobs that were only submitted, or all failed


class SweepEnd(Callback):
    """How all runs of ``output_dir`` stand, how long the sweep took, and what comes next."""

    def __init__(self) -> None:
        """Look at the clock."""
        self.started = time.monotonic()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See ``Callback.on_multirun_end``; a folder that cannot be read is one sentence."""
        from feature_lazy.study.end import show_end

        try:
            show_end(Path(config.output_dir), time.monotonic() - self.started)
        except StoreError as error:
            say(error)
