"""What would be submitted: cells, jobs, and node-hours."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from feature_lazy.core.terminal import console
from feature_lazy.core.words import counted
from feature_lazy.launch.slurm.cost import START_UP, Costs
from feature_lazy.launch.slurm.packing import arrays
from feature_lazy.launch.slurm.programs import SlurmError, available
from feature_lazy.launch.slurm.settings import Settings
from feature_lazy.launch.slurm.site import site_file
from feature_lazy.launch.slurm.submit import SlurmJob, idle_gpu, largest_array
from feature_lazy.runs.progress import duration

MOST = 20
"""Jobs that are shown one by one."""
SHORT, WORTH = 60.0, 600.0
"""Seconds of a job that is hardly worth its start, and of one that is."""
OF_ALL = ("name", "array_parallelism")
"""Settings of a whole submission."""


def preview(root: Path, jobs: Sequence[SlurmJob], settings: Settings) -> None:
    """Print the table of a dry run."""
    from rich.table import Table

    costs = Costs(root, jobs[0].parts[0].config.device if jobs else "cpu")
    table = Table(title=f"{counted(len(jobs), 'SLURM job')} for {root}")
    for name in ("job", "cells", "√h·α", "h", "seeds", "time"):
        table.add_column(name, justify="right")
    seconds = []
    for number, job in enumerate(jobs):
        columns = [cell.columns for part in job.parts for cell in part.cells]
        seconds.append(costs.seconds(columns, settings.side_by_side))
        if number < MOST:
            spans = [_span([float(c[key]) for c in columns]) for key in ("sqrt_h_alpha", "h", "seed")]
            table.add_row(str(number), str(len(columns)), *spans, duration(seconds[-1]))
    if len(jobs) > MOST:
        table.caption = f"and {len(jobs) - MOST} more"
    out = console()
    out.print(table)
    cells = sum(len(job.run_ids) for job in jobs)
    largest = _largest_array()
    count = len(arrays(len(jobs), largest, settings.array_parallelism)) if jobs else 0
    out.print(
        f"{counted(cells, 'cell')} in {counted(len(jobs), 'job')}, {counted(count, 'array')} of at most {largest}, "
        f"{settings.array_parallelism} at once"
    )
    out.print(f"Each job asks for {', '.join(_asked(settings))}")
    out.print(
        f"About {sum(seconds) / 3600:.2g} node-hours ({costs}); "
        f"at most {len(jobs) * settings.timeout_min / 60:.4g} without time-outs"
    )
    if late := sum(s > 60 * settings.timeout_min for s in seconds):
        out.print(
            f"{counted(late, 'job')} will probably not end within {settings.timeout_min} minutes, and go on by requeue"
        )
    for sentence in _notes(jobs, settings, cells, seconds):
        out.print(sentence)
    out.print("Nothing was submitted: hydra.launcher.dry_run=true")


def _notes(jobs: Sequence[SlurmJob], settings: Settings, cells: int, seconds: Sequence[float]) -> Iterator[str]:
    """What to change before these jobs are submitted, a sentence each."""
    if not site_file().is_file():
        yield "There is no slurm/site.yaml, with what this cluster needs: see slurm/README.md"
    if waste := idle_gpu(jobs, settings):
        yield waste
    if len(jobs) > 1 and (longest := max(seconds)) < SHORT:
        most = math.ceil(WORTH / max(longest - START_UP, 1.0)) * max(len(job.run_ids) for job in jobs)
        pack = min(cells, most)
        short = f"Jobs of {duration(longest)} mostly wait and start"
        yield f"{short}: hydra.launcher.pack={pack} puts {pack} cells into one"


def _asked(settings: Settings) -> list[str]:
    """What SLURM is asked for, as submitit has it, but what is of the submission and not of a job."""
    named = {name.removeprefix("slurm_"): value for name, value in settings.for_submitit().items()}
    named |= named.pop("additional_parameters", None) or {}
    return [
        f"{name}={value}"
        for name, value in named.items()
        if isinstance(value, str | int | float) and name not in OF_ALL
    ]


def _largest_array() -> int:
    try:
        return largest_array() if available() else 1001
    except SlurmError:
        return 1001


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} … {high:g}"
