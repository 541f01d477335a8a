"""Kernels with a spike: a spike of no width is a ridge, the laws on planted risks, and what other sweeps hear."""

import math
from types import SimpleNamespace

import pytest
import torch

from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.spiky_smooth import claim
from feature_lazy.systems.spiky_smooth.claim import Kernels
from tests.arrays import normal
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import planted

LAWS = (
    *(claim.plain_against_size, claim.spiky_against_size, claim.spike_is_ridge),
    *(claim.spikes_help, claim.condition),
)
NOISY = ("dataset=circle", "dataset.noise=0.5", "labels=regression", "loss=mse", "dynamics.t_end=1e-3")
ELSEWHERE = planted(("test/loss", lambda h, alpha: 1.0))
"""A table of another sweep, which has what is needed to be asked."""
SPIKY = ("activation=spiky_relu", "activation.amplitude=5e-5", "activation.frequency=20000")


def smooth(x, other):
    return 2 * (-(x[:, None] - (x if other is None else other)[None]).square().sum(-1) / 2).exp()


def spiky(x, other):
    """With a spike of height ½ and no width."""
    return smooth(x, other) + 0.5 * torch.eye(len(x)).double() if other is None else smooth(x, other)


def kernels(n=480):
    return Kernels(spiky, smooth, normal(n, 2), normal(n, seed=1), normal(9, 2, seed=2), normal(9, seed=3))


def trained(folder, *more):
    for words in (SPIKY, ("activation=relu",)):
        small = (*TINY, *QUICK, *NOISY, *words, "dataset.n_train=480", "architecture.depth=1", "architecture.bias=1")
        run(build(composed(*small, *more, "observe.kernel.probe=0", f"output_dir={folder}")))
    return with_runs(load_sweep(folder))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two small networks, one of each activation."""
    return trained(tmp_path_factory.mktemp("spiky"))


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """The same on targets without noise."""
    return trained(tmp_path_factory.mktemp("exact"), "dataset.noise=0")


def test_a_spike_of_no_width_is_a_ridge_of_its_height():
    one = kernels()
    assert one.height == pytest.approx(0.5)
    for part in one.parts(60):
        assert one.risk(spiky, part) == pytest.approx(one.risk(smooth, part, 0.5), rel=1e-9)
    assert one.least(spiky, slice(0, 15)) == pytest.approx(0.5 + one.least(smooth, slice(0, 15)), rel=1e-9)
    assert [len(list(one.parts(size))) for size in claim.SIZES] == [24, 8, 2]


def test_kernels_are_those_of_the_runs_and_tests_have_no_noise(stored):
    one = claim.kernels_of(stored)
    for name, between in (("spiky_relu", one.spiky), ("relu", one.plain)):
        batch = build(composed(*stored[stored["activation"] == name]["run"].map(words_of).iloc[0]))
        expected = limit_kernels(batch.architecture, one.x[:5], one.tests[:4]).ntk
        torch.testing.assert_close(between(one.x[:5], one.tests[:4]), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(one.wanted, one.tests[:, 0] / math.sqrt(2))
    noise = one.y - one.x[:, 0] / math.sqrt(2)
    assert float(noise.std()) == pytest.approx(0.5, rel=0.15)  # 480 values: 3 %
    # Both activations have one scale, and a wave so fast is a spike: A²ω²(|x|²/d + 1) over E φ² = ½, and A²/E φ².
    assert one.height == pytest.approx(2 * (5e-5 * 20000) ** 2 * 2, rel=1e-4)


def words_of(one):
    return [
        *TINY,
        *NOISY,
        *(SPIKY if one.config["activation"]["kind"] == "spiky_relu" else ("activation=relu",)),
        *LIKE,
    ]


LIKE = ("architecture.depth=1", "architecture.bias=1", "dataset.n_train=480")


def of(plain, fast, ridged=1.0):
    """Risks of parts of P patterns: of the kernel without and with a spike, and with a ridge over the latter."""

    def risk(self, between, part, height=0.0):
        size, luck = part.stop - part.start, 1 + 0.02 * math.sin(part.start)
        return luck * (ridged * fast(size) if height else plain(size) if between is smooth else fast(size))

    return risk


@pytest.mark.parametrize(
    ("law", "risk", "verdict"),
    [
        (claim.plain_against_size, of(lambda n: 0.2, lambda n: 1.0), AGREES),
        (claim.plain_against_size, of(lambda n: n**-0.3, lambda n: 1.0), DIFFERS),
        (claim.spiky_against_size, of(lambda n: 0.2, lambda n: 1 / n), AGREES),
        (claim.spiky_against_size, of(lambda n: 1 / n, lambda n: n**-0.2), DIFFERS),
        (claim.spike_is_ridge, of(lambda n: 0.2, lambda n: 1 / n), AGREES),
        (claim.spike_is_ridge, of(lambda n: 0.2, lambda n: 1 / n, ridged=0.5), DIFFERS),
        (claim.spikes_help, of(lambda n: 0.2, lambda n: 1 / n), AGREES),
        (claim.spikes_help, of(lambda n: 4 / n, lambda n: 1 / n), DIFFERS),
    ],
)
def test_planted_risks(law, risk, verdict, monkeypatch):
    monkeypatch.setattr(Kernels, "risk", risk)
    monkeypatch.setattr(claim, "kernels_of", lambda table: kernels(1920))
    [row] = readings(law, ELSEWHERE)
    assert row.verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(20.0, AGREES), (3.0, DIFFERS)])
def test_planted_condition(factor, verdict, monkeypatch):
    monkeypatch.setattr(Kernels, "least", lambda self, between, part: 1 + (between is spiky) * (factor - 1))
    monkeypatch.setattr(claim, "kernels_of", lambda table: kernels())
    [row] = readings(claim.condition, ELSEWHERE)
    assert row.verdict == verdict


@pytest.mark.parametrize("law", LAWS)
def test_other_sweeps_have_no_verdict(law, stored, exact):
    """Runs that are not stored ones, one activation of two, and targets without noise."""
    clean = stored.assign(run=[SimpleNamespace(config={}) for _ in stored["run"]])
    for table in (ELSEWHERE, stored[stored["activation"] == "relu"], clean, exact):
        [row] = readings(law, table)
        assert row.verdict == CANNOT_TELL
