"""Deep networks on the sphere: duals, data and estimates against other calculations, the laws, and what is refused."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.labels import Parity
from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels import infinite_kernels
from feature_lazy.launch.commands import main
from feature_lazy.networks.activations import Erf, Relu, Sine, scaled
from feature_lazy.networks.hermite import Hermite
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.baselines.base import Task
from feature_lazy.study.baselines.hilbert import Hilbert
from feature_lazy.study.baselines.kernels import KernelSet, linear
from feature_lazy.study.baselines.krr import RidgeRegression
from feature_lazy.study.baselines.majority import Majority
from feature_lazy.study.baselines.stored import FILE, of
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.deep_classifiers import claim
from feature_lazy.systems.deep_classifiers.claim import Deep, Taxonomy, agreement
from feature_lazy.systems.deep_classifiers.data import Dirichlet
from tests.conftest import QUICK, TINY, composed
from tests.study.conftest import sweep
from tests.systems.reference import reference

CUBIC = Hermite(coefficients=[0.0, 0.5, 0.0, 0.5])
SEPTIC = Hermite(coefficients=[0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
SQUARE = Hermite(coefficients=[0.0, 0.0, 1.0])


def test_dual_is_that_of_quadrature():
    for p, q, rho, value, slope, *coefficients in reference("deep_classifiers")["duals"].tolist():
        found = Hermite(coefficients=coefficients).dual(*torch.tensor([p, q, rho], dtype=torch.float64))
        assert [float(one) for one in found] == pytest.approx([value, slope], rel=1e-12)


def on(between):
    """The reference's patterns under a kernel, and what is learnt from them."""
    known = reference("deep_classifiers")
    kernels = KernelSet(between, known["x_train"], known["x_test"], 1e9, None)
    return known, kernels, Task(known["y"], known["y"], Mse())


@pytest.mark.parametrize(
    ("name", "activation", "layers", "kind"), [("cubic", CUBIC, 60, "nngp"), ("relu", Relu(), 20, "ntk")]
)
def test_deep_kernels_are_those_of_the_recursion(name, activation, layers, kind):
    """Also where each layer doubles what rounding leaves of variances: 2⁶⁰ times."""
    known, kernels, task = on(lambda x, other: getattr(infinite_kernels(scaled(activation), layers, x, other), kind))
    found = RidgeRegression(ridge=0.0).fit(kernels, task).F_test
    # What is left of x·x′ to 1e-16 where 1 − x·x′ is 1e-4, of the nearest patterns.
    torch.testing.assert_close(found, known[name], rtol=1e-8, atol=0)


def test_estimates():
    known, kernels, task = on(linear)
    torch.testing.assert_close(Hilbert(power=2.0).fit(kernels, task).F_test, known["hilbert"], rtol=1e-10, atol=0)
    torch.testing.assert_close(Majority().fit(kernels, task).F_test, torch.full((20,), 0.2).double())
    # A training pattern has its own label, and of classes each has its column.
    seen = KernelSet(linear, kernels.x_train, kernels.x_train, 1e9, None)
    classes = Task(torch.nn.functional.one_hot((known["y"] > 0).long(), 2).double(), known["y"], Mse())
    assert torch.equal(Hilbert(power=2.0).fit(seen, classes).F_test.argmax(1), (known["y"] > 0).long())
    assert Majority().fit(seen, classes).F_test[3].tolist() == pytest.approx([0.4, 0.6])
    with pytest.raises(ConfigError, match="measures no distance"):
        Hilbert().fit(KernelSet(linear, kernels.x_train, kernels.x_test, 1e9, None, outputs=2), task)


def test_patterns_are_those_of_the_law():
    data = Dirichlet(n_train=4000, n_test=2000)
    made = data.build(Parity())
    torch.testing.assert_close(made.x_train.square().sum(1), torch.full((4000,), 3.0).double())
    # Three standard errors of 4000: 0.023; of first coordinates, 1/7 and 25/31 of a simplex, 0.02.
    assert float((made.y_train < 0).double().mean()) == pytest.approx(0.4, abs=0.023)
    simplex = made.x_train / made.x_train.sum(1, keepdim=True)
    for y, parameters in ((-1, data.first), (1, data.second)):
        expected = torch.tensor(parameters).double() / sum(parameters)
        torch.testing.assert_close(simplex[made.y_train == y].mean(0), expected, rtol=0, atol=0.025)
    fewer = Dirichlet(n_train=100, n_test=2).build(Parity())
    torch.testing.assert_close(fewer.x_train, made.x_train[:100])
    known = reference("deep_classifiers")
    np.testing.assert_array_equal(data.best(known["x_test"].numpy()), known["bayes"])


@pytest.mark.parametrize(
    ("activation", "kind", "o"),
    [
        (SEPTIC, "singular", 0.5),
        (CUBIC, "singular", 1.0),
        (Hermite(coefficients=[0.0, 0.25, 0.5, 0.25]), "singular", 2.0),
        (Sine(frequency=2.676**0.5), "singular", 1.0),  # sinh(aξ)/sinh a, whose a is known to four digits
        (SQUARE, "nearest", None),
        (Relu(), "majority", None),
    ],
)
def test_taxonomy(activation, kind, o):
    found = Taxonomy.of(scaled(activation))
    assert found.kind == kind
    if o:
        assert found.exponent == pytest.approx(o, rel=1e-4)


def test_a_kernel_that_underflows_is_of_no_class():
    assert np.isnan(agreement(np.array([1.0, 0.0]), np.array([1.0, 1.0])))
    assert agreement(np.array([1.0, -2.0]), np.array([1.0, 1.0])) == 0.5


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["dataset.first=[1,2]"], r"dataset.first=\[1.0,2.0\]: must be dataset.dim=3 numbers"),
        (["dataset.prior=1"], "dataset.prior=1: must be below 1"),
        (["activation=hermite", "activation.coefficients=[1]"], r"coefficients=\[1.0\]: φ is constant"),
        (["activation=hermite", f"activation.coefficients={[0, *[1] * 21]}"], "end at c_21; beyond c_20"),
    ],
)
def test_refusals(tiny, overrides, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny("dataset=dirichlet", *overrides))


JOB = (
    *(*TINY, *QUICK, "loss=mse", "dataset=dirichlet", "dataset.n_train=60", "dataset.n_test=40"),
    *("architecture.depth=1", "dynamics.t_end=1e-4", "observe.kernel.probe=0"),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two splits of a small sweep with two activations."""
    folder = tmp_path_factory.mktemp("deep")
    for words in (("activation=hermite",), ("activation=sine",)):
        for split in (0, 1):
            run(build(composed(*JOB, *words, f"dataset.seed={split}", f"output_dir={folder}")))
    return folder


def test_laws_on_runs(stored):
    table = with_runs(load_sweep(stored))
    [row] = readings(claim.singular, table)
    assert row.estimate.value == pytest.approx(1, abs=0.02)
    for one in (claim.like_hilbert, claim.unlike_hilbert, claim.ahead_of_nearest):
        [row] = readings(one, table)
        assert np.isfinite(row.estimate.error)
    runs = claim.deep(table)
    assert sorted((one.m, one.consistent) for one in runs) == [(2, False)] * 2 + [(2, True)] * 2
    part = runs[0].network("infinite_nngp@3", slice(0, 20), slice(7))
    data = build(from_plain(runs[0].run.config)).dataset
    x, tests = data.x_train[:20], data.x_test[:7]
    phi = scaled(CUBIC if runs[0].consistent else Sine(1.0))
    k = infinite_kernels(phi, 3, x).nngp + 1e-8 * torch.eye(20)  # the diagonal is 1
    expected = infinite_kernels(phi, 3, tests, x).nngp @ torch.linalg.solve(k, data.y_train[:20])
    np.testing.assert_allclose(part, expected, rtol=1e-7)  # rounding times the condition number, 1e6


def test_kernels_of_other_depths_by_the_command(stored, capsys):
    words = ["baselines", str(stored), "--names", "krr", "--kernel", "infinite_nngp,linear", "--depth", "1,5"]
    assert main(words) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
    kernels = Counter(entry["kernel"] for entry in json.loads((stored / FILE).read_text()).values())
    # Each of two splits and, of those of infinite width, of two activations.
    assert kernels == {"infinite_nngp@1": 4, "infinite_nngp@5": 4, "linear": 4}
    # Runs of other depths have the same kernels.
    science = load_sweep(stored).runs[0].config
    deeper = {**science, "architecture": {**science["architecture"], "depth": 2}}
    assert of(science, "infinite_nngp@5") == of(deeper, "infinite_nngp@5")
    assert of(science, "infinite_nngp") != of(deeper, "infinite_nngp")
    assert main([*words[:-1], "0"]) == 1
    assert "kernel infinite_nngp@0: there is none" in capsys.readouterr().err


def member(activation, seed, dim=3):
    """A run that is not one, of 1000 test patterns."""
    config = {"dataset": {"seed": seed, "dim": dim}, "activation": repr(activation)}
    own = SimpleNamespace(config=config, outputs={"y_test": np.resize([1.0, -1.0], 1000)})
    data = Dirichlet(n_train=600, n_test=1000, dim=dim)
    return Deep(own, data, Taxonomy.of(scaled(activation)))


MEMBERS = [member(one, seed) for one in (CUBIC, Erf(), SQUARE, Relu()) for seed in range(4)]


def wrong(**shares):
    """F of predictors that have some share of the test patterns wrong, each the same ones first."""

    def predicted(self, baseline, kernel, part=claim.ALL, tests=claim.ALL):
        name = baseline.option_name
        if name == "krr":
            name = {"nearest": "deep_square", "majority": "deep_relu"}.get(self.taxonomy.kind) or (
                ("deep" if part == claim.ALL else "few") if self.consistent else "other"
            )
        f = self.run.outputs["y_test"].copy()
        f[: round(1000 * shares.get(name, 0.1)) + self.run.config["dataset"]["seed"] % 2] *= -1
        return f

    return predicted


@pytest.mark.parametrize(
    ("law", "right", "other"),
    [
        (claim.like_hilbert, {"hilbert": 0.102}, {"hilbert": 0.15}),
        (claim.unlike_hilbert, {"other": 0.2}, {"deep": 0.2}),
        (claim.ahead_of_nearest, {"nearest": 0.15}, {"nearest": 0.05}),
        (claim.learns, {"few": 0.15}, {"few": 0.05}),
        (claim.vote, {"majority": 0.102}, {"majority": 0.15}),
        (claim.neighbour, {"nearest": 0.11}, {"nearest": 0.15}),
    ],
)
def test_planted_law(law, right, other, monkeypatch):
    monkeypatch.setattr(claim, "deep", lambda table: MEMBERS)
    for shares, verdict in ((right, AGREES), (other, DIFFERS)):
        monkeypatch.setattr(Deep, "predicted", wrong(**shares))
        [row] = readings(law, sweep())
        assert row.verdict == verdict, row.measured


@pytest.mark.parametrize(("swing", "verdict"), [(1.005, AGREES), (1.1, DIFFERS)])
def test_planted_exponent(swing, verdict, monkeypatch):
    monkeypatch.setattr(claim, "deep", lambda table: MEMBERS)
    monkeypatch.setattr(Deep, "swing", property(lambda self: swing + 0.001 * self.taxonomy.steep))
    [row] = readings(claim.singular, sweep())
    assert row.verdict == verdict


def test_other_sweeps_do_not_hear_of_it():
    table = sweep()
    assert claim.PAPER not in {row.paper for row in laws(table)}
    [row] = readings(claim.vote, table)
    assert row.verdict == CANNOT_TELL
    assert Deep.of(SimpleNamespace(config={"dataset": {"kind": "dirichlet"}})) is None
