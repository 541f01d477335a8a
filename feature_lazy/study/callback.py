"""A Hydra callback: when a sweep is complete, show its table and draw its figures."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say


class SweepFigures(Callback):
    """Works on all complete runs of ``output_dir``, also those of earlier sweeps."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See ``Callback.on_multirun_end``; a failure here loses no run and is shown as one sentence."""
        from feature_lazy.study.summary import summarise  # matplotlib and pandas: not needed while a sweep starts

        try:
            summarise(Path(config.output_dir))
        except StoreError as error:
            say(f"No figures yet: {error}")  # jobs that were only submitted, or all failed
