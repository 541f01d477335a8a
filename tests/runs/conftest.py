"""Runs that tests store without training."""

import math

import numpy as np

from feature_lazy.runs.history import History
from feature_lazy.runs.store import Together

DESCRIPTION = {
    "config": {"alpha": {"kind": "rescaled", "value": 0.1}, "observe": {"times": [1.0, 2.0]}},
    "columns": {"h": 8, "sqrt_h_alpha": 0.1, "seed": 0},
    "provenance": {"started": "2026-11-24"},
}
SUMMARY = {"outcome": "converged", "t_half": 0.1 + 0.2, "t_stop": math.nan, "kernel/change": math.inf}
HISTORY_ROWS = [{"t": 0.0, "test/error": math.nan}, {"t": 1 / 3, "test/error": 0.125, "kernel/change": -math.inf}]
ARRAYS = {
    "F_test": np.array([1 / 3, -math.pi, math.nan]),
    "steps": np.array([3], dtype=np.int64),
    "odd": np.arange(12.0).reshape(3, 4)[:, ::2],  # not contiguous
}
RUN = "0123456789abcdef"
ALONE = Together([RUN], [RUN])


def save(store, *, done=True, rows=HISTORY_ROWS, run_id=RUN, description=DESCRIPTION, summary=SUMMARY, outputs=ARRAYS):
    """Claim a run, go on from its checkpoint if it has one, and complete it or stop it."""
    with store.claim([run_id]) as claims:
        run = claims.runs[run_id]
        before = store.checkpoints(run_id)
        run.begin(description, before[0][1] if before else History())
        for row in rows[len(run.history) :]:
            run.observe(row)
        if done:
            run.finish(summary, outputs, {"wall_seconds": 1.5})
            store.drop_checkpoints(run_id)
        else:
            path = run.checkpoint("moment", ALONE, ARRAYS)
            store.drop_checkpoints(run_id, keep=[path])
            run.pause({"outcome": "max_steps"}, {"wall_seconds": 1.5})
    return store.path(run_id)


def assert_arrays_as_saved(arrays):
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
