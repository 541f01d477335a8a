"""Permutations: their data, what networks know of them, the process that they are, the laws, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.labels import Classes
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.permutations import claim
from feature_lazy.systems.permutations.claim import Ensemble
from feature_lazy.systems.permutations.data import Permutation, bits
from feature_lazy.systems.permutations.quantity import BITS, EXACT
from tests.conftest import composed
from tests.study.conftest import sweep
from tests.systems.reference import planted, reference

JOB = (
    *("dataset=permutation", "dataset.dim=4", "dataset.n_train=4", "dataset.n_test=15", "labels=classes", "loss=mse"),
    *("activation=relu", "architecture.depth=1", "centred=false", "alpha=raw", "alpha.value=1", "width.h=16"),
    *("seed=ensemble", "seed.members=8", "dynamics=sgd", "dynamics.units=article", "dynamics.lr=2"),
    *("dynamics.batch=4", "dynamics.t_end=20", "observe.per_decade=1", "observe.first=20", "observe.kernel.probe=0"),
    *("observe.kernel.final=false", "observe/also=[bits]"),
)


def test_unit_vectors_are_learnt_and_all_inputs_asked():
    option = Permutation(dim=5, n_train=5, n_test=31, seed=3)
    data = option.build(Classes())
    np.testing.assert_array_equal(data.x_train, np.eye(5))
    assert sorted(data.y_train.tolist()) == [0, 1, 2, 3, 4]
    assert len({tuple(x) for x in data.x_test.tolist()}) == 31
    assert data.x_test.sum(1).min() == 1
    wanted = bits(data)
    for x, image, own in zip(data.x_test, wanted, data.y_test, strict=True):
        assert {int(data.y_train[i]) for i in range(5) if x[i]} == set(image.nonzero()[:, 0].tolist())
        assert image[own]
    some = replace(option, n_test=7).build(Classes())
    torch.testing.assert_close(some.x_test, data.x_test[:7])
    assert not torch.equal(replace(option, seed=4).build(Classes()).y_train, data.y_train)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("permutations")
    run(build(composed(*JOB, f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


def test_process_is_that_of_the_reference(networks):
    known = reference("permutations")
    found = Ensemble.of(networks)
    data = Permutation(dim=4, n_train=4, n_test=15).build(Classes())
    order = (data.x_test @ torch.tensor([1.0, 2, 4, 8]).double()).long() - 1
    at = torch.empty_like(data.y_train).scatter(0, data.y_train, torch.arange(4))  # of each output its input
    np.testing.assert_allclose(found.mean, known["mean"][order][:, at], atol=1e-9)
    np.testing.assert_allclose(found.covariance, known["covariance"][order][:, order], atol=1e-9)
    for k, expected in zip(known["bits"].int().tolist(), known["hardest"].tolist(), strict=True):
        assert claim.hardest(k) == pytest.approx(expected, rel=1e-7)


def test_shares_are_of_the_stored_outputs(networks):
    wanted = bits(Permutation(dim=4, n_train=4, n_test=15).build(Classes())).numpy()
    for _, row in networks.iterrows():
        right = (row["run"].outputs["F_test"] > 0) == wanted
        assert row[BITS] == pytest.approx(right.mean())
        assert row[EXACT] == pytest.approx(right.all(1).mean())
    assert networks[EXACT].max() < 1 < len(networks[BITS].unique())


def drawn(members=1000, shift=0.0, scale=1.0, flip=1.0):
    """Members of the process of the reference itself, moved at bits that are 0, or of another size."""
    known = {name: value.numpy() for name, value in reference("permutations").items() if name != "made"}
    ones, mean, covariance = known["inputs"].sum(1), known["mean"], known["covariance"]
    wanted = known["inputs"] > 0
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance)))
    noise = np.einsum("ij,mjk->mik", root, np.random.default_rng(0).standard_normal((members, 15, 4)))
    moved = np.where(wanted, mean, flip * mean + shift)
    return Ensemble(moved + scale * noise, wanted, ones, mean, covariance)


@pytest.mark.parametrize(
    ("law", "other"),
    [
        (claim.mean, {"shift": 0.2}),
        (claim.variance, {"scale": 1.5}),
        (claim.sign, {"flip": -5.0}),
        (claim.number, {"flip": 3.0}),
        (claim.together, {"flip": 3.0}),
    ],
)
def test_planted_ensembles(law, other, monkeypatch):
    for made, verdict in ((drawn(), AGREES), (drawn(**other), DIFFERS)):
        monkeypatch.setattr(Ensemble, "of", lambda table, made=made: made)
        [row] = readings(law, planted((BITS, lambda h, alpha: 0.9)))
        assert row.verdict == verdict
        assert row.paper == "2502.16763"


@pytest.mark.parametrize(("power", "verdict"), [(1.0, AGREES), (2.0, DIFFERS)])
def test_planted_growth(power, verdict, monkeypatch, networks):
    monkeypatch.setattr(claim, "hardest", lambda k: 20.0 * k**power)
    [row] = readings(claim.against_bits, networks)
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(power)


def test_ensembles_by_hand():
    """Two networks, each wrong where the other is right, are right together."""
    one = drawn(8)
    outputs = np.where(one.wanted, 1.0, -1.0) * np.array([-1.0, 3.0] * 4)[:, None, None]
    both = replace(one, outputs=outputs)
    np.testing.assert_array_equal(both.measured(1), [1, 0] * 4)
    np.testing.assert_array_equal(both.measured(2), [0] * 4)
    assert one.wrong(10**9) == 0
    assert one.beside.values.shape == (8, 1, 11 * 4)
    assert list(claim.sizes(64)) == [1, 2, 4, 8, 16]


def test_too_few_networks_cannot_be_told(networks):
    [row] = readings(claim.mean, networks.head(7))
    assert row.verdict == CANNOT_TELL
    assert "dataset=permutation, centred=false" in row.measured


def test_other_sweeps_do_not_hear_of_it():
    assert claim.sign.name not in {row.name for row in laws(sweep())}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dataset.dim=21", "dim=21: must be at most 20"),
        ("dataset.n_test=16", "n_test=16: of 4 bits there are 15 inputs"),
        ("dataset.n_train=5", "n_train=5: the training set is the unit vectors"),
        ("dataset.n_valid=2", "n_valid=2: what is left to validate on is asked of"),
        ("labels=parity", "labels=parity: each bit of a permutation is an output"),
        ("dataset=stripe", "dataset=stripe has no bits; use dataset=permutation"),
    ],
)
def test_refusals(override, sentence):
    job = [word for word in JOB if not override.startswith("dataset=") or not word.startswith("dataset.")]
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*job, override))
