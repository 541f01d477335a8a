"""Students of a stored teacher: effective logits, the loss, identity, the laws, and what is refused."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.reading import Run
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS, judged
from feature_lazy.systems.distillation import claim
from feature_lazy.systems.distillation.logits import effective_logits
from feature_lazy.systems.distillation.option import Distillation, Distilled, Divergence
from tests.arrays import normal
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import reference

STUDENT = ("labels=distilled", "loss=distillation")
JOB = (*TINY, *QUICK, "architecture.depth=1", "observe.kernel.probe=0")


def test_effective_logits_are_where_the_slope_is_zero():
    known = reference("distillation")
    for case, expected in zip(known["cases"].tolist(), known["logits"].tolist(), strict=True):
        z, hard, rho, t = case
        found = effective_logits(torch.tensor([z]).double(), torch.tensor([hard]).double(), rho, t)
        assert float(found) == pytest.approx(expected, rel=1e-10, abs=1e-10), case
    teacher = normal(5)
    torch.testing.assert_close(effective_logits(teacher, -torch.ones(5).double(), 1.0, 3.0), teacher)


def test_far_teachers_lose_no_digits():
    """The root for q = 0 and y = 1 is ln((1−ρ)/ρ) at T = 1; and beyond 1 − q = e^{−80} it is z_t + ln of 1/ρ."""
    found = effective_logits(torch.tensor([-80.0, 80.0]).double(), torch.ones(2).double(), 0.3, 1.0)
    expected = torch.tensor([np.log(0.7 / 0.3), 80 - np.log(0.3)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("t", [0.5, 2.0, 5.0])
def test_truth_wins_over_every_teacher_below_the_threshold(t):
    for rho, sign in ((t / (1 + t) - 1e-3, 1), (t / (1 + t) + 1e-3, -1)):
        found = effective_logits(torch.tensor([-1e3]).double(), torch.ones(1).double(), rho, t)
        assert np.sign(float(found)) == sign


def test_loss_is_both_entropies_up_to_a_constant():
    known = reference("distillation")
    for case, expected in zip(known["cases"].tolist(), known["slopes"].tolist(), strict=True):
        z, hard, rho, t = case
        label = effective_logits(torch.tensor([z]).double(), torch.tensor([hard]).double(), rho, t)
        loss = Divergence(soft=rho, temperature=t)
        f = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
        value = loss(f, label)
        assert float(torch.autograd.grad(value.sum(), f)[0]) == pytest.approx(expected, abs=1e-8)
        assert value.item() > 0
        assert float(loss(label, label)) == 0
        zero = torch.zeros(1, dtype=torch.float64)
        bend = torch.autograd.functional.hessian(lambda at, loss=loss, y=label: loss(at, y).sum(), zero)
        assert float(bend) == pytest.approx(loss.curvature, rel=1e-12)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A small network that was stopped early, and not centred, so that F is αf."""
    folder = tmp_path_factory.mktemp("teacher")
    begun = ("loss=mse", "centred=false", "alpha=raw", "alpha.value=2", "dynamics.t_end=3", "observe.weights=ends")
    [one] = run(build(composed(*JOB, *begun, f"output_dir={folder}")))
    return one


@pytest.fixture(scope="module")
def student(teacher, tmp_path_factory):
    """A lazy one, on the patterns of its teacher, whom it believes in part."""
    folder = tmp_path_factory.mktemp("student")
    job = (*TINY, "architecture.depth=1", "observe.kernel.probe=0", "observe.weights=ends", "alpha.value=1e4", *STUDENT)
    job = (*job, "width.h=32", "loss.margin_tol=0.05")
    own = ("labels.soft=0.5", "labels.corrupt=0.3", f"labels.teacher={teacher.path}", f"output_dir={folder}")
    [one] = run(build(composed(*job, *own)))
    return one


def test_labels_are_effective_logits_of_the_teacher_as_it_ended(teacher, student):
    truth = torch.tensor(teacher.outputs["y_train"])
    logits = torch.tensor(teacher.outputs["F_train"])
    both = [effective_logits(sign * logits, truth, 0.5, 2.0) for sign in (1.0, -1.0)]
    pulled = torch.tensor(student.outputs["y_train"])
    right, turned = (torch.isclose(pulled, one, rtol=1e-9, atol=1e-9) for one in both)
    assert (right ^ turned).all()
    assert 0 < turned.double().mean() < 0.7
    np.testing.assert_array_equal(student.outputs["y_test"], teacher.outputs["y_test"])
    assert np.abs(student.outputs["F_train"] - student.outputs["y_train"]).max() < 0.05
    assert student.summary["outcome"] == "converged"


def test_weight_change_of_a_lazy_student_is_the_kernel_norm_of_its_labels(student):
    """α²‖Δw‖² = FᵀΘ⁻¹F, where F is the labels up to a twentieth."""
    batch = build(from_plain(student.manifest["resolved"]))
    network, x = batch.architecture, batch.dataset.x_train
    kernels = tangent_kernel(network, network.layout.unflatten(batch.w0(batch.cells)), x)[0]
    f = torch.tensor(student.outputs["F_train"])
    expected = float((f @ torch.linalg.solve(kernels, f)).sqrt())
    assert claim.moved(student) * student.columns["alpha"] == pytest.approx(expected, rel=0.02)


def test_a_student_is_known_by_its_teacher_and_not_by_where_it_lies(teacher, student, tmp_path):
    known = student.config["labels"]
    assert known["parent"] == teacher.run_id
    assert known["checksum"] == teacher.manifest["files"]["weights.safetensors"]
    assert "teacher" not in known
    moved = tmp_path / "elsewhere" / teacher.run_id
    shutil.copytree(teacher.path, moved)
    again = from_plain(student.manifest["resolved"])
    again.labels.teacher = str(moved)
    assert [cell.run_id for cell in cells(again)] == [student.run_id]
    other = composed(*JOB, "loss=mse", "dynamics.t_end=1", "observe.weights=ends", f"output_dir={tmp_path}")
    [another] = run(build(other))
    again.labels.teacher = str(another.path)
    with pytest.raises(StoreError, match="other weights than those of the run"):
        cells(again)


@pytest.mark.parametrize("key", ["soft", "temperature", "corrupt"])
def test_each_key_of_a_student_is_science(student, teacher, key):
    again = from_plain(student.manifest["resolved"])
    again.labels.teacher = str(teacher.path)
    setattr(again.labels, key, getattr(again.labels, key) + 0.125)
    assert [cell.run_id for cell in cells(again)] != [student.run_id]


def test_a_stored_student_names_no_folder_that_would_be_opened(student):
    """Whoever computes with its network must have its teacher; and it is no teacher itself."""
    with pytest.raises(ConfigError, match=f"labels.teacher: name the run {student.config['labels']['parent']}, whose"):
        stored_network(student)
    with pytest.raises(ConfigError, match="it learnt labels=distilled; a teacher is for y = ±1"):
        validate(composed(*JOB, *STUDENT, f"labels.teacher={student.path.parents[1]}"))


def test_more_patterns_and_a_validation_set_have_their_logits_too(teacher):
    words = (*JOB, *STUDENT, f"labels.teacher={teacher.path}", "dataset.n_train=30", "dataset.n_valid=10")
    data = build(composed(*words)).dataset
    few = build(composed(*JOB, *STUDENT, f"labels.teacher={teacher.path}")).dataset
    torch.testing.assert_close(data.y_train[:20], few.y_train)
    assert data.y_valid.shape == (10,)
    assert not (data.y_valid.abs() == 1).any()


def test_what_a_student_refuses(teacher, tmp_path):
    job = (*JOB, *STUDENT)
    here = f"labels.teacher={teacher.path}"
    for words, says in (
        ([], "labels.teacher: name a stored run"),
        ([f"labels.teacher={tmp_path}"], "There is no stored run in"),
        ([here, "labels.soft=1.5"], r"labels.soft=1.5: must be at most 1"),
        ([here, "labels.corrupt=2"], r"labels.corrupt=2: must be at most 1"),
        ([here, "dataset.seed=1"], "the teacher has dataset.seed=0 and not 1; a student learns"),
        ([here, "loss=soft_hinge"], "loss=soft_hinge: labels=distilled are real numbers; use loss=distillation or"),
        ([here, "labels=parity"], "loss=distillation: labels=parity have no teacher"),
    ):
        words = [word for word in words if word != here or "labels=parity" not in words]
        with pytest.raises((ConfigError, StoreError), match=says):
            validate(composed(*job, *words))


def test_teachers_that_are_none(tmp_path):
    for name, words, says in (
        ("classes", ("labels=classes", "loss=mse"), "it learnt labels=classes; a teacher is for y = ±1"),
        ("frozen", ("dynamics=frozen_kernel",), "a linearised network is no f of its weights"),
        ("bare", ("observe.weights=none",), "has no weights to start from"),
    ):
        folder = tmp_path / name
        own = [word for word in JOB if name != "frozen" or not word.startswith("dynamics.")]
        train_config(composed(*own, "observe.weights=ends", *words, "dynamics.t_end=0.01", f"output_dir={folder}"))
        with pytest.raises(ConfigError, match=says):
            validate(composed(*JOB, *STUDENT, f"labels.teacher={folder}"))
    with pytest.raises(ConfigError, match="ρ and T are those of labels=distilled"):
        Distillation()(torch.zeros(2), torch.zeros(2))


def planted(inefficiency, errors):
    """A table of students: I by ρ, and test errors by ρ under a teacher that is wrong."""
    random, runs = np.random.default_rng(0), []

    def one(seed, p, labels, summary, y):
        columns = {"h": 64, "sqrt_h_alpha": 80.0, "alpha": 10.0, "seed": seed, "P": p, "loss": "mse"}
        config = {"labels": labels or {"kind": "parity"}}
        made = Run(None, {"run_id": "", "config": config, "columns": columns, "summary": summary}, False)
        made.__dict__.update(history={"weights/norm": np.array([8.0])}, outputs={"y_train": y})
        runs.append(made)

    truth = np.resize([-1.0, 1.0], 40)
    for seed in range(5):
        for rho, exponent in inefficiency.items():
            for p in (10, 20, 40):
                labels = {"kind": "distilled", "soft": rho, "temperature": 2.0} if rho else None
                change = p**exponent * np.exp(random.normal(0, 0.01))
                one(seed, p, labels, {"weights/change": change, "test/error": 0.1}, truth[:p])
        for rho, error in errors.items():
            labels = {"kind": "distilled", "soft": rho, "temperature": 2.0, "corrupt": 0.2}
            pulled = truth * np.where(np.arange(40) < 8 * (rho > 2 / 3), -1, 1)
            summary = {"weights/change": 1.0, "test/error": error + random.normal(0, 0.005)}
            one(seed, 40, labels, summary, pulled)
    rows = [{**made.columns, **made.summary, "outcome": "converged", "run": made} for made in runs]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("inefficiency", "errors", "verdict"),
    [
        ({0.0: 0.5, 0.1: 0.45, 0.9: 0.3}, {0.6: 0.1, 1.0: 0.2}, AGREES),
        ({0.0: 0.5, 0.1: 0.4, 0.9: 0.45}, {0.6: 0.2, 1.0: 0.1}, DIFFERS),
    ],
)
def test_planted_students(inefficiency, errors, verdict):
    table = planted(inefficiency, errors)
    found = [readings(law, table)[0] for law in (claim.softness, claim.monotone, claim.imperfect)]
    assert [row.verdict for row in found] == [verdict] * 3
    assert found[0].estimate.value == pytest.approx(inefficiency[0.0] - inefficiency[0.9], abs=0.02)
    [signs] = readings(claim.corrected, table)
    assert signs.verdict == AGREES
    late = planted(inefficiency, errors)
    for one in late["run"]:
        one.config["labels"]["temperature"] = 20.0  # ρ = 0.6 and 0.9 are below T/(1 + T) then
        if one.config["labels"].get("corrupt"):
            one.outputs["y_train"] = -one.outputs["y_train"]
    assert readings(claim.corrected, late)[0].verdict == DIFFERS


@pytest.mark.parametrize(("apart", "verdict"), [(0.01, AGREES), (0.5, DIFFERS)])
def test_planted_pairs(apart, verdict):
    """Outputs that differ by so much of their size, with the same seeds."""
    random = np.random.default_rng(0)
    outputs = random.normal(size=(5, 30))
    others = [SimpleNamespace(outputs={"F_test": f}) for f in outputs]
    runs = [SimpleNamespace(outputs={"F_test": f * (1 + apart * random.choice([-1, 1], 30))}) for f in outputs]
    found = claim.same_end(pd.DataFrame({"run": runs, "run_other": others}))
    assert found.value == pytest.approx(apart, rel=1e-9)
    assert judged(claim.same_end.expected, found).verdict == verdict


def test_runs_without_a_teacher_have_no_students(teacher):
    table = with_runs(load_sweep(teacher.path.parents[1]))
    for law in (claim.softness, claim.monotone, claim.corrected, claim.imperfect):
        [row] = readings(law, table)
        assert row.verdict == CANNOT_TELL
    assert Distilled().unit([0, 1]) == 2
