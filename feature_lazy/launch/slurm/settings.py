"""The launcher's settings as plain values: what is submitit's, and what is ours."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from feature_lazy.launch.slurm.programs import SlurmError

SHARED = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
"""What submitit calls the same on every kind of cluster; the rest is prefixed with ``slurm_``."""
OURS = ("pack", "side_by_side", "wait", "dry_run", "site_problem")


@dataclass(frozen=True)
class Settings:
    """How jobs are submitted.

    Attributes:
        folder: where submitit keeps a job's files; ``%A`` is its number.
        timeout_min: minutes that a job has.
        signal_delay_s: seconds before its end at which a job is told.
        max_num_timeout: time-outs in a row that may pass without progress.
        array_parallelism: jobs that may run at once.
        pack: cells of one job.
        side_by_side: cells of one job that are trained at once.
        wait: whether the command waits for the jobs.
        dry_run: whether nothing is submitted.
        executor: everything else, for submitit.
    """

    folder: str
    timeout_min: int = 60
    signal_delay_s: int = 120
    max_num_timeout: int = 2
    array_parallelism: int = 256
    pack: int = 1
    side_by_side: int = 1
    wait: bool = True
    dry_run: bool = False
    executor: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Settings":
        """Sort the launcher's values.

        Raises:
            SlurmError: a value that makes no sense, or a site file that cannot be read.
        """
        if problem := values.get("site_problem"):
            raise SlurmError(str(problem))
        own = {f: values[f] for f in cls.__dataclass_fields__ if f in values}
        rest = {k: v for k, v in values.items() if k not in {*own, *OURS, "submitit_folder", "_target_"}}
        settings = cls(folder=os.path.abspath(str(values["submitit_folder"])), executor=rest, **own)
        if problems := list(settings._problems()):
            raise SlurmError("\n".join(problems))
        return settings

    def plain(self) -> dict[str, Any]:
        """What ``of`` takes."""
        own = {f: getattr(self, f) for f in self.__dataclass_fields__ if f not in ("folder", "executor")}
        return {"submitit_folder": self.folder, **own, **self.executor}

    def for_submitit(self) -> dict[str, Any]:
        """Arguments of ``submitit.AutoExecutor.update_parameters``."""
        values = {
            "timeout_min": self.timeout_min,
            "signal_delay_s": self.signal_delay_s,
            "array_parallelism": self.array_parallelism,
            **self.executor,
        }
        return {key if key in SHARED else f"slurm_{key}": value for key, value in values.items() if value is not None}

    def _problems(self) -> "list[str]":
        found = [
            f"hydra.launcher.{name}={getattr(self, name)}: it must be at least {least}."
            for name, least in (
                ("timeout_min", 1),
                ("signal_delay_s", 1),
                ("max_num_timeout", 0),
                ("array_parallelism", 1),
                ("pack", 1),
                ("side_by_side", 1),
            )
            if getattr(self, name) < least
        ]
        found += [
            f"hydra.launcher.{name}={value}: every task would train the same; use hydra.launcher.pack and side_by_side."
            for name in ("tasks_per_node", "nodes")
            if (value := self.executor.get(name) or 1) > 1
        ]
        if self.signal_delay_s >= 60 * self.timeout_min:
            found.append(
                f"hydra.launcher.signal_delay_s={self.signal_delay_s}: a job of {self.timeout_min} minutes would be "
                "told to stop when it starts; raise hydra.launcher.timeout_min, or lower it."
            )
        return found
