"""Pathological sharpness: its laws on planted sweeps."""

import numpy as np
import pytest

from feature_lazy.kernels import tangent_kernel
from feature_lazy.kernels.normalisation import largest_eigenvalue, normalised_kernel
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.pathological_sharpness import claim
from tests.study.conftest import sweep
from tests.systems.reference import planted, reference

LAWS = (claim.plain, claim.mean, claim.batch_norm, claim.layer_norm, claim.middle_batch_norm)
COLUMNS = (claim.PLAIN, claim.MEAN, claim.BATCH, claim.LAYER, claim.MIDDLE)


@pytest.mark.parametrize("name", ["none", "last_mean", "last_batch_norm", "last_layer_norm"])
def test_equals_central_differences(name):
    known = reference("pathological_sharpness")
    net = FullyConnected(3, [known["h"]], scaled(Erf()), n_outputs=4)
    params = net.layout.unflatten(known["weights"][None])
    theta, f = tangent_kernel(net, params, known["x"]), net.apply(params, known["x"])
    found = largest_eigenvalue(normalised_kernel(theta, f, 4, name)) / len(known["x"])
    # Differences are good to step² = 1e-10 of third derivatives of order 1.
    assert float(found) == pytest.approx(known[name], rel=1e-6)


def table(*exponents, patterns=lambda h: h, activation="relu"):
    found = planted(*((name, lambda h, alpha, s=s: h**s) for name, s in zip(COLUMNS, exponents, strict=True)))
    return found.assign(P=[patterns(h) for h in found["h"]], activation=activation)


def verdicts(found):
    return [row.verdict for law in LAWS for row in readings(law, found)]


def test_planted_exponents():
    assert verdicts(table(1.0, 0.0, -0.2, 0.9, 0.9)) == [AGREES] * 5
    assert verdicts(table(0.2, 0.8, 0.7, 0.1, 0.2)) == [DIFFERS] * 5
    assert verdicts(table(1.0, 0.0, -0.2, 0.9, 0.0, activation="erf"))[-1] == CANNOT_TELL


@pytest.mark.parametrize("recorded", COLUMNS)
def test_a_law_needs_the_column_that_it_reads(recorded):
    """Runs that have recorded one of the metrics beside the plain one: laws on the others lack theirs, none fails."""
    there = dict.fromkeys([claim.PLAIN, recorded])
    found = planted(*((name, lambda h, alpha: float(h)) for name in there))
    readings_ = [row for law in LAWS for row in readings(law, found.assign(P=found["h"], activation="relu"))]
    assert [row.estimate is not None for row in readings_] == [name in there for name in COLUMNS]


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, AGREES), (1.2, AGREES), (1.6, DIFFERS), (0.8, DIFFERS)])
def test_planted_distance_from_the_mean_field(factor, verdict, monkeypatch):
    monkeypatch.setattr(claim, "_mean_field", lambda run: 2.0)
    found = planted((claim.PLAIN, lambda h, alpha: 2 * factor if h >= 160 else 99.0), widths=(80, 160, 240))
    found = found.assign(P=found["h"])
    for run in found["run"]:
        run.config = {"architecture": {"kind": "fully_connected", "bias": 0.0}, "dataset": {"kind": "spheres"}}
    [row] = readings(claim.over_mean_field, found)
    assert row.verdict == verdict
    for run in found["run"]:
        run.config["dataset"]["kind"] = "digits"
    [row] = readings(claim.over_mean_field, found)
    assert row.verdict == CANNOT_TELL


def test_what_counts_is_the_start_and_as_many_patterns_as_units():
    """Planted histories halve after t = 0; with T fixed batch norm does not help, so those runs are left out."""
    found = claim.at_start(claim.square(table(1.0, 0.0, 0.0, 1.0, 1.0)), claim.PLAIN)
    assert np.allclose(found["start"], [run.history[claim.PLAIN][0] for run in found["run"]])
    assert verdicts(table(1.0, 1.0, 1.0, 1.0, 1.0, patterns=lambda h: 100)) == [CANNOT_TELL] * 5


def test_exponents_are_of_the_standard_parametrisation():
    found = table(1.0, 0.0, -0.2, 0.9, 0.9)
    assert verdicts(found.assign(parametrisation="standard")) == [AGREES] * 5
    assert verdicts(found.assign(parametrisation="ntk")) == [CANNOT_TELL] * 5


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_other_sweeps_do_not_hear_of_it(law):
    assert law.name not in {row.name for row in laws(sweep())}
