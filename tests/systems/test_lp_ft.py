"""Linear probing before fine-tuning: values computed apart, planted laws, stages of a sweep, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import layer_kernels, tangent_kernel
from feature_lazy.measure.calibration import calibration_error, temperature
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.lp_ft import claim
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import reference


def test_kernel_with_low_rank_is_that_computed_apart():
    known = reference("lp_ft")
    plain, low = (FullyConnected(5, [4, 6], scaled(Tanh(scale="none")), n_outputs=3, lora=r) for r in (0, 2))
    for net, suffix in ((plain, ""), (low, "_low")):
        params = net.layout.unflatten(known[f"weights{suffix}"][None])
        found = tangent_kernel(net, params, known["x"])[0]
        torch.testing.assert_close(found, known[f"theta{suffix}"], rtol=1e-12, atol=1e-13)


def test_calibration_is_that_computed_apart():
    known = reference("lp_ft")
    logits, labels = known["logits"][None], known["labels"].long()
    assert calibration_error(logits, labels).item() == pytest.approx(known["ece"], rel=1e-12)
    # A minimum by its values is known to the root of rounding.
    assert temperature(logits, labels).item() == pytest.approx(known["temperature"], rel=1e-6)
    two = torch.cat([logits, 3 * logits])
    scales = temperature(two, labels)
    assert (scales[1] / scales[0]).item() == pytest.approx(3, rel=1e-12)
    right = 2.0 * torch.nn.functional.one_hot(labels, 3).double().flatten()[None]
    assert temperature(right, labels).item() == pytest.approx(np.exp(-12), rel=1e-6)  # the colder the better


T = np.geomspace(1, 1000, 40)


def planted(*, less=0.01, share=0.9, norm=8.0, ece=0.05, exponent=-0.5, seeds=6):
    """Fine-tuned runs of both kinds that reach one loss at different times, and runs of low rank."""
    random, rows = np.random.default_rng(0), []
    for seed in range(seeds):
        luck = np.exp(random.normal(0, 0.05, 10))
        theta = random.standard_normal((6, 6))
        for head in ("new", "keep"):
            loss = np.exp(-T / 100) if head == "new" else 0.5 * np.exp(-T / 20)
            moved = (1 - loss) * luck[0] * (1 if head == "new" else less)
            start = 0.4 if head == "new" else share
            history = {
                "train/loss": loss,
                claim.CHANGE: moved,
                claim.NORM: np.full(40, luck[1] * (0.5 if head == "new" else norm / 2)),
                "kernel/W2/share": np.full(40, 1 - start * luck[2]),
                "kernel/W0/share": np.full(40, start * luck[2]),
            }
            rows.append(_row(seed, head, history, theta, {claim.ECE: 0.1, claim.SCALED: 0.1 - ece * luck[3]}))
        for r in (1, 4, 16):
            wrong = random.standard_normal((6, 6))
            wrong *= r**exponent * luck[3 + int(np.log2(r)) // 2] * np.linalg.norm(theta) / np.linalg.norm(wrong)
            rows.append(_row(seed, "new", {claim.NORM: np.ones(1)}, theta + wrong, {}, lora=r))
    return pd.DataFrame(rows)


def _row(seed, head, history, theta, summary, lora=0):
    architecture = {"kind": "fully_connected"} | ({"lora": lora} if lora else {})
    config = {"seed": {"kind": "from_run", "head": head}, "architecture": architecture}
    one = SimpleNamespace(
        config=config, history=history, outputs={"theta_start": theta}, columns={"seed": seed}, weight_numbers=[]
    )
    place = {"h": 64, "sqrt_h_alpha": 8.0, "seed": seed, "outcome": "converged", "run": one}
    return place | {name: values[-1] for name, values in history.items()} | summary


PLANTED = (
    (claim.feature_share, {"share": 0.2}),
    (claim.grown, {"norm": 0.5}),
    (claim.less_change, {"less": 0.5}),
    (claim.repaired, {"ece": -0.05}),
    (claim.against_rank, {"exponent": -1.0}),
)


@pytest.mark.parametrize(("law", "wrong"), PLANTED, ids=lambda one: getattr(one, "name", ""))
def test_planted_runs_agree_and_others_differ(law, wrong):
    verdicts = [[row.verdict for row in readings(law, planted(**how))] for how in ({}, wrong)]
    assert verdicts == [[AGREES], [DIFFERS]]


def test_change_is_compared_at_one_loss():
    """Not at one time, nor at the ends: −ln loss is t/100 and ln 2 + t/20, so that both reach e⁻¹⁰."""
    table = planted(less=0.01)
    both = claim.pairs(table)
    before, after = claim.at_one_loss(both["run"][0], both["run_other"][0])
    assert after / before == pytest.approx(0.01, rel=1e-4)  # linear between 40 times
    further = SimpleNamespace(
        history={"train/loss": np.array([1.0, 0.1, 0.01]), claim.CHANGE: np.array([0.0, 1.0, 5.0])}
    )
    short = SimpleNamespace(history={"train/loss": np.array([0.5, 0.1]), claim.CHANGE: np.array([0.0, 0.2])})
    assert claim.at_one_loss(further, short) == pytest.approx((1.0, 0.2))
    never = SimpleNamespace(history={"train/loss": np.array([0.1, 1e-9]), claim.CHANGE: np.array([0.0, 1.0])})
    late = SimpleNamespace(history={"train/loss": np.array([1.0, 0.5]), claim.CHANGE: np.array([0.0, 1.0])})
    assert np.isnan(claim.at_one_loss(late, never)).all()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Parents, the output layer alone, both ways of fine-tuning and one of low rank, two seeds each; quickly."""
    root = tmp_path_factory.mktemp("lp_ft")
    job = (*TINY, *QUICK[1:], "labels=classes", "loss=cross_entropy", "dynamics.t_end=5", "observe.weights=ends")
    job = (*job, "observe.kernel.layers=true", "observe.kernel.matrices=true", "dataset.n_valid=20")
    job = (*job, "parametrisation=mean_field", "alpha=raw", "alpha.value=1", "centred=false")
    seen = ("observe/also=[head,calibration]",)
    child, new = ("seed=from_run", f"seed.run={root / 'pre'}"), "seed.head=new"
    grids = {
        "pre": ("seed=ensemble", "seed.members=2"),
        "lp": (*child, new, "dynamics.train=[last]", "dynamics.t_end=50"),
        "ft": (*child, new, *seen),
        "lora": (*child, new, "architecture.lora=2", *seen),
        "lpft": ("seed=from_run", f"seed.run={root / 'lp'}", *seen),
    }
    for name, more in grids.items():
        where = root / name if name in ("pre", "lp") else root
        run(build(composed(*job, *more, f"output_dir={where}")))
    return root


def test_laws_of_stored_runs(stored):
    table = with_runs(load_sweep(stored))
    assert len(table) == 6
    [share], [norm], [grown] = (
        readings(one, table) for one in (claim.feature_share, claim.grows_with_norm, claim.grown)
    )
    assert share.estimate.value > 0
    assert norm.estimate.value == pytest.approx(2, abs=1e-6)
    assert norm.verdict == AGREES
    assert grown.estimate.value > 1
    [rank] = readings(claim.against_rank, table)  # one rank alone
    assert rank.verdict == CANNOT_TELL
    errors = claim.rank_errors(table)
    assert errors.shape == (1, 2)
    assert ((errors > 0.05) & (errors < 5)).all().all()


def test_head_and_features_are_those_of_the_weights(stored):
    """f = Vφ: norm and change from the definition, and what is fixed of a network of low rank."""
    found = with_runs(load_sweep(stored))["run"]
    for one in found:
        net, probe = stored_network(one), min(128, 20)
        last = one.weights(-1)["W2"]
        gain = net.architecture.gain("W2") / np.sqrt(8)
        a = net.architecture.activation.factor
        assert one.history[claim.NORM][-1] == pytest.approx(a * gain * np.linalg.norm(last), rel=1e-10)
        phi = []
        for index in (0, -1):
            taps = net.architecture.taps(net.architecture.layout.unflatten(net.weights(index)), net.data.x_test[:probe])
            phi.append(taps[1][-1].inputs)
        change = float((phi[1] - phi[0]).square().sum() / phi[0].square().sum())
        assert one.history[claim.CHANGE][-1] == pytest.approx(change, rel=1e-8)
        assert one.history[claim.CHANGE][0] == 0
        if one.config["architecture"].get("lora"):
            assert all(np.array_equal(one.weights(0)[name], one.weights(-1)[name]) for name in ("W0", "W1"))
            assert not one.weights(0)["B0"].any()
            assert one.weights(-1)["B0"].any()


def test_the_end_of_a_run_is_on_the_whole_test_set(stored):
    one = with_runs(load_sweep(stored))["run"][0]
    logits, y = torch.as_tensor(one.outputs["F_test"]).flatten()[None], torch.as_tensor(one.outputs["y_test"])
    assert one.summary[claim.ECE] == pytest.approx(calibration_error(logits, y).item(), rel=1e-10)
    valid = torch.as_tensor(one.outputs["F_valid"]).flatten()[None]
    scale = temperature(valid, torch.as_tensor(one.outputs["y_valid"]))
    assert one.summary["valid/temperature"] == pytest.approx(scale.item(), rel=1e-8)
    assert one.summary[claim.SCALED] == pytest.approx(calibration_error(logits / scale, y).item(), rel=1e-8)


def test_stored_network_is_the_one_that_was_trained(stored):
    for one in with_runs(load_sweep(stored))["run"]:
        net = stored_network(one)
        f = net.architecture.apply(net.architecture.layout.unflatten(net.weights()), net.data.x_test)
        np.testing.assert_allclose(f[0].numpy(), one.outputs["F_test"].ravel(), rtol=1e-10, atol=1e-12)
        parts = layer_kernels(net.architecture, net.architecture.layout.unflatten(net.weights(0)), net.data.x_test[:4])
        assert set(parts) == set(net.architecture.layout.trained)


def test_cross_entropy_goes_on_to_its_margin(tmp_path):
    job = (*TINY, *QUICK, "labels=classes", "loss=cross_entropy", f"output_dir={tmp_path}")
    for margin in (1.0, 3.0):
        [one] = run(build(composed(*job, f"loss.stop_margin={margin}")))
        assert one.summary["outcome"] == "converged"
        assert margin <= one.history["train/margin_min"][-1] < margin + 0.5


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["observe/also=[calibration]"], r"observe/also=\[calibration\]: needs probabilities of classes"),
        (
            ["observe/also=[calibration]", "labels=classes", "loss=cross_entropy"],
            "the temperature is that of a validation set; set dataset.n_valid",
        ),
        (["loss=cross_entropy", "labels=classes", "loss.stop_margin=0"], r"loss\.stop_margin=0"),
    ],
)
def test_refusals(more, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*more))


def test_a_linearised_network_has_no_features_to_follow(tmp_path):
    with pytest.raises(ConfigError, match=r"observe/also=\[head\]: a linearised network"):
        run(build(composed(*TINY, *QUICK[:1], "dynamics=linearised", "observe/also=[head]", f"output_dir={tmp_path}")))
