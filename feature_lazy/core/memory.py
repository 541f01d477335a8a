"""How much to do at once: chunks of patterns under one memory limit."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feature_lazy.core.errors import KernelSizeError
from feature_lazy.core.redaction import redact

# A forward pass with its graph and the backward pass through it hold about this many copies of the stored
# activations (value, saved input, gradient, and two temporaries of the activation function).
COPIES_PER_ACTIVATION = 5


# Bytes of a temporary beyond which an allocator asks the system for fresh pages each time, which costs more than the
# work on them: on a CPU patches of images are made three times as fast below it as above (glibc's limit is 32 MiB).
WORKING = 16 * 2**20


def chunk_size(n_items: int, bytes_per_item: float, memory_limit: float) -> int:
    """Largest number of items, at least 1 and at most n_items, whose bytes stay within memory_limit."""
    return max(1, int(min(n_items, memory_limit / max(bytes_per_item, 1))))


def chunks(n_items: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` items that cover range(n_items) in order."""
    for start in range(0, n_items, size):
        yield slice(start, min(start + size, n_items))


def free_bytes(device: str = "cpu") -> float:
    """Memory that a device can still give: of a CPU, what the machine and the job's control group leave."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    import psutil

    return float(min([psutil.virtual_memory().available, *cgroup_bytes()]))


@contextmanager
def within_memory() -> Iterator[None]:
    """Say what to do where memory does not suffice, as far as the system tells instead of killing.

    Raises:
        KernelSizeError: instead of MemoryError, and of what PyTorch raises.
    """
    try:
        yield
    except Exception as error:
        said = " ".join(redact(str(error)).split())
        if not (isinstance(error, MemoryError) or re.search(r"allocate memory|out of memory|Storage size", said)):
            raise
        raise KernelSizeError(
            f"It does not fit into memory ({said[:160] or type(error).__name__}): lower width.h, dataset.n_train or "
            "seed.members, or use a larger machine."
        ) from error


# Of each version of control groups: how its line in /proc/self/cgroup begins, its folder, and its files.
CGROUPS = (
    ("0::", "", "memory.max", "memory.current", "inactive_file"),
    (r"\d+:memory:", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def cgroup_bytes(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """What the limits of this process' control groups leave, which SLURM and containers set; nothing without limits.

    Cached files count as used there, but make room when memory is needed.
    """
    lines = own.read_text() if own.exists() else ""
    for start, folder, limit_file, used_file, cached_name in CGROUPS:
        group = re.search(rf"^{start}/(.*)$", lines, re.MULTILINE)
        if group is None:
            continue
        inside = root / folder / group[1]
        for level in [inside, *inside.parents]:
            try:
                limit, used = ((level / name).read_text().strip() for name in (limit_file, used_file))
                cached = re.search(rf"^{cached_name} (\d+)$", (level / "memory.stat").read_text(), re.MULTILINE)
            except OSError:
                continue  # not every level counts
            if limit != "max":
                yield max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0))


UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_bytes(text: str) -> float:
    """Number of bytes that a text such as ``500MB`` or ``2GiB`` means.

    Raises:
        ValueError: anything else, or a size that is not positive.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].upper() not in UNITS or not float(match[1]) > 0:
        raise ValueError("must be a positive size such as 500MB or 2GiB")
    return float(match[1]) * UNITS[match[2].upper()]
