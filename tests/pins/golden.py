"""What is pinned of ids, runs and W&B, as plain values; how they are written, and how they may differ."""

import hashlib
import json
import math

import numpy as np

from tests.conftest import ROOT
from tests.pins import ways

RELATIVE = 1e-10
FLOOR = 1e-12
"""Absolute, over the largest value of a column or 1: what is near 0 there is a difference of numbers of that size, as
F = α(f − f₀) and ‖Θ − Θ₀‖ are, and 1e-12 is a few thousand roundings of it."""
SINGLE = 1e-3
"""Both of them for float32, whose rounding, 1e-7, grows in training: here the same to the bit, elsewhere not."""
PROSE = ("auto/why",)
"""Sentences in a summary; they may be worded anew."""
MEANT = """
These are pinned because stored runs and queued jobs depend on them. If the change is meant: ids move only with the
identity of runs (raise SCIENCE_VERSION if results changed, else leave them); then python -m tests.pins.make, and say in
the commit which pins moved and why. If it is not meant: mend the code and leave the pins."""


def read(name):
    return json.loads((ways.DATA / f"{name}.json").read_text())


def write(name, values):
    """A line for each case, so that a change shows what moved."""
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    (ways.DATA / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def experiments():
    """Names of all sweeps that files describe."""
    folder = ROOT / "conf" / "experiment"
    return [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.yaml"))]


def sweep(experiment):
    """Jobs of an experiment, runs, and a hash of the sorted ids."""
    configs = ways.Jobs(f"experiment={experiment}").of_sweep()
    ids = sorted(run_id for config in configs for run_id in ways.run_ids(config))
    return {"jobs": len(configs), "runs": len(ids), "sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest()}


def of_run(run):
    """A stored run: history, summary, and of its arrays shape, type, size and some numbers."""
    return {
        "run_id": run.run_id,
        "history": {name: values.tolist() for name, values in run.history.items()},
        "summary": {name: value for name, value in run.summary.items() if name not in PROSE},
        "arrays": {name: _array(array) for name, array in sorted(run.outputs.items())},
    }


def _array(array):
    flat = array.astype(np.float64).ravel()
    numbers = [*flat[:3], *flat[-2:], math.sqrt((flat**2).mean())]
    return {"shape": list(array.shape), "dtype": str(array.dtype), "numbers": [float(x) for x in numbers]}


def differences(old, new, tolerance=(RELATIVE, FLOOR), path=""):
    """Where two such values differ, a line each; what only the new one has is allowed."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key not in new:
                yield f"{path}/{key} is missing"
            else:
                yield from differences(value, new[key], tolerance, f"{path}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        sizes = [abs(x) for x in old if isinstance(x, float) and math.isfinite(x)]
        floor = tolerance[1] * max(1.0, *sizes) if sizes else tolerance[1]
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, (tolerance[0], floor), f"{path}[{i}]")
    elif not _same(old, new, tolerance):
        yield f"{path} was {old!r}, is {new!r}"


def _same(old, new, tolerance):
    if isinstance(old, float) and isinstance(new, float | int):
        if not (math.isfinite(old) and math.isfinite(new)):
            return repr(old) == repr(float(new))
        return abs(old - new) <= max(tolerance[0] * abs(old), tolerance[1])
    return old == new and type(old) is type(new)


def check(old, new, exact=False, single=False):
    """Fail, and say what to do, where anything that is pinned has moved."""
    tolerance = (0.0, 0.0) if exact else (SINGLE, SINGLE) if single else (RELATIVE, FLOOR)
    found = list(differences(old, new, tolerance))
    assert not found, "\n".join([*found[:12], f"… {len(found)} differences in all", MEANT])


def of_tracked(written):
    """A run that W&B has written: every name but W&B's own, which begin with _, and all of what it is called."""
    about = ("run_id", "project", "run_group", "job_type", "tags", "display_name")
    return {
        "about": {name: written.about.get(name) for name in about},
        "config": _names(_paths(written.config)),
        "metrics": _names(name for row in written.rows for name in row),
        "summary": _names(written.summary),
        "axes": {one["glob_name"]: one.get("step_metric") for one in written.metrics if "glob_name" in one},
    }


def _names(names):
    """As the keys of a dictionary, so that later versions may have more."""
    return {name: True for name in sorted(names) if not name.startswith("_")}


def _paths(node, prefix=""):
    """Dotted names of all leaves."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
