"""Several outputs from configuration to files and back."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.runs.batch import build
from feature_lazy.settings.checks import validate
from feature_lazy.study.table import ensemble, read
from tests.runs.test_run import contents, train

CLASSES = ("labels=classes", "loss=cross_entropy")


def test_ten_digits_end_to_end(tiny, tmp_path):
    """All patterns of the training set get the largest output by a margin of 1, and the rest of the run says so."""
    job = ("dataset.n_train=60", "dataset.n_test=40", "width.h=20", "alpha.value=1", "seed=ensemble", "seed.members=2")
    train(tiny(*CLASSES, *job, "observe.kernel.layers=true", "observe.kernel.eigenvalues=2"))
    table = read(tmp_path / "results")
    assert table["labels"].tolist() == ["classes"] * 2
    for run in table["run"]:
        outputs, summary = run.outputs, run.summary
        assert summary["outcome"] == "converged"
        assert outputs["F_train"].shape == (60, 10)
        assert outputs["F_test"].shape == outputs["f0_test"].shape == (40, 10)
        assert (outputs["F_train"].argmax(1) == outputs["y_train"]).all()
        assert outputs["y_test"].tolist() == list(range(10)) * 4
        wrong = (outputs["F_test"].argmax(1) != outputs["y_test"]).mean()
        assert summary["test/error"] == pytest.approx(wrong)
        assert summary["train/error"] == summary["train/unfit"] == 0
        assert 1 < summary["train/margin_min"] < 1.01
        assert run.history["train/loss"][0] == pytest.approx(torch.tensor(10.0).log().item(), rel=1e-6)
        assert run.history["train/error"][0] == 1
        shares = [summary[f"kernel/W{layer}/share"] for layer in range(3)]
        assert sum(shares) == pytest.approx(1)
        assert 0 < summary["kernel/eigenvalue_2"] < summary["kernel/eigenvalue_1"] < summary["kernel/trace"]
        assert summary["kernel/change_test"] > 0
    [statistics] = ensemble(table).to_dict("records")
    assert statistics["single"] == pytest.approx(table["test/error"].mean())


@pytest.mark.parametrize(
    "dynamics", [("loss=mse", "alpha.value=100", "width.h=20"), ("dynamics=adam", "dynamics.updates=40")]
)
def test_stopped_by_a_budget_and_continued_is_bit_for_bit_the_same(tiny, tmp_path, dynamics):
    job = (*CLASSES, *dynamics)
    [whole] = train(tiny(*job, f"output_dir={tmp_path / 'whole'}"))
    tried = whole.summary["steps"] + whole.summary["rejected"]
    for budget in (1, tried - 1):
        [part] = train(tiny(*job, f"dynamics.max_steps={budget}"))
        assert part.summary["outcome"] == "max_steps"
    [part] = train(tiny(*job))
    assert contents(part) == contents(whole)


@pytest.mark.parametrize("dynamics", ["frozen_kernel", "momentum_flow", "sgd"])
def test_every_dynamics_takes_classes(tiny, dynamics):
    budget = "dynamics.updates=50" if dynamics == "sgd" else "dynamics.max_steps=30"
    [run] = train(tiny(*CLASSES, "alpha.value=100", f"dynamics={dynamics}", budget))
    assert run.summary["outcome"] in {"converged", "t_end", "max_steps"}
    assert run.history["train/loss"][-1] < run.history["train/loss"][0] or dynamics == "momentum_flow"


TINY = ("width.h=1", "observe.kernel.probe=10")


@pytest.mark.parametrize(
    "architecture", ["fully_connected", "cnn", "wide_resnet architecture.depth=10"], ids=lambda text: text.split()[0]
)
def test_labels_decide_the_outputs_of_every_architecture(configure, architecture):
    data = ("dataset=mnist5k", "labels=classes", "loss=mse", "dataset.n_train=10", "dataset.n_test=10")
    experiment = build(configure(*f"architecture={architecture}".split(), *data, *TINY))
    network, x = experiment.architecture, experiment.dataset.x_train[:2]
    assert network.n_outputs == 10
    assert network.apply(network.layout.unflatten(experiment.w0(experiment.cells)), x).shape == (1, 20)


REFUSED = {
    "labels=classes": "loss=soft_hinge: is for one output; with labels=classes use loss=cross_entropy or loss=mse.",
    "loss=cross_entropy": "loss=cross_entropy: is for classes, such as those of labels=classes; with labels=parity use "
    "another.",
    "labels=classes loss=mse dataset.n_train=502": "dataset.n_train=502: must be a multiple of 10, so that the labels "
    "are balanced.",
    "labels=classes loss=mse dataset.classes=[3]": "dataset.classes=[3] and labels=classes: an output for each class "
    "needs two classes or more; there is 1.",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_wrong_combination_is_refused(configure, overrides):
    with pytest.raises(ConfigError) as refusal:
        validate(configure(*overrides.split()))
    assert str(refusal.value) == REFUSED[overrides]
