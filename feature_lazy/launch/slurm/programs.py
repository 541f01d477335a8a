"""SLURM's own programs: called with a time limit, and their errors with what can be done about them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.redaction import redact

PATIENCE = 60.0
"""Seconds to wait for an answer; a busy controller takes several."""

ADVICE = {
    r"AssocMaxSubmitJobLimit|MaxSubmitJob|submit limit": (
        "more jobs than you may have in the queue: raise hydra.launcher.pack, or repeat the command when some are done"
    ),
    r"invalid partition|Invalid partition": "set hydra.launcher.partition to one of: {partitions}",
    r"time limit": "lower hydra.launcher.timeout_min, or choose another partition; their limits are: {limits}",
    r"gres|Requested node configuration is not available|GRES": (
        "no node of this partition has what was asked for: check hydra.launcher.gpus_per_node, gres, cpus_per_task and "
        "mem_gb; nodes have: {gres}. Without GPUs: hydra/launcher=slurm_cpu device=cpu"
    ),
    r"account|association": "set hydra.launcher.account to one of yours: sacctmgr show assoc user=$USER",
    r"[Qq][Oo][Ss]": "check hydra.launcher.qos and its limits: sacctmgr show qos",
    r"configuration source|Unable to process configuration|slurm\.conf": (
        "SLURM's programs are here, and no cluster that they know of: run this on a login node of one, or train on "
        "this machine with hydra/launcher=local"
    ),
    r"[Uu]nable to contact|Connection refused|timed out": "the controller does not answer: try scontrol ping",
}
"""What to change, by what SLURM says; the first that fits."""


class SlurmError(FeatureLazyError):
    """SLURM is not there, or refuses; the message has its own words and what to change."""


def available() -> bool:
    """Whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def require() -> None:
    """Make sure that there is a SLURM to speak to.

    Raises:
        SlurmError: its programs are not in the path.
    """
    missing = [name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None]
    if missing:
        raise SlurmError(
            f"{', '.join(missing)} is not in the path, so nothing can be submitted: run this on a login node of the "
            "cluster (module load slurm there, if need be), or train on this machine with hydra/launcher=local."
        )


def ask(*command: str) -> str:
    """What one of SLURM's programs prints.

    Raises:
        SlurmError: it fails, or does not answer in time.
    """
    # A person's defaults for what these show would hide jobs from us.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SQUEUE_", "SACCT_", "SINFO_"))}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=False,
            env=environment,
        )
    except OSError as error:
        raise SlurmError(f"{command[0]} cannot be run ({error.strerror}).") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{command[0]} does not answer within {PATIENCE:g} s; try scontrol ping.") from error
    if done.returncode:
        raise SlurmError(explained(done.stderr.strip() or done.stdout.strip() or f"{command[0]} failed"))
    return done.stdout


def explained(words: str) -> str:
    """SLURM's words, and what to change."""
    words = redact(" ".join(re.sub(r"^\w+: (error: )?", "", line) for line in words.splitlines() if line.strip()))
    for pattern, advice in ADVICE.items():
        if re.search(pattern, words):
            return f"SLURM says: {words}\n{advice.format_map(_Facts())}"
    return f"SLURM says: {words}"


FACTS = {"partitions": "%P", "limits": "%P %l", "gres": "%P %G"}
"""Formats of ``sinfo`` for what advice names."""


class _Facts(dict[str, str]):
    """What the cluster has, asked for only when a message needs it."""

    def __missing__(self, name: str) -> str:
        try:
            lines = ask("sinfo", "-h", "-o", FACTS[name]).split("\n")
        except SlurmError:
            return "(sinfo does not answer)"
        return ", ".join(dict.fromkeys(" ".join(line.split()).replace("*", "") for line in lines if line.strip()))


def setting(name: str) -> str | None:
    """A value of the cluster's configuration, such as ``MaxArraySize``; None if it does not say.

    Raises:
        SlurmError: the controller does not answer.
    """
    found = re.search(rf"^{name}\s*=\s*(.*)$", ask("scontrol", "show", "config"), re.MULTILINE)
    return found[1].strip() if found else None


def time_limit(partition: str | None) -> float | None:
    """Minutes that a job may have in a partition, the default one if it is None; None without a limit.

    Raises:
        SlurmError: the controller does not answer.
    """
    for line in ask("sinfo", "-h", "-o", "%P %l").splitlines():
        name, limit = line.split()
        if name.rstrip("*") == partition or (partition is None and name.endswith("*")):
            return minutes(limit)
    return None


def minutes(text: str) -> float | None:
    """A time as SLURM writes it, ``[days-]hours:minutes:seconds`` or less; None for ``infinite`` and the like."""
    if not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", text):
        return None
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    # With days it begins with hours; without, two numbers are minutes and seconds.
    parts = [*parts, 0, 0][:3] if days else [0, 0, *parts][-3:]
    return 1440 * int(days or 0) + 60 * parts[0] + parts[1] + parts[2] / 60


@contextmanager
def outside_any_job() -> Iterator[None]:
    """Forget while the body runs that this process is part of a SLURM job: a new job would inherit its limits.

    Where the cluster's configuration is must still be known, and what a person sets for sbatch stays.
    """
    import submitit

    kept = {k: v for k, v in os.environ.items() if k == "SLURM_CONF" or k.startswith("SBATCH_")}
    with submitit.helpers.clean_env():
        os.environ.update(kept)
        yield


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as SLURM writes array indices: 1-3,7."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts)
