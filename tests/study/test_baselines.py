"""Baselines beside stored runs: what they predict, that they are computed once, by blocks, and what is refused."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import infinite_kernels
from feature_lazy.kernels.support import support_weights
from feature_lazy.launch.commands import main
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.registry import find, options
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.baselines import compute
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.stored import FILE, FOLDER, check_kernel
from feature_lazy.study.baselines.tables import frame, lines, over_seeds
from feature_lazy.study.figures import overview
from feature_lazy.study.report import write_report
from feature_lazy.study.table import read
from tests.conftest import QUICK, TINY, composed

JOB = (*TINY, *QUICK, "loss=mse", "activation=relu", "observe.kernel.probe=0", "observe.weights=ends")
ROOT_H = 8**0.5


def trained(folder, *overrides):
    return run(build(composed(*JOB, f"output_dir={folder}", *overrides)))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two seeds at two α, lazy and hardly so."""
    folder = tmp_path_factory.mktemp("sweep")
    for alpha in ("alpha.value=1", "alpha.value=1e3"):
        trained(folder, "seed=ensemble", "seed.members=2", alpha)
    return folder


def asked(name, **keys):
    return replace(find("baseline", name)(), **keys)


def beside(runs, name, kernel="infinite_ntk", **options):
    keys = {k: v for k, v in options.items() if k not in {"folder", "memory_limit"}}
    bench = Bench(options.get("folder"), options.get("memory_limit"))
    found = bench.beside(runs, [asked(name, **keys)], [kernel])
    return found, list(bench.problems)


def patterns(one):
    data = build(from_plain(one.config)).dataset
    return data.x_train, data.x_test, data.y_train


@pytest.mark.parametrize("limit", [None, 2000.0])
@pytest.mark.parametrize("kernel", ["infinite_ntk", "infinite_nngp", "linear"])
def test_ridge_regression_in_memory_and_by_blocks(sweep, kernel, limit):
    """Against the formula written out, on a kernel that is made in one piece."""
    runs = load_sweep(sweep).runs
    found, problems = beside(runs, "krr", kernel, ridge=0.01, memory_limit=limit)
    assert not problems
    assert len(found) == len(runs)
    x, tests, y = patterns(runs[0])
    both = torch.cat([x, tests])
    whole = infinite_kernels(scaled(Relu()), 2, both)
    k = {"infinite_ntk": whole.ntk, "infinite_nngp": whole.nngp, "linear": both @ both.mT / both.shape[1]}[
        kernel
    ].numpy()
    n = len(x)
    train = k[:n, :n] + 0.01 * np.trace(k[:n, :n]) / n * np.eye(n)
    expected = k[n:, :n] @ np.linalg.solve(train, y.numpy())
    for one in found:
        np.testing.assert_allclose(one.found.arrays["F_test"], expected, rtol=1e-9, atol=1e-10)
    assert found[0].found.error == np.mean(expected * runs[0].outputs["y_test"] <= 0)


@pytest.mark.parametrize("start", [("alpha.value=1e4",), ("centred=false", "alpha=raw", "alpha.value=20")])
def test_a_lazy_network_ends_where_its_own_kernel_predicts(tmp_path, start):
    """To what the kernel changes by, 1/(√h·α); F = αf begins at αf₀, not at 0, which both must know."""
    (one,) = trained(tmp_path, *start, "dynamics.t_end=3", "dynamics.eps_gradient=1e-3", "width.h=64")
    (there,), problems = beside([one], "gp", "start", time="run")
    assert not problems
    # Measured: 0.009 and 0.002.
    assert there.distance < 0.02, there.distance
    (end,), _ = beside([one], "gp", "start", time="end")
    assert end.distance > 3 * there.distance  # it has not come to the end


def test_variance_is_that_of_networks_that_are_not_centred(sweep, tmp_path):
    (one, *_), _ = beside(load_sweep(sweep).runs, "gp")
    assert "variance" not in one.found.arrays
    runs = trained(tmp_path, "centred=false", "alpha=raw", "alpha.value=1", "dynamics.t_end=1")
    (one,), _ = beside(runs, "gp", time="0")
    _, tests, _ = patterns(runs[0])
    np.testing.assert_allclose(one.found.arrays["variance"], infinite_kernels(scaled(Relu()), 2, tests).nngp.diagonal())
    assert not one.found.arrays["F_test"].any()


@pytest.mark.parametrize("words", [[], ["dataset.pca.components=4"]], ids=["on the sphere", "off it"])
def test_nearest_is_nearest(words, tmp_path):
    runs = trained(tmp_path, "dynamics.t_end=1", *words)
    (one, *_), _ = beside(runs, "nearest", "linear", k=3, memory_limit=3000.0)
    x, tests, y = patterns(runs[0])
    near = torch.cdist(tests, x).topk(3, largest=False).indices
    np.testing.assert_array_equal(one.found.arrays["F_test"], y[near].mean(1))


def test_flow_is_the_line_of_infinite_width(sweep):
    from feature_lazy.study.infinite_width import stored_test_error

    (one, *_), _ = beside(load_sweep(sweep).runs, "flow")
    assert one.found.error == stored_test_error(sweep, one.run.config)


def test_kernel_of_the_end_and_at_a_time(sweep):
    lazy = [one for one in load_sweep(sweep).runs if one.columns["alpha"] * ROOT_H > 100]
    start, end = (beside(lazy, "krr", kernel)[0] for kernel in ("start", "end"))
    also = beside(lazy[:1], "krr", f"t={lazy[0].summary['t']!r}")[0]
    np.testing.assert_array_equal(also[0].found.arrays["F_test"], end[0].found.arrays["F_test"])
    for one, other in zip(start, end, strict=True):
        gap = np.linalg.norm(one.found.arrays["F_test"] - other.found.arrays["F_test"])
        assert 0 < gap < 0.01 * np.linalg.norm(one.found.arrays["F_test"])
    _, problems = beside(lazy, "krr", "t=0.123")
    assert "no weights at that time" in problems[0]


def test_classes_on_the_kernel_of_one_network_and_on_that_of_infinite_width(tmp_path):
    job = ("labels=classes", "dataset.classes=[0,1,2,3]", "alpha.value=1e3", "width.h=64", "dynamics.t_end=3")
    runs = trained(tmp_path, *job)
    for kernel, name in (("start", "gp"), ("infinite_ntk", "krr"), ("infinite_ntk", "nearest")):
        (one,), problems = beside(runs, name, kernel)
        assert not problems
        assert one.found.arrays["F_test"].shape == (20, 4)
    (one,), _ = beside(runs, "gp", "start", time="run")
    assert one.distance < 0.05, one.distance
    _, problems = beside(runs, "nearest", "start")
    assert "measures no distance" in problems[0]


def test_computed_once_and_again_where_it_is_damaged(sweep, monkeypatch):
    runs = load_sweep(sweep).runs
    beside(runs, "krr", folder=sweep)
    known = json.loads((sweep / FILE).read_text())
    with monkeypatch.context() as patch:
        patch.setattr(compute, "_fitted", None)
        again, problems = beside(runs, "krr", folder=sweep)
    assert len(again) == len(runs)
    assert not problems
    (name,) = known
    path = sweep / FOLDER / f"{name}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert beside(runs, "krr", folder=sweep)[0][0].found.error == again[0].found.error
    assert path.read_bytes() == whole
    (sweep / FILE).write_text("{half")
    assert len(beside(runs, "krr", folder=sweep)[0]) == len(runs)


@pytest.mark.parametrize(
    ("name", "kernel", "keys", "words"),
    [
        (
            "gp",
            "infinite_ntk",
            {"memory_limit": 1e4},
            "P = 20 takes 1.6e[+]04 bytes of memory, more than the limit of 1e[+]04",
        ),
        ("krr", "linear", {"memory_limit": 1e4, "dtype": "float32"}, "use float64, which goes by blocks"),
        ("krr", "linear", {"ridge": 0.0, "dtype": "float32"}, "singular up to rounding in torch.float32"),
        ("svm", "infinite_ntk", {"strength": "0.1"}, "loss=mse is no hinge"),
        ("gp", "infinite_ntk", {"time": "never"}, "gp time=never: must be a time"),
        ("nearest", "linear", {"k": 21}, "there are 20 training patterns"),
    ],
)
def test_refusals_of_baselines(sweep, name, kernel, keys, words):
    runs = load_sweep(sweep).runs
    if keys.get("dtype") == "float32" and "ridge" in keys:  # a linear kernel on equal patterns is singular anywhere
        runs = [altered(runs[0], "dataset", n_train=400)]
    found, problems = beside(runs, name, kernel, **keys)
    assert not found
    [problem] = problems
    assert __import__("re").search(words, problem), problem


def altered(one, group, **keys):
    manifest = json.loads(json.dumps(one.manifest))
    manifest["config"].setdefault(group, {}).update(keys)
    return replace(one, manifest=manifest)


@pytest.mark.parametrize(
    ("group", "keys", "words"),
    [
        ("parametrisation", {"kind": "mup"}, "the parametrisation is not ntk"),
        ("dynamics", {"train": ["last"]}, "only some of the weights are trained"),
        (
            "dataset",
            {"kind": "custom", "target": "nobody_imports_this.load"},
            "code of the user's own, nobody_imports_this.load",
        ),
        ("loss", {"kind": "unheard_of"}, "loss=unheard_of, which this version does not know"),
    ],
)
def test_refusals_of_runs(sweep, group, keys, words):
    one = load_sweep(sweep).runs[0]
    if group in {"dataset", "loss"}:
        one.manifest["config"][group].clear()
    found, problems = beside([altered(one, group, **keys)], "krr")
    assert not found
    assert words in problems[0]
    assert "nobody_imports_this" not in sys.modules


def test_refusal_without_weights_and_of_unknown_kernels(tmp_path):
    runs = trained(tmp_path, "observe.weights=none", "dynamics.t_end=1")
    assert len(beside(runs, "krr", "start")[0]) == 1
    _, problems = beside(runs, "krr", "end")
    assert "has no weights; train it with observe.weights=ends or all" in problems[0]
    for name in ("ntk", "t=soon", "t=-1"):
        with pytest.raises(ConfigError, match="there is none; choose of infinite_ntk"):
            check_kernel(name)


def test_svm_is_where_a_lazy_network_under_a_distance_comes_to_rest(tmp_path):
    """With α = 1e3 and ρ = 20 for the soft hinge: what is left is the soft hinge, about ln 2/20 of margins of 1."""
    job = ("loss=soft_hinge", "regulariser=distance", "regulariser.strength=0.1", "alpha.value=1e3")
    runs = trained(tmp_path, *job, "dynamics.stepper=rkc2")
    (one,), problems = beside(runs, "svm", "start")
    assert not problems
    assert one.distance < 0.1, one.distance
    assert 0 < one.found.scalars["support"] <= 1
    kernels, task, _ = Bench().ready(one.run, "start")
    exactly = kernels.test_train @ support_weights(kernels.train, task.labels, 0.1)
    np.testing.assert_allclose(one.found.arrays["F_test"], exactly, rtol=1e-12)
    (other,), _ = beside(runs, "svm", "start", strength="0.01")
    assert other.distance > 3 * one.distance
    _, problems = beside(runs, "flow")
    assert "there is a regulariser" in problems[0]


def test_the_command_prints_every_row_and_what_is_refused(sweep, capsys):
    (sweep / FILE).unlink(missing_ok=True)
    words = ["baselines", str(sweep), "--names", "krr,gp", "--kernel", "infinite_ntk,start", "--ridge", "1e-4,1e-2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.count("krr") == 4
    assert said.count("gp") == 2
    entries = json.loads((sweep / FILE).read_text()).values()
    assert len(entries) == 3 + 3 * 2  # one of infinite width, and the start of each of two seeds
    assert main([*words[:2], "--names", "gp", "--ridge", "1"]) == 1
    assert "--ridge: none of gp has it; it is of dkm, krr, student_t" in capsys.readouterr().err
    assert main([*words[:2], "--names", "krr", "--ridge", "-1"]) == 1
    assert "krr.ridge=-1.0: must be at least 0" in capsys.readouterr().err
    assert main([*words[:2], "--names", "svm", "--strength", "1"]) == 1
    assert "loss=mse is no hinge" in capsys.readouterr().err


def test_table_has_an_error_bar_over_seeds(sweep):
    runs = load_sweep(sweep).runs
    found, _ = beside(runs, "krr", "start")
    rows = over_seeds(frame(found))
    assert len(rows) == 2  # a row for each √h·α
    first = [one for one in found if one.run.columns["sqrt_h_alpha"] == rows["sqrt_h_alpha"][0]]
    a, b = (one.distance for one in first)
    assert rows["distance"][0].value == pytest.approx((a + b) / 2)
    assert rows["distance"][0].error == pytest.approx(12.706 * abs(a - b) / 2, rel=1e-3)  # Student's, one degree


def test_lines_in_figure_and_report(sweep, small_pictures):
    runs = load_sweep(sweep).runs
    (sweep / FILE).unlink(missing_ok=True)
    assert not len(lines(read(sweep)))
    for kernel in ("infinite_ntk", "start"):
        beside(runs, "krr", kernel, folder=sweep)
    table = read(sweep)
    sheet = overview.test_error(table)
    labels = sheet.axes["a"].get_legend_handles_labels()[1]
    assert "krr ridge=1e-06, infinite_ntk" in labels
    assert "krr ridge=1e-06, start, h = 8" in labels
    page = write_report(sweep).read_text()
    assert "Dashed guides, test errors of feature-lazy baselines: krr ridge=1e-06, infinite_ntk: " in page


def test_what_is_aimed_at_is_the_target_of_the_loss():
    """And the error of real labels is a mean square, of classes a fraction."""
    batch = build(composed(*JOB, "loss.target=2"))
    assert torch.equal(compute.task(batch).targets, 2 * batch.dataset.y_train)
    assert compute.error(np.array([1.0, 2.0]), np.array([0.5, 1.0])) == pytest.approx((0.25 + 1) / 2)
    assert compute.error(np.array([0.5, -2.0]), np.array([1.0, 1.0])) == 0.5


def test_every_baseline_says_what_it_is():
    assert {"krr", "gp", "svm", "nearest", "flow"} <= set(options("baseline"))
    for made in options("baseline").values():
        assert made.__doc__
