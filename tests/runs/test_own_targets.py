"""Real labels from a user's own loader: learnt from as they are, and the excess risk is over those without noise."""

import sys

import pytest

from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run

MINE = """
import torch


def noisy(n=30, clean=True):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(n, 5, generator=draw, dtype=torch.float64)
    f = x @ torch.tensor([1.0, -1, 0.5, 0, 0], dtype=torch.float64)
    y = f + 0.3 * torch.randn(n, generator=draw, dtype=torch.float64)
    return (x, y, f) if clean else (x, y)
"""


@pytest.fixture
def job(configure, tmp_path, monkeypatch):
    (tmp_path / "own_targets.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ("dataset=custom", "dataset.target=own_targets.noisy", "dataset.n_train=8", "dataset.n_test=20")
    network = ("architecture.depth=1", "width.h=40", "observe.kernel.probe=5", f"output_dir={tmp_path / 'results'}")
    yield lambda *more: configure(*own, *network, "alpha.value=10", *more)
    sys.modules.pop("own_targets", None)


def test_excess_is_over_labels_without_noise(job):
    batch = build(job("labels=regression", "loss=mse"))
    [found] = run(batch)
    data, predictor = batch.dataset, found.outputs["F_test"]
    assert data.f_test is not None
    for name, target in {"test/excess": data.f_test, "test/loss": data.y_test}.items():
        factor = 1 if name == "test/excess" else 0.5
        assert found.summary[name] == pytest.approx(factor * ((predictor - target.numpy()) ** 2).mean(), rel=1e-6)
    assert found.rows[-1]["train/loss"] < found.rows[0]["train/loss"]
    [plain] = run(build(job("labels=regression", "loss=mse", "dataset.kwargs={clean: false}")))
    assert "test/excess" not in plain.summary
    assert plain.rows[-1]["train/loss"] == found.rows[-1]["train/loss"]


def test_they_are_said_to_be_real_and_need_a_loss_for_them(job):
    with pytest.raises(DataError, match="labels=regression loss=mse they may be any real numbers"):
        build(job("loss=mse", "dataset.kwargs={clean: false}"))
    with pytest.raises(ConfigError, match="are real numbers; use loss=mse"):
        build(job("labels=regression"))
    with pytest.raises(ConfigError, match="leave labels=parity, or say by labels=regression"):
        build(job("labels=classes", "loss=mse"))
