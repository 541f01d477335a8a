"""Whether the nodes can see a folder, as far as that can be known before the first job."""

import re
import socket
from pathlib import Path

from feature_lazy.launch.slurm.programs import SlurmError, ask

IN_MEMORY = {"tmpfs", "ramfs"}
"""File systems that no other machine can see."""
ON_DISK = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "overlay"}
"""File systems that others see only if this machine exports them."""


def file_system(folder: Path) -> str:
    """Type of the file system that a folder lies on; empty if it cannot be found out."""
    import psutil

    path = folder.absolute().resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[parent] for parent in [path, *path.parents] if parent in mounts), "")


def hosts() -> set[str]:
    """Host names of the cluster's nodes.

    Raises:
        SlurmError: the controller does not answer.
    """
    return set(re.findall(r"NodeHostName=(\S+)", ask("scontrol", "show", "node")))


def check_shared(folder: Path) -> str | None:
    """A warning if the nodes probably cannot see a folder; None if nothing speaks against it.

    Raises:
        SlurmError: they certainly cannot.
    """
    kind = file_system(folder)
    if kind not in IN_MEMORY | ON_DISK:
        return None
    here = socket.gethostname()
    if {here, here.partition(".")[0]} & hosts():
        return None  # a cluster of one machine, or a command on a node
    if kind in IN_MEMORY:
        raise SlurmError(
            f"{folder} lies in the memory of {here} ({kind}), where no node can see it: choose an output_dir on a file "
            "system that the nodes share."
        )
    return (
        f"{folder} lies on a disk of {here} ({kind}). If the nodes do not see it too, every job will fail without a "
        "log: then choose an output_dir on a file system that they share."
    )
