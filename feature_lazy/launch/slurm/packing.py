"""How cells are dealt out: to jobs of a few cells, and jobs to arrays that SLURM accepts."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Array:
    """Jobs that are submitted together.

    Attributes:
        members: indices of the jobs.
        parallelism: how many may run at once.
        after: index of the array that must be over before; None if it may start at once.
    """

    members: tuple[int, ...]
    parallelism: int
    after: int | None


def packs(sizes: Sequence[int], limit: int) -> list[list[int]]:
    """Group neighbours so that a group has at most ``limit`` cells; one that has more by itself stays alone.

    Args:
        sizes: cells of each.
        limit: cells of a group, at least 1.
    """
    groups: list[list[int]] = []
    room = 0
    for index, size in enumerate(sizes):
        if size > room or not groups:
            groups.append([])
            room = limit
        groups[-1].append(index)
        room -= size
    return groups


def arrays(n_jobs: int, largest: int, parallelism: int) -> list[Array]:
    """Deal jobs out to arrays of at most ``largest`` jobs so that never more than ``parallelism`` of all run at once.

    SLURM limits each array by itself, so the arrays share the parallelism; where there are more arrays than that, some
    wait for others. Jobs go round the arrays in turn: all arrays then progress, and end, alike.
    """
    count = -(-n_jobs // largest)
    lanes = min(count, parallelism)
    share, extra = divmod(parallelism, max(1, lanes))
    return [
        Array(
            tuple(range(number, n_jobs, count)),
            share + (number % lanes < extra),
            number - lanes if number >= lanes else None,
        )
        for number in range(count)
    ]
