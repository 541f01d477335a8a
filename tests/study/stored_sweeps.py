"""Sweeps with known answers, stored without training and without waiting for a disk."""

import hashlib
import json
import math
from unittest import mock

import numpy as np

from feature_lazy.runs.history import History
from feature_lazy.runs.plan import PlannedJob, PlannedRun, _write
from feature_lazy.runs.store import Store

XS = tuple(10.0 ** np.arange(-3, 6))
SAME = {
    "dataset": "digits",
    "labels": "parity",
    "P": 20,
    "architecture": "fully_connected",
    "parametrisation": "ntk",
    "L": 3,
    "activation": "softplus",
    "loss": "soft_hinge",
    "dynamics": "gradient_flow",
}
FEW = {"dataset": {"kind": "digits", "n_train": 20, "n_test": 20}}
"""Where the columns have it too: what figures compute of infinite width takes its time with each pattern."""
BOUNDARY = 11.0
"""√h·α at which the planted kernel change is 1, for every width."""
PROVENANCE = {
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "git": {"revision": "0123456789abcdef", "modified": False},
    "device": {"type": "cpu", "name": "x86_64", "threads": 2},
    "trained_together": 2,
    "wall_seconds": 1.5,
    "segments": [{"started": "2026-11-24T10:00:00Z", "ended": "2026-11-24T10:01:00Z", "host": "node7"}],
}


def kernel_change(x):
    """Exponents −1.5 below √h·α = 10 and −1 above; exactly 1 at ``BOUNDARY``."""
    return (x / 10) ** (-1.0 if x > 10 else -1.5) * BOUNDARY / 10


def planted_error(x):
    """Lazy training is better by ten points."""
    return 0.05 if x > 10 else 0.15


def columns(h, x, seed, **different):
    return {**SAME, "h": h, "alpha": x / h**0.5, "sqrt_h_alpha": x, "seed": seed, **different}


def history(h, x, observations, factor):
    t_half = 3.3 * min(x, 1.0)
    times = [0.0, *np.geomspace(1e-3 * t_half, 10 * t_half, observations)]
    change = kernel_change(x) * factor
    return [
        {
            "t": t,
            "train/loss": 2.0 ** (-t / t_half),
            "test/loss": 0.1 + 2.0 ** (-t / t_half),
            "test/error": 0.5 - (0.5 - planted_error(x)) * min(1.0, t / t_half / 10),
            "train/error": 0.5 * 2.0 ** (-t / t_half),
            "train/unfit": 20 * 2.0 ** (-t / t_half),
            "kernel/change": change * min(1.0, t / t_half / 10),
            "weights/change": x**-0.5 * t / t_half * factor,
            "output/f_rms": 1.0 + t,
            "output/df_rms": t * h**0.5,
            "output/alpha_df_rms": t * x,
            "kernel/alignment": 0.1 + 0.01 * t / t_half,
        }
        for t in times
    ]


def plant(
    root,
    *,
    xs=XS,
    widths=(30, 100),
    seeds=3,
    observations=20,
    kernel=True,
    config=None,
    rng=0,
    outcome="converged",
    **different,
):
    """Store a complete sweep; ``different``: columns that are not those of ``SAME``."""
    random, store, config = np.random.default_rng(rng), Store(root), FEW | (config or {})
    labels = np.array([1.0, -1.0] * 5)
    with mock.patch("os.fsync"):
        for h in widths:
            for x in xs:
                for seed in range(seeds):
                    factor = math.exp(0.05 * random.standard_normal())
                    rows = history(h, x, observations, factor)
                    summary = {
                        "outcome": outcome,
                        "t_half": 3.3 * min(x, 1.0),
                        "t_stop": 33 * min(x, 1.0),
                        "weights/change": factor * x ** (-1.0 if x > 1 else -0.25) / h**0.5,
                        "test/error": planted_error(x) + 0.001 * random.random(),
                        **({"kernel/change": factor * kernel_change(x)} if kernel else {}),
                    }
                    where = columns(h, x, seed, **different)
                    outputs = {"F_test": labels + random.standard_normal(10) / h**0.5, "y_test": labels}
                    _save(store, {"config": config, "columns": where}, rows, summary, outputs)
    return root


def _save(store, description, rows, summary, outputs):
    run_id = name(description["columns"], description["config"])
    with store.claim([run_id]) as claims:
        run = claims.runs[run_id]
        run.begin({**description, "provenance": {}}, History())
        for row in rows:
            run.observe(row)
        run.finish(summary, outputs, PROVENANCE)


def name(where, config=None):
    """A run id that differs where the columns do."""
    return hashlib.sha256(json.dumps([where, FEW | (config or {})], sort_keys=True).encode()).hexdigest()[:16]


def ask(root, wanted, config=None):
    """Write a plan for runs that are not stored."""
    runs = tuple(PlannedRun(name(where), where, {"version": 3, "key": name(where)}) for where in wanted)
    (root / "runs").mkdir(parents=True, exist_ok=True)
    _write(root, [PlannedJob(FEW | (config or {}), runs)])
