"""What was computed of baselines beside the runs of a sweep, and by what it is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.files import read_regular, write_atomically
from feature_lazy.core.shapes import ANYTHING, NUMBER, TEXT, Record
from feature_lazy.study.baselines.base import Baseline

FILE, FOLDER = "baselines.json", "baselines"
"""Beside the runs of a sweep: numbers and what they are of, and a file of arrays for each."""
ENTRY = Record(
    {"label": TEXT, "kernel": TEXT, "of": TEXT, "error": NUMBER, "arrays": TEXT},
    {"scalars": Record(rest=NUMBER)},
    ANYTHING,
)
KNOWN = Record(rest=ENTRY)
INFINITE = ("infinite_ntk", "infinite_nngp")
COMMON = (*INFINITE, "linear")
"""Kernels that all α, widths and seeds share; those of infinite width also as ``NAME@L``, of L hidden layers."""
OF_A_RUN = ("start", "end")
"""Kernels of one network; also ``t=…``."""
HIDDEN = "hidden_"
"""Before one of those: of the last hidden layer alone, what the output layer sees."""
NOT_ITS_OWN = ("alpha", "width", "seed", "dynamics", "observe", "dtype", "regulariser")
"""Keys of a run's configuration on which a common kernel, and what is learnt with it, does not depend."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Stored:
    """A baseline's prediction.

    Attributes:
        error: fraction of test patterns with F·y ≤ 0; of real labels the mean of (F − y)².
        scalars: numbers that the baseline gives.
        arrays: ``F_test``, and ``variance`` where there is one.
    """

    error: float
    scalars: dict[str, float]
    arrays: Arrays


def check_kernel(name: str) -> str:
    """The same name.

    Raises:
        ConfigError: there is no such kernel.
    """
    plain, at, depth = name.partition("@")
    when = name.removeprefix(HIDDEN)
    if at:
        known = plain in INFINITE and depth.isdecimal() and int(depth) > 0
    elif when.startswith("t="):
        try:
            known = float(when[2:]) >= 0
        except ValueError:
            known = False
    else:
        known = name in COMMON or when in OF_A_RUN
    if not known:
        raise ConfigError(
            f"kernel {name}: there is none; choose of {', '.join((*COMMON, *OF_A_RUN))} and t=TIME; of the last hidden "
            "layer, such as hidden_end; and of infinite width and a number of layers, such as infinite_ntk@60."
        )
    return name


def is_common(kernel: str) -> bool:
    """Whether a kernel is one that all α, widths and seeds share."""
    return kernel.partition("@")[0] in COMMON


def label(baseline: Baseline) -> str:
    """What a person calls it: its name, its first key, and others that are not at their defaults."""
    keys = [f for f in fields(baseline) if f.name != "kind"]
    shown = [f for number, f in enumerate(keys) if not number or getattr(baseline, f.name) != f.default]
    return " ".join([baseline.option_name, *(f"{f.name}={getattr(baseline, f.name)}" for f in shown)])


def own_science(science: Mapping[str, Any], kernel: str) -> dict[str, Any]:
    """The part of a run's configuration on which a prediction with that kernel depends."""
    if is_common(kernel):
        own = {name: value for name, value in science.items() if name not in NOT_ITS_OWN}
        if "@" in kernel:
            own["architecture"] = {name: v for name, v in own["architecture"].items() if name != "depth"}
        return own
    if kernel.removeprefix(HIDDEN) != "start":
        return dict(science)
    free = {"dynamics", "observe", "regulariser"} | ({"alpha"} if science.get("centred", True) is True else set())
    trained = science.get("dynamics", {}).get("train")
    return {name: value for name, value in science.items() if name not in free} | (
        {"train": trained} if trained else {}
    )


def of(science: Mapping[str, Any], kernel: str) -> str:
    """Hash of that part."""
    return _hash({"kernel": kernel, **own_science(science, kernel)})


def key(baseline: Baseline, kernel: str, science: Mapping[str, Any]) -> str:
    """By what a prediction is known: the baseline with its version and keys, the kernel, and the science."""
    return _hash({"baseline": asdict(baseline), "version": baseline.version, "of": of(science, kernel)})


def _hash(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def entries(folder: Path) -> dict[str, Any]:
    """What was computed before; nothing if the file is missing or damaged, since it can be made again."""
    try:
        known = json.loads(read_regular(folder / FILE))
    except (OSError, ValueError, RecursionError):
        return {}
    return {} if KNOWN.misfit(known) else known


def read(folder: Path, name: str, entry: Mapping[str, Any]) -> Stored | None:
    """A prediction; None if its arrays are missing or damaged."""
    try:
        data = read_regular(_path(folder, name))
        if hashlib.sha256(data).hexdigest() != entry["arrays"]:
            return None
        return Stored(entry["error"], dict(entry.get("scalars", {})), load(data))
    except (OSError, ValueError, SafetensorError):
        return None


def write(folder: Path, name: str, baseline: Baseline, kernel: str, science: Mapping[str, Any], one: Stored) -> None:
    """Keep a prediction: arrays first, so that what is listed is there.

    Raises:
        OSError: it cannot be written.
    """
    data = save({place: np.ascontiguousarray(array) for place, array in one.arrays.items()})
    write_atomically(_path(folder, name), data, below=folder)
    entry = {
        "label": label(baseline),
        "kernel": kernel,
        "of": of(science, kernel),
        "error": one.error,
        "scalars": one.scalars,
        "arrays": hashlib.sha256(data).hexdigest(),
    }
    known = {**entries(folder), name: entry}
    write_atomically(folder / FILE, json.dumps(known, indent=1).encode(), below=folder)


def _path(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.safetensors"
