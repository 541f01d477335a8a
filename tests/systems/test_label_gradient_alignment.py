"""Label–gradient alignment: its value, and whether it orders networks."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.kernels import label_gradient_alignment, tangent_kernel
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.label_gradient_alignment.claim import EPOCHS, LGA, after_three, at_start, rise
from tests.conftest import TINY
from tests.study.conftest import sweep
from tests.systems.reference import reference


def test_equals_the_correlation_by_an_explicit_jacobian():
    known = reference("label_gradient_alignment")
    net = FullyConnected(3, [known["h"]], scaled(Erf()))
    theta = tangent_kernel(net, net.layout.unflatten(known["weights"][None]), known["x"])
    assert float(label_gradient_alignment(theta, known["y"])) == pytest.approx(known["lga"], abs=1e-12)


@pytest.mark.parametrize(
    ("overrides", "there"),
    [
        (["loss=mse"], True),
        (["labels=classes", "loss=cross_entropy"], True),
        (["labels=regression", "loss=mse"], False),
        (["loss=mse", "observe.kernel.probe=1"], False),
    ],
)
def test_recorded_with_every_kernel_where_labels_are_of_two_classes(overrides, there, tiny, store):
    [run_id] = train_config(tiny(*TINY, *overrides, "dynamics.max_steps=2", "dynamics.t_end=0.1"))
    run = store.load(run_id)
    assert (LGA in run.history) == there
    if there:
        assert len(run.history[LGA]) == len(run.history["kernel/norm"])
        assert run.summary[LGA] == run.history[LGA][-1]


SGD = {"kind": "sgd", "units": "article", "lr": 0.5, "batch": 10}


def networks(order, *, seeds=3, dynamics=SGD, kinds=9):
    """Networks whose LGA after ``epochs`` follows their accuracy in that order: 1, −1, or 0 for none."""
    random = np.random.default_rng(2)
    t = np.array([epochs * SGD["lr"] * 100 / SGD["batch"] for epochs in EPOCHS])
    rows = []
    for kind in range(18):
        config = {"architecture": {"depth": kind % kinds}, "width": {"h": kind}, "dynamics": dynamics}
        config["dataset"] = {"n_train": 100}
        accuracy, luck = random.uniform(0.3, 0.9), random.uniform(0.3, 0.9)
        for seed in range(seeds):
            curve = np.array([sign * accuracy if sign else luck for sign in order])
            history = {"t": t, LGA: curve + random.normal(0, 0.02, len(t))}
            run = SimpleNamespace(config={**config, "seed": {"value": seed}}, history=history)
            rows.append({"run": run, "outcome": "t_end", LGA: curve[-1], "test/error": 1 - accuracy})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("sign", "verdict"), [(1, AGREES), (-1, DIFFERS), (0, CANNOT_TELL)])
def test_planted_order(sign, verdict):
    for law in (at_start, after_three):
        [row] = readings(law, networks([sign] * 3))
        assert (row.verdict, row.estimate.seeds) == (verdict, 18)
        assert row.estimate.value == pytest.approx(sign, abs=0.3)


@pytest.mark.parametrize(("order", "verdict"), [((0, 0, 1), AGREES), ((1, 1, 1), CANNOT_TELL), ((1, 0, 0), DIFFERS)])
def test_planted_rise(order, verdict):
    [row] = readings(rise, networks(order))
    assert row.verdict == verdict


@pytest.mark.parametrize("table", [networks([1] * 3, dynamics={**SGD, "kind": "adam"}), networks([1] * 3, kinds=1)])
def test_other_sweeps_do_not_hear_of_it(table):
    [row] = readings(at_start, table)
    assert row.verdict == CANNOT_TELL
    assert "needs 3 kinds of networks" in row.measured
    assert at_start.name not in {row.name for row in laws(sweep())}
