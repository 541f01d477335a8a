"""Learning curves of stored kernels: what is stored, what is asked, the command."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.job import train_config
from feature_lazy.study.learning_curve import Population, curve, limit, over, stored
from tests.conftest import TINY


def population(n=240, d=600, seed=0):
    """A kernel of Gaussian patterns with eigenvalues i^−1.5 and a target of many modes."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, d)) * np.arange(1, d + 1) ** -0.75
    return Population.of(x @ x.T, x @ (np.arange(1, d + 1) ** 0.1 * random.choice([-1, 1], d)))


def test_spectrum_is_that_of_kernel_and_target():
    one = population()
    assert one.eigenvalues.sum() == pytest.approx(one.trace)
    assert one.coefficients.sum() == pytest.approx(np.mean(one.y**2))
    np.testing.assert_allclose(one.vectors * one.eigenvalues @ one.vectors.T * one.size, one.kernel, atol=1e-10)


@pytest.mark.parametrize("k", [math.inf, 60])
def test_regression_is_what_theory_says(k):
    [point] = curve([population(seed=s) for s in range(4)], [20], ridges=[0.01], features=[k], draws=20)
    assert point.ratio.error < 0.1
    # 5 % up to N/10, as measured elsewhere.
    assert abs(point.ratio.value - 1) < point.ratio.error + 0.05


def test_tails_of_a_power_law():
    ranks = np.arange(1, 2001.0)
    coefficients = ranks**-1.3
    coefficients[-1] += 2000.5**-0.3 / 0.3  # all modes beyond, which a part of y is in
    a, b = Population(np.eye(1), np.zeros(2000), ranks**-1.5, np.eye(1), coefficients).tails
    assert a == pytest.approx(1.5, abs=1e-9)
    assert b == pytest.approx(1.3, abs=1e-3)  # a sum for an integral


def test_error_is_over_runs_and_of_one_over_draws():
    values = np.array([[1.0, 3.0], [2.0, 4.0]])
    assert over(values).value == over(values.T).value == 2.5
    assert over(values).seeds == 2
    assert over(values[:1, :]).error == pytest.approx(12.7062)  # Student's quantile of two values, times 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory, request):
    from tests.conftest import composed

    folder = tmp_path_factory.mktemp("curves")
    words = [*TINY, "observe.kernel.probe=20", "observe.kernel.matrices=true", "loss=mse", "dynamics.t_end=10"]
    train_config(composed(*words, "seed=ensemble", "seed.members=2", f"output_dir={folder}"))
    return folder


def test_kernels_are_those_of_the_run(trained):
    from feature_lazy.runs.sweep import load_sweep

    [run, _] = load_sweep(trained).runs
    start, end = (stored(run, when) for when in ("start", "end"))
    change = np.linalg.norm(end.kernel - start.kernel) / np.linalg.norm(start.kernel)
    assert change == pytest.approx(run.summary["kernel/change"], rel=1e-6)
    of_limit = limit(run)
    assert of_limit.size == len(run.outputs["y_test"])
    np.testing.assert_array_equal(of_limit.y, run.outputs["y_test"])
    both = limit(run, "nngp", whole=True)
    assert both.size == of_limit.size + run.columns["P"]


def test_command(trained, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    words = ["learning-curve", str(trained), "--kernel", "start,end,infinite_nngp", "--n", "2,8", "--ridge", "0.1"]
    assert main([*words, "--k", "inf,4", "--draws", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("│ start") == shown.count("│ end") == 4
    assert "start: N = 20, λ ~ i^−" in shown
    assert "theory is for n up to N/10 = 2" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--n", "11"], "--n 11: of 20 patterns at most half"),
        (["--n", "x"], "--n x: must be numbers with commas between them"),
        (["--n", "0"], "--n 0: must be 1 or more"),
        (["--kernel", "middle"], "--kernel middle: must be one of start, end"),
        (["--n", "8", "--k", "8"], "--n 8 --ridge 0 --k 8: n = 8 patterns, k = 8 features"),
    ],
)
def test_refusals(trained, capsys, words, sentence):
    assert main(["learning-curve", str(trained), "--n", "2", *words]) == 1
    assert sentence in capsys.readouterr().err


def test_what_is_not_stored_is_said(tiny):
    run = SimpleNamespace(path="here", outputs={"y_test": np.ones(4)})
    with pytest.raises(StoreError, match=r"no kernel matrices: train it with observe\.kernel\.matrices=true"):
        stored(run, "end")
    run.outputs["theta_end"] = np.eye(8)
    with pytest.raises(StoreError, match="several outputs"):
        stored(run, "end")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [("parametrisation=mean_field", "its parametrisation is not ntk"), ("architecture=wide_resnet", "not known")],
)
def test_limits_that_are_not_known_are_refused(tiny, override, sentence):
    from feature_lazy.settings.cells import cells

    config = tiny(override, *(["architecture.depth=10"] if "wide" in override else []))
    run = SimpleNamespace(path="here", config=cells(config)[0].config)
    with pytest.raises(ConfigError, match=sentence):
        limit(run)
