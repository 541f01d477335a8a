"""Every benchmark at its smallest size: it runs, and a result that is none stops it."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import pytest
import torch

from feature_lazy.dynamics.integrate import Limits
from tests.conftest import QUICK, ROOT, TINY

BENCHMARKS = ROOT / "benchmarks"
ELSEWHERE = {
    "neural_tangents_kernels": "needs jax in an environment of its own",
    "gallery": "tests/study/test_article.py",
    "atlas": "tests/systems/test_atlas.py",
}
SOLVE = ["--cases", "smallest", "--x", "10", "--steppers", "article", "auto", "tangent"]


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch):
    """Its folder is on the path for as long as it runs, and threads stay as they are."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    yield
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_all_are_here():
    tested = {
        "solvers",
        "bars",
        "members",
        "gpu",
        "kernels",
        "kernel_ways",
        "growth",
        "growth_curves",
        "speed",
        "tracking",
        "two_commits",
        "article_cost",
    }
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == tested | set(ELSEWHERE)


@pytest.fixture
def solvers(monkeypatch):
    import solvers

    monkeypatch.setitem(solvers.PROBLEMS, "smallest", solvers.Problem("digits", 8, 4, (10.0,), 1e-6))
    return solvers


def test_solvers_and_their_table(solvers, tmp_path, capsys):
    import bars

    path = tmp_path / "rows.json"
    solvers.main([*SOLVE, "--json", str(path)])
    rows = json.loads(path.read_text())
    assert [(row["stepper"], row["until"]) for row in rows] == [
        (name, until) for name in ("article", "auto", "tangent") for until in ("80%", "convergence")
    ]
    # A tolerance of 1e-2 bounds the error; the largest that was measured over it is 3 (results/tolerance.json).
    assert all(row["error_F"] < 0.03 and row["error_w"] < 0.03 for row in rows)
    assert all(row["gradient_equivalents"] > 0 and row["error_t_stop"] < 0.03 for row in rows)
    bars.main([str(path)])
    assert "| digits, 4 | 10 | convergence |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="an error of F of 1 is no result: auto"):
        bars.against_article([{**row, "error_F": 1.0 if row["stepper"] == "auto" else 0.0} for row in rows])


def test_solver_that_goes_nowhere_is_no_result(solvers, monkeypatch):
    """As when a message of the integrator is taken for a state."""
    costs = [dict.fromkeys(("t", "gradients", "kernels", "flops", "cpu_s"), 1.0)] * 2
    monkeypatch.setattr(solvers.Case, "follow", lambda case, *_: ([case.w0, case.w0], costs))
    with pytest.raises(SystemExit, match=r"article, √hα = 10, 80%: error of F 1, of w 1\. This is no result"):
        solvers.main(SOLVE)


def test_members(monkeypatch, capsys, tmp_path):
    import members

    small = members.Case(8, 4, (0.1, 10.0), seeds=3, max_steps=20, alone=2)
    monkeypatch.setattr(members, "CASES", {"smallest": small})
    members.main(["--cases", "smallest", "--json", str(tmp_path / "rows.json")])
    assert "smallest: 6 networks, 6 at once: " in capsys.readouterr().out
    [row] = json.loads((tmp_path / "rows.json").read_text())
    assert row["apart"] < 1e-12
    assert min(row["together_s"], row["one_by_one_s"]) > 0
    whole = members.Networks.seconds
    monkeypatch.setattr(members.Networks, "seconds", lambda self, rows, most: (1.0, whole(self, rows, most)[1] * most))
    with pytest.raises(SystemExit, match="both ways ended 5 apart, so they did not do the same"):
        members.main(["--cases", "smallest"])


def test_gpu(monkeypatch, tmp_path):
    """On the CPU, which has no TF32."""
    import gpu

    for name, value in {"SEEDS": 2, "X": (1.0, 10.0), "TRAINED": (8, 4), "KERNEL": (12, 6), "MATRIX": 16}.items():
        monkeypatch.setattr(gpu, name, value)
    gpu.main(["--device", "cpu", "--json", str(tmp_path / "rows.json")])
    training, *kernels = json.loads((tmp_path / "rows.json").read_text())
    assert (training["networks"], training["converged"]) == (4, 4)
    assert training["gradient_equivalents_per_s"] > 0
    assert [row["dtype"] for row in kernels] == ["float64", "float32"]
    assert all(row["of_matrix_rate"] == row["flops_per_s"] / row["matrix_rate"] > 0 for row in kernels)
    assert kernels[0]["apart"] < kernels[1]["apart"] < 1e-5
    monkeypatch.setattr(gpu, "APART", dict.fromkeys(gpu.APART, 0.0))
    with pytest.raises(SystemExit, match=r"Θ in torch\.float64 is \S+ from that of the CPU in float64"):
        gpu.main(["--device", "cpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="Not run: PyTorch sees no CUDA device here"):
        gpu.main([])


def test_kernels(monkeypatch, tmp_path, capsys):
    import kernel_ways
    import kernels

    small = {case.name: case for case in (kernels.Case("fc", 4, 6, 5), kernels.Case("cnn", 2, 28**2, 2))}
    monkeypatch.setattr(kernels, "CASES", small)
    monkeypatch.setattr(kernels, "matrix_rate", lambda: 1e9)
    monkeypatch.setattr(kernels, "peak", lambda *_: 2**20)  # a process of its own, for each
    command = ["--cases", *small, "--methods", *kernel_ways.METHODS, "--repeats", "1", "--json", str(tmp_path / "k")]
    kernels.main(command)
    rows = json.loads((tmp_path / "k").read_text())
    assert len(rows) == 2 * len(kernel_ways.METHODS)
    assert all(row["difference"] < 1e-12 for row in rows)
    kernels.main(["--peak", next(iter(small)), "layerwise"])
    assert int(capsys.readouterr().out.splitlines()[-1]) >= 0
    monkeypatch.setitem(kernels.METHODS, "generic", lambda *given: 2 * kernel_ways.generic(*given))
    with pytest.raises(SystemExit, match="generic is 1 from layerwise: not the same kernel"):
        kernels.main(command)


@pytest.fixture
def growth(monkeypatch):
    """Every curve at a few small sizes, in this process; times are said to be what is counted."""
    import growth

    sizes = {"P": (4, 6, 8), "h": (2, 3, 4), "L": (1, 2, 3), "members": (1, 2, 3), "cells": (1, 2)}
    small = {name: dataclasses.replace(one, sizes=sizes[one.against]) for name, one in growth.CURVES.items()}
    monkeypatch.setattr(growth, "CURVES", small)
    monkeypatch.setattr(growth, "LEAST", 0.0)
    monkeypatch.setattr(growth, "DPI", 30)
    whole = growth.measure

    def one(command, **_):
        """What a process of its own prints."""
        rows = whole(small[command[3]], 1)
        assert all(0 < row["cpu_s"] < 30 for row in rows)
        said = json.dumps([row | {"cpu_s": 1e-9 * row["counted"], "peak_bytes": 2**20 * row["size"]} for row in rows])
        return SimpleNamespace(returncode=0, stdout=f"{said}\n")

    monkeypatch.setattr(growth, "subprocess", SimpleNamespace(run=one, PIPE=-1))
    return growth


def test_growth(growth, tmp_path, monkeypatch, capsys):
    rows, page = tmp_path / "rows.json", tmp_path / "page.md"
    growth.main(["--json", str(rows), "--page", str(page)])
    found = json.loads(rows.read_text())
    assert len(found) == sum(len(one.sizes) for one in growth.CURVES.values())
    lines = page.read_text().splitlines()
    table = [line for line in lines if line.startswith("| ") and "from … to" not in line]
    assert len(table) == len(growth.CURVES) == sum("| as counted |" in line for line in table)
    assert (
        "| status | cells | 1 … 2 | finished runs, their seeds differ | 1.00 ± 0.00 | 1.00 | as counted |" in table[-1]
    )
    pictures = {path.name for path in (tmp_path / "growth").iterdir()}
    assert pictures == {f"{name}.png" for name in ("kernel", "gradient", "step", "planning", "status")}
    assert all(f"(growth/{name})" in page.read_text() for name in pictures)
    monkeypatch.setattr(
        growth, "draw", lambda *_: ["kernel.png", "gradient.png", "step.png", "planning.png", "status.png"]
    )
    growth.main(["--only-draw", "--json", str(rows), "--page", str(page)])
    assert page.read_text().splitlines() == lines
    assert "status-cells" in capsys.readouterr().out


def test_an_exponent_is_found_and_judged():
    """Planted: 3·n², with a tenth off in turn, beside what is counted as n² and as n³; and what is no power."""
    import growth

    sizes = (10, 20, 40, 80)
    rows = [
        {"what": "planted", "against": "n", "size": n, "cpu_s": 3 * n**2 * 1.1 ** (-1) ** i, "counted": n**2}
        | {"peak_bytes": 5 * n}
        for i, n in enumerate(sizes)
    ]
    seconds, counted, memory = growth.fitted(rows, 4)
    assert abs(seconds.power - 2) < 3 * seconds.error < 0.3
    assert (counted.power, memory.power) == pytest.approx((2, 1))
    assert growth.verdict(seconds, counted) == "as counted"
    assert growth.verdict(seconds, dataclasses.replace(counted, power=3.0)) == "**differs**"
    assert memory.constant == pytest.approx(5)
    assert growth.fitted(rows[2:], 2)[0].error == 0
    with pytest.raises(SystemExit, match=r"planted against n: times are up to a factor of .* from a power of the size"):
        growth.fitted([row | {"cpu_s": row["cpu_s"] * (4 if row["size"] == 20 else 1)} for row in rows], 4)


@pytest.mark.parametrize(
    ("name", "part", "broken", "said"),
    [
        ("kernel-P", "tangent_kernel", lambda net, w, x: torch.ones(1, len(x), len(x)), "an entry of Θ is .* from"),
        ("step-h", "Limits", lambda *given, **_: Limits(*given, max_steps=5), r"\[5\] steps were tried"),
        ("planning-cells", "read_plans", lambda _: ([], []), "the plan has 0 runs of 1"),
        ("status-cells", "command", lambda _: 1, "status finds 1 finished runs of 1"),
    ],
)
def test_growth_of_what_is_wrong_is_no_result(growth, monkeypatch, name, part, broken, said):
    import growth_curves

    monkeypatch.setattr(growth_curves, part, broken)
    with pytest.raises(SystemExit, match=rf"{name}, .* = \d+: {said}.*This is no result"):
        growth.measure(growth.CURVES[name], 1)


def test_growth_of_a_gradient_that_is_wrong_is_no_result(growth, monkeypatch):
    import growth_curves

    whole = growth_curves.NetworkFlow.gradient
    monkeypatch.setattr(growth_curves.NetworkFlow, "gradient", lambda flow, w: whole(flow, w) + 1e-6 * (len(w) > 1))
    with pytest.raises(
        SystemExit, match=r"gradient-members, members = 2: a gradient is .* from the mean of those of two"
    ):
        growth.measure(growth.CURVES["gradient-members"], 1)


def test_speed(monkeypatch, tmp_path):
    import speed

    asked, whole, whole_plant = [], speed.command, speed.plant

    def command(*words, **named):
        """Help as it is; of a training only the question, and of a cell the answer of this process."""
        asked.append(words)
        return whole(*words, **named) if "--help" in words else (1.0, 2.0, "0.003")

    monkeypatch.setattr(speed, "command", command)
    monkeypatch.setattr(speed, "gradients", lambda whole=speed.gradients: whole(6, (4,), 1))
    monkeypatch.setattr(speed, "own_module", lambda whole=speed.own_module: whole(6, (4,), 1))
    small = ["--demo", "--pairs", "1", "--more", "2"]
    speed.main([*small, "--json", str(tmp_path / "s")])
    found = json.loads((tmp_path / "s").read_text())
    assert {
        "gradient h=4, of 3 together, s",
        "kernel h=4, s",
        "kernel h=4, of a module over the built-in",
        "demo again, nothing to train, s",
    } <= set(found)
    assert min(found["help, CPU s"], found["help, 2 options more, CPU s"]) > 0
    assert (found["a run to its first step, 2 options more, CPU s"], found["a cell, CPU s"]) == (2.0, 0.003)
    turns = ["--help", "dynamics.max_steps=1", "--cell", *["options=[planted]"] * 2, "--cell"]
    assert [words[0] for words in asked] == [*turns, *["experiment=demo"] * 2]
    monkeypatch.setattr(speed.Module, "forward", lambda self, x: self.layers[0](x).sum(1))
    with pytest.raises(SystemExit, match="h=4: the module has another gradient than the same network built in"):
        speed.own_module()
    monkeypatch.setattr(speed, "plant", lambda folder, _: whole_plant(folder, 1))
    with pytest.raises(SystemExit, match="The help names 1 of 2 options more"):
        speed.main(small)


def test_speed_of_a_cell(monkeypatch, capsys):
    import speed

    monkeypatch.setattr(speed, "JOBS", 3)
    speed.main(["--cell"])
    assert 0 < float(capsys.readouterr().out) < 1


def test_cost_of_the_article(monkeypatch, capsys):
    """Runs are those of the experiment's header."""
    import article_cost

    class Folder:
        def glob(self, _):
            return [article_cost.ROOT / "conf" / "experiment" / "article" / "fig15.yaml"]

    monkeypatch.setattr(article_cost, "ARTICLE", Folder())
    article_cost.main([])
    name, runs, _, hours, unit = capsys.readouterr().out.split()
    assert (name, unit) == ("fig15", "GPU-hours")
    header = Folder().glob("")[0].read_text()
    assert f"{runs} runs" in header
    assert float(hours) > 0
    monkeypatch.setattr(article_cost, "flops", lambda _: float("nan"))
    with pytest.raises(SystemExit, match="fig15: nan GPU-hours are no cost"):
        article_cost.main([])


def test_tracking(monkeypatch, capsys):
    import tracking

    def run(command, **_):
        folder = command[-1].removeprefix("output_dir=")
        (tracking.Path(folder) / "runs" / "one").mkdir(parents=True)
        (tracking.Path(folder) / "runs" / "one" / "done").touch()

    monkeypatch.setattr(tracking, "CASES", {"one": [*TINY, *QUICK]})
    # A training in a process of its own, twice for each pair.
    monkeypatch.setattr(tracking, "subprocess", SimpleNamespace(run=run))
    whole = tracking.seconds
    monkeypatch.setattr(tracking, "seconds", lambda *given: whole(*given) and (2.0, 1.0))
    tracking.main(["--pairs", "1", "--tracker", "jsonl"])
    assert "more with jsonl" in capsys.readouterr().out
    monkeypatch.setattr(tracking, "subprocess", SimpleNamespace(run=lambda *_, **__: None))
    with pytest.raises(SystemExit, match="no run is complete, so its time says nothing"):
        tracking.main(["--pairs", "1"])


def test_two_commits(monkeypatch, tmp_path, configure):
    """A commit is the same as itself; a changed digit is a difference."""
    import two_commits

    from feature_lazy.runs.batch import build
    from feature_lazy.runs.train import run

    def train(tree, code, overrides, results):
        run(build(dataclasses.replace(configure(*overrides), output_dir=str(results))))

    monkeypatch.setattr(two_commits, "train", train)  # in a process of its own, from a worktree
    monkeypatch.setattr(two_commits, "source", lambda _: "")
    trees = [tmp_path / side for side in ("old", "new")]
    for tree in trees:
        tree.mkdir()
    head = SimpleNamespace(stdout="")
    monkeypatch.setattr(two_commits, "subprocess", SimpleNamespace(run=lambda *_, **__: head))
    overrides = (*TINY, *QUICK, "observe.kernel.probe=0")
    assert two_commits.compare(trees, tmp_path, overrides, tmp_path / "results") == (1, [])
    [path] = (tmp_path / "results" / "new" / "runs").glob("*/history.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1].replace("1", "2", 1)]) + "\n")
    [other] = (tmp_path / "results" / "old" / "runs").glob("*")
    assert list(two_commits.differences(other, path.parent))


def test_kernels_of_another_library():
    pytest.importorskip("neural_tangents", reason=ELSEWHERE["neural_tangents_kernels"])
    import neural_tangents_kernels

    assert neural_tangents_kernels.METHODS
