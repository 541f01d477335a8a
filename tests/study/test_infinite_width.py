"""The infinitely wide lazy network of a stored run: its predictor, the file that keeps its error, and its line."""

import json
import logging
import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import Hinge, Mse, QuadraticHinge, SoftHinge
from feature_lazy.kernels import infinite_kernels, mse_prediction
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells, scientific
from feature_lazy.settings.schema import from_plain
from feature_lazy.study import infinite_width
from feature_lazy.study.figures import overview
from feature_lazy.study.figures.style import STYLE
from feature_lazy.study.infinite_width import FILE, lazy_limit, stored_test_error
from feature_lazy.study.summary import summarise
from feature_lazy.study.table import LIMIT, read
from tests.arrays import normal

NET = FullyConnected(5, [3, 3], scaled(Relu()), bias=0.1)
X, Y = normal(16, 5), torch.tensor([1.0, -1.0] * 8, dtype=torch.float64)
DATA = Dataset(X[:10], Y[:10], X[10:], Y[10:])


@pytest.mark.parametrize("limit", [2.0**30, 5000.0])
def test_mse_has_a_closed_form(limit):
    """The predictor of eigenvectors at the time at which the flow stopped, to the tolerance of the flow."""
    loss = Mse(1.1)
    found = lazy_limit(NET, DATA, loss, memory_limit=limit, tolerance=1e-4)
    theta = infinite_kernels(NET.activation, 2, X, bias=0.1).ntk
    train, test = mse_prediction(theta[:10, :10], theta[10:, :10], Y[:10], [found.t_stop], target=1.1)
    # Measured: 3e-5 and 2e-5.
    torch.testing.assert_close(found.F_train, train[0], rtol=0, atol=2e-4)
    torch.testing.assert_close(found.F_test, test[0], rtol=0, atol=2e-4)
    assert (found.F_train * Y[:10]).min() == pytest.approx(loss.stop_margin, abs=1e-6)


@pytest.mark.parametrize("loss", [SoftHinge(), QuadraticHinge()], ids=["soft hinge", "quadratic hinge"])
def test_stops_by_the_rule_of_its_loss(loss):
    found = lazy_limit(NET, DATA, loss)
    # The moment is found on the dense output, and F is read there: 2e-6 as measured.
    assert (found.F_train * Y[:10]).min() == pytest.approx(loss.stop_margin, abs=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"memory_limit": 3999.0}, "P = 10 takes 4e"),
        ({"loss": Hinge()}, "has a kink"),
        ({"data": Dataset(X, 2 * Y, X, Y)}, "labels are not ±1"),
        ({"loss": Mse(0.5, margin_tol=-1.0)}, "ended at t"),
    ],
)
def test_what_has_no_limit_is_named(changed, message, monkeypatch):
    monkeypatch.setattr(infinite_width, "MAX_STEPS", 50)
    with pytest.raises(ConfigError, match=message):
        lazy_limit(**{"network": NET, "data": DATA, "loss": Mse(), **changed})


def test_configuration_of_a_stored_run_is_read_back(tiny):
    config = tiny("loss=mse", "loss.target=1.1", "activation=relu", "observe.kernel.every=3", "seed=ensemble")
    for cell in cells(config):
        again = from_plain(json.loads(json.dumps(cell.config)))
        assert scientific(again) == cell.config
        assert (again.loss, again.activation, again.observe) == (config.loss, config.activation, config.observe)
    for changed, message in (
        ({"loss": {"kind": "other"}}, "loss=other, which this version does not know"),
        ({"width": {"kind": "uniform", "x": 1}}, "a value of width that cannot be used: Key 'x' not in 'UniformWidth'"),
        ({"other": 1}, "keys that this version does not know: other"),
    ):
        with pytest.raises(ConfigError, match=message):
            from_plain({**cells(config)[0].config, **changed})


def test_wide_lazy_run_comes_near_it(tiny, tmp_path):
    """One hidden layer of 4096 units at √h·α = 1e3: F differs by O(1/√h), 0.028 as measured."""
    config = tiny(
        "architecture.depth=1", "width.h=4096", "alpha.value=1e3", "observe.kernel.probe=0", "activation=relu"
    )
    (stored,) = run(build(config))
    experiment = build(from_plain(stored.config))
    limit = lazy_limit(experiment.architecture, experiment.dataset, experiment.loss)
    found = torch.from_numpy(stored.outputs["F_test"])
    assert (found - limit.F_test).norm() / limit.F_test.norm() < 4 / math.sqrt(4096)


def test_error_is_computed_once_for_all_alpha_and_widths(tiny, tmp_path, monkeypatch):
    first, *others = (
        cells(tiny(*changed))[0].config
        for changed in ((), ("alpha.value=7",), ("width.h=9",), ("seed.value=3",), ("dynamics=sgd", "dtype=float32"))
    )
    error = stored_test_error(tmp_path, first)
    kept = json.loads((tmp_path / FILE).read_text())
    (entry,) = kept.values()
    assert error == entry["test_error"]
    assert 0 < error < 0.5
    with monkeypatch.context() as patch:
        patch.setattr(infinite_width, "lazy_limit", None)
        assert {stored_test_error(tmp_path, science) for science in others} == {error}
    stored_test_error(tmp_path, cells(tiny("loss=mse", "loss.target=1.1"))[0].config)
    assert len(json.loads((tmp_path / FILE).read_text())) == 2
    (tmp_path / FILE).write_text("{half")
    assert stored_test_error(tmp_path, first) == error


def test_line_is_left_out_with_one_sentence(tiny, tmp_path, caplog, monkeypatch):
    science = cells(tiny())[0].config

    def said(science=science, **options):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert stored_test_error(tmp_path, science, **options) is None
        (record,) = caplog.records
        return record.getMessage()

    assert "P = 20 takes 1.6e+04 bytes" in said(memory_limit=1e4)
    for group, value, reason in (
        ("architecture", {"kind": "custom", "target": "users_own.Net"}, "the network's limit is not known"),
        # Opening results must not run code that they name.
        ("dataset", {"kind": "custom", "target": "users_own.load"}, "need code of the user's own"),
        ("parametrisation", {"kind": "mup"}, "the parametrisation is not ntk"),
    ):
        assert reason in said(science | {group: value})
    assert not (tmp_path / FILE).exists()


def test_line_is_drawn(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 60)
    stored = run(build(tiny("observe.kernel.probe=0")))
    folder = stored[0].path.parents[1]
    assert folder / "figures" / "test_error.png" in summarise(folder)
    table = read(folder)
    assert "lazy" not in str(labels(table))
    table[LIMIT] = stored_test_error(folder, stored[0].config)
    assert [label for label in labels(table) if "infty" in label]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"dynamics": {"train": ["last"]}}, "only some of the weights are trained"),
        ({"regulariser": {"kind": "distance"}}, "there is a regulariser"),
        ({"seed": {"kind": "from_run"}}, "the runs start from stored ones"),
    ],
)
def test_runs_with_another_limit_have_no_line(tiny, tmp_path, caplog, more, words):
    science = cells(tiny())[0].config
    science |= {name: {**science.get(name, {}), **keys} for name, keys in more.items()}
    assert stored_test_error(tmp_path, science) is None
    assert words in caplog.text


def labels(table):
    [legend] = overview.test_error(table).figure.legends
    return [text.get_text() for text in legend.get_texts()]
