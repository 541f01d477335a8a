"""Signals on a grid, networks of sines and WINNER's noise, what a kernel leaves of a target, and the laws of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import wavfile

from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.data.labels import Regression
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels import tangent_kernel
from feature_lazy.launch.commands import bundle
from feature_lazy.runs.batch import build
from feature_lazy.runs.network import stored_config
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import AGREES, DIFFERS, judged
from feature_lazy.systems.spectral_bottleneck import claim
from feature_lazy.systems.spectral_bottleneck.data import Signal, centroid
from feature_lazy.systems.spectral_bottleneck.network import Siren
from feature_lazy.systems.spectral_bottleneck.option import SirenOption
from feature_lazy.systems.spectral_bottleneck.quantity import LEFT, TargetEnergy
from tests.conftest import composed
from tests.measure.observing import moment, setting
from tests.systems.reference import reference

JOB = (
    *("architecture=siren", "architecture.depth=2", "dataset=signal", "dataset.n_train=32", "dataset.n_test=32"),
    *("labels=regression", "loss=mse", "width.h=8", "observe.kernel.probe=0", "observe.kernel.final=false"),
)


def known_network():
    known = reference("spectral_bottleneck")
    net = Siren(1, [3, 3], omega=known["omega"])
    return known, net, net.layout.unflatten(known["weights"][None])


def test_outputs_and_kernel_are_those_that_were_written_out():
    known, net, params = known_network()
    torch.testing.assert_close(net.apply(params, known["x"])[0], known["f"], rtol=1e-12, atol=1e-14)
    theta = known["jacobian"] @ known["jacobian"].mT
    torch.testing.assert_close(tangent_kernel(net, params, known["x"])[0], theta, rtol=1e-12, atol=1e-12)


def test_energy_left_is_that_of_the_exponential_of_the_kernel():
    known, net, params = known_network()
    w = net.layout.flatten(params)
    data = Dataset(known["x"], known["y"], known["x"], known["y"])
    stays = setting(net, data, Mse(), alpha=torch.ones(1).double(), w0=w, n_test=6)
    now = moment(stays, torch.arange(1), w)
    one = TargetEnergy(top=[2, 6])
    one.begin(now)
    found = one.at(now)
    assert float(found[LEFT]) == pytest.approx(known["left"], rel=1e-8)
    assert float(found["kernel/target_energy_6"]) == pytest.approx(1, rel=1e-12)
    # The part of y in the span of the first two, by projection.
    top = torch.linalg.svd(known["jacobian"])[0][:, :2]
    share = (top.mT @ known["y"]).square().sum() / known["y"].square().sum()
    assert float(found["kernel/target_energy_2"]) == pytest.approx(float(share), rel=1e-9)
    now = moment(stays, torch.arange(1), w * torch.nan)
    assert np.isnan(float(one.at(now)[LEFT]))


def test_energy_left_is_what_a_linearised_network_leaves(tmp_path):
    """The observable at t = 0 beside a training to ten times of the mean eigenvalue."""
    job = (*JOB, "observe/also=[target_energy]", "dynamics=linearised", "loss.margin_tol=1e-9", "alpha.value=1")
    net = build(composed(*job))
    x = net.dataset.x_train
    theta = tangent_kernel(net.architecture, {k: v[None] for k, v in net.architecture.init(0).items()}, x)[0]
    t = 10 * len(x) ** 2 / float(theta.trace())
    more = ("observe=times", f"observe.times=[{t}]", f"dynamics.t_end={2 * t}", "dynamics.tolerance=1e-5")
    [found] = run(build(composed(*job, *more, f"output_dir={tmp_path}")))
    i = int(np.argmin(np.abs(found.history["t"] - t)))
    loss = found.history["train/loss"]
    assert loss[i] / loss[0] == pytest.approx(found.history[LEFT][0], rel=1e-3)


def test_centroid_is_that_of_a_fourier_sum():
    known = reference("spectral_bottleneck")
    assert centroid(known["y"].numpy()) == pytest.approx(known["centroid"], rel=1e-12)
    wave = np.cos(np.pi * 3 * np.arange(16) / 8)  # 3 of 8 frequencies
    assert centroid(wave) == pytest.approx(3 / 8)


def test_signal_is_of_its_band_and_known_between_samples():
    data = Signal(n_train=64, n_test=32, band=[0.25, 0.5]).build(Regression())
    torch.testing.assert_close(data.x_train[:, 0], torch.linspace(-1, 1, 65).double()[:-1])
    torch.testing.assert_close(data.x_test[:, 0], data.x_train[:32, 0] + 1 / 64)
    size = torch.fft.rfft(data.y_train).abs()
    inside = torch.zeros(33, dtype=torch.bool)
    inside[8:16] = True  # k of [0.25, 0.5) of 32
    assert size[inside].min() > 1e-2
    assert size[~inside].max() < 1e-12
    assert float(data.y_train.square().mean()) == pytest.approx(1)
    # A fit by the waves of the band to the samples gives what is between them.
    k = np.pi * np.arange(8, 16)
    waves = lambda x: torch.tensor(np.hstack([np.cos(x * k), np.sin(x * k)]))  # noqa: E731
    fit = torch.linalg.lstsq(waves(data.x_train.numpy()), data.y_train[:, None]).solution
    torch.testing.assert_close((waves(data.x_test.numpy()) @ fit)[:, 0], data.y_test, rtol=1e-9, atol=1e-12)
    other = Signal(n_train=64, n_test=32, band=[0.25, 0.5], seed=1).build(Regression())
    assert not torch.equal(other.y_train, data.y_train)


def test_own_samples(tmp_path):
    y = np.round(1000 * np.sin(np.arange(40))).astype(np.int16)
    np.save(tmp_path / "mine.npy", y)
    wavfile.write(tmp_path / "mine.wav", 8000, y)
    both = [composed(*JOB, f"dataset.path={tmp_path / name}").dataset for name in ("mine.npy", "mine.wav")]
    one, other = (data.build(Regression()) for data in both)
    scale = np.sqrt(np.square(y[:32].astype(float)).mean())
    torch.testing.assert_close(one.y_train, torch.tensor(y[:32] / scale))
    assert torch.equal(one.y_train, other.y_train)
    settled = both[0].settled()
    assert len(settled.content) == 64
    validate(composed(*JOB, f"dataset.path={tmp_path / 'mine.npy'}", f"dataset.content={settled.content}"))
    # They come into a bundle; of a drawn signal there is nothing that would.
    jobs = [{"config": {"dataset": {"kind": "signal", "path": path}}} for path in ("", str(tmp_path / "mine.npy"))]
    said, files = bundle._data(jobs, 1e6)
    assert [one["sha256"] for one in said] == [settled.content]
    assert list(files.values()) == [(tmp_path / "mine.npy").read_bytes()]
    np.save(tmp_path / "mine.npy", y + 1)
    with pytest.raises(DataError, match="has changed since"):
        settled.build(Regression())


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (np.zeros((40, 2)), r"float64 of the shape \(40, 2\); it must be numbers in a row"),
        (np.full(40, np.nan), "has infinities or NaN among its samples"),
        (np.zeros(40), "all samples are 0"),
        (np.ones(20), "it has 20 samples, and dataset.n_train=32 asks for more"),
    ],
)
def test_refusals_of_own_samples(made, sentence, tmp_path):
    np.save(tmp_path / "mine.npy", made)
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, f"dataset.path={tmp_path / 'mine.npy'}"))


def test_winner_is_siren_of_the_same_seed_and_noise():
    plain, loud = (Siren(1, [400, 400], 30.0, noise).init(3) for noise in ((0.0, 0.0), (60.0, 0.6)))
    assert [name for name in plain if not torch.equal(plain[name], loud[name])] == ["W0", "W1"]
    assert float((loud["W0"] - plain["W0"]).std()) == pytest.approx(2, rel=0.12)  # three standard errors of 400
    assert float((loud["W1"] - plain["W1"]).std()) == pytest.approx(0.02, rel=0.01)
    reaches = {"W0": 1.0, "B0": 1.0, "W1": np.sqrt(6 / 400) / 30, "B1": 0.05, "W2": np.sqrt(6 / 400) / 30, "B2": 0.05}
    for name, reach in reaches.items():
        assert float(plain[name].abs().max()) <= reach
        assert float(plain[name].abs().max()) > 0.95 * reach or name == "B2"  # one number


def test_schedules_go_by_the_centroid():
    """s₀ = s_max(1 − e^{−aψ}), s₁ = bψ, by hand."""
    image, audio = SirenOption(perturb="image"), SirenOption(perturb="audio")
    assert image.noise(512, 0.8, 64) == pytest.approx((50 * (1 - np.exp(-4)), 0.32))
    assert audio.noise(512, 0.8, 64) == pytest.approx((3500 * (1 - np.exp(-5.6)), 2.4))
    scaled = SirenOption(perturb="scaled", per_width=True)
    assert scaled.noise(512, 0.8, 64) == pytest.approx((128 * np.pi * (1 - np.exp(-4)), 0.04))
    own = SirenOption(perturb="image", constants=[10.0, 1.0, 2.0])
    assert own.noise(512, 0.5, 64) == pytest.approx((10 * (1 - np.exp(-0.5)), 1.0))
    net = build(composed(*JOB, "architecture.perturb=scaled")).architecture
    psi = centroid(Signal(n_train=32, n_test=32).samples())
    assert net.noise == pytest.approx(SirenOption(perturb="scaled").noise(32, psi, 8))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["labels=parity"], "samples of dataset=signal are real numbers; use labels=regression"),
        (["dataset.n_valid=4"], "dataset.n_valid=4: a signal has samples and places between them alone"),
        (["dataset.n_test=33"], "dataset.n_test=33"),
        (["dataset.band=[0.5]"], r"dataset.band=\[0.5\]: must be two numbers, ascending, from 0 to 1"),
        (["dataset.band=[0.51,0.52]"], "has no frequency of dataset.n_train=32 samples"),
        (["dataset.path=none.npy"], "none.npy.*cannot be read"),
        (["dataset.path=none.mp3"], "is none of .npy, .wav"),
        (["architecture.constants=[1,2,3]"], r"architecture.constants=\[1.0,2.0,3.0\]: must be s_max, a and b"),
        (["architecture.perturb=image", "architecture.constants=[1]"], "must be s_max, a and b"),
        (["architecture.perturb=image", "dataset=digits"], "goes by the spectrum of samples in their order"),
        (["observe/also=[target_energy]", "dataset=digits", "labels=classes"], "labels=classes are no numbers"),
    ],
)
def test_refusals(overrides, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, *overrides))


def planted(lazy, learnt, *, perturb="none", band=(0.625, 1.0)):
    """Runs of five seeds whose kernels leave ``lazy`` of the target, and training ``learnt`` of the error."""
    random, rows = np.random.default_rng(0), []
    for seed in range(5):
        left, end = np.array([lazy, learnt]) * np.exp(random.normal(0, 0.01, 2))
        history = {"t": np.array([0.0, 500.0]), LEFT: np.array([left, np.nan]), claim.LOSS: 0.5 * np.array([1, end])}
        config = {
            "architecture": {"kind": "siren", "perturb": perturb},
            "dataset": {"kind": "signal", "band": list(band), "content": ""},
        }
        place = {H: 64, X: 8.0, "alpha": 1.0, "seed": seed, "outcome": "t_end"}
        rows.append({**place, LEFT: left, claim.LOSS: end, "run": SimpleNamespace(history=history, config=config)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("good", "verdict"), [(True, AGREES), (False, DIFFERS)])
def test_planted_claims(good, verdict):
    siren = planted(*((0.99, 0.99) if good else (0.5, 0.5)))
    winner = planted(*((1e-3, 1e-3) if good else (0.4, 0.4)), perturb="scaled")
    low = planted(*((1e-3, 1e-3) if good else (0.1, 0.1)), band=(0.0, 0.1))
    both = siren.merge(winner, on=[H, X, "seed"], suffixes=("", "_other"))
    cases = [
        (claim.lazily_left, siren, 0.99 if good else 0.5),
        (claim.lazily_learnt, low, 1e-3 if good else 0.1),
        (claim.lazily_better, both, 990 if good else 1.25),
        (claim.better, both, 990 if good else 1.25),
        (claim.stuck, siren, 0.99 if good else 0.5),
        (claim.fits, winner, 1e-3 if good else 0.4),
    ]
    for one, table, value in cases:
        row = judged(one.expected, one(table))  # type: ignore[arg-type]
        assert row.verdict == verdict, one.name
        assert row.estimate.value == pytest.approx(value, rel=0.03), one.name


def test_laws_are_of_their_own_runs():
    """A band in between, own samples and another schedule say nothing."""
    for table in (planted(1, 1, band=(0.3, 0.6)), planted(1, 1, perturb="image"), planted(1, 1, band=(0.0, 0.1))):
        assert claim.lazily_left(table) is None
        assert claim.stuck(table) is None
    own = planted(1, 1)
    own["run"].iloc[0].config["dataset"]["content"] = "sha"
    assert claim.lazily_left(own).seeds == 4


def test_a_drawn_signal_is_not_taken_from_a_file_that_is_named(tmp_path):
    """--data is for runs of files: beside a drawn signal it would have put other samples in their place."""
    np.save(tmp_path / "other.npy", np.random.default_rng(1).standard_normal(64))
    science = cells(composed(*JOB))[0].config
    assert stored_config(science, tmp_path / "other.npy").dataset.path == ""
    science["dataset"]["content"] = "0" * 64
    assert stored_config(science, tmp_path / "other.npy").dataset.path == str(tmp_path / "other.npy")
