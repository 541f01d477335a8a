"""Networks that start from a stored run, train some weights or under a regulariser, from configuration to files."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.runs.batch import build
from feature_lazy.runs.from_run import FromRun
from feature_lazy.runs.reading import HISTORY, OUTPUTS, load_run
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import checked
from feature_lazy.settings.schema import from_plain
from tests.conftest import QUICK, TINY, composed

PARENT = (*TINY, *QUICK, "seed=ensemble", "seed.members=2", "observe.weights=ends")
CHILD = (*TINY, "dynamics.stepper=article", "dynamics.eps_gradient=1e-2", "observe.weights=ends")
FINE = ("seed=from_run", "alpha=raw", "alpha.value=1", "centred=false")


def train(*overrides):
    return run(build(composed(*overrides)))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """The folder of two parents, seeds 0 and 1."""
    folder = tmp_path_factory.mktemp("parents")
    assert all(one.done for one in train(*PARENT, f"output_dir={folder}"))
    return folder


@pytest.fixture
def child(pretrained, tmp_path):
    """The overrides of children in a folder of their own."""
    return lambda *more: (*CHILD, *FINE, f"seed.run={pretrained}", f"output_dir={tmp_path / 'child'}", *more)


def parents(folder):
    return sorted((load_run(path) for path in (folder / "runs").iterdir()), key=lambda one: one.columns["seed"])


def contents(stored):
    return [(stored.path / name).read_bytes() for name in (HISTORY, OUTPUTS)], stored.summary


def test_children_start_where_their_parents_ended(child, pretrained):
    made = train(*child("dynamics.t_end=0.5"))
    assert [one.columns["seed"] for one in made] == [0, 1]
    for one, parent in zip(made, parents(pretrained), strict=True):
        start, end = one.weights(0), parent.weights(-1)
        assert all(np.array_equal(start[name], end[name]) for name in end)
        assert one.config["seed"]["parent"] == parent.run_id
        assert one.config["seed"]["checksum"] == parent.manifest["files"]["weights.safetensors"]
        # F = f goes on from the parent's f, and the kernel's change is that of fine-tuning.
        assert one.history["kernel/change"][0] == 0
        assert one.history["weights/change"][0] == 0
        np.testing.assert_allclose(
            one.outputs["f0_test"],
            parent.outputs["f0_test"] + parent.outputs["F_test"] / parent.columns["alpha"],
            rtol=1e-10,
        )


def test_a_child_is_known_by_its_parent_and_not_by_where_that_lies(child, pretrained, tmp_path):
    here = cells(composed(*child()))
    shutil.copytree(pretrained, tmp_path / "elsewhere")
    there = cells(composed(*child(f"seed.run={tmp_path / 'elsewhere'}")))
    assert [cell.run_id for cell in here] == [cell.run_id for cell in there]
    ids = {
        cell.run_id for more in ((), ("seed.at=start",), ("seed.head=new",)) for cell in cells(composed(*child(*more)))
    }
    assert len(ids) == 6
    one = parents(pretrained)[1]
    alone = cells(composed(*child(f"seed.run={one.path}")))
    assert [cell.run_id for cell in alone] == [here[1].run_id]
    # The plan of a job has all that makes the same cell again.
    assert [cell.run_id for cell in cells(from_plain(here[1].resolved))] == [here[1].run_id]


def test_another_run_in_the_parents_place_is_refused(child, pretrained, tmp_path):
    [cell, _] = cells(composed(*child()))
    other = json.loads(json.dumps(cell.resolved))
    other["seed"]["checksum"] = "0" * 64
    with pytest.raises(StoreError, match="holds other weights than those of the run"):
        cells(from_plain(other))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["width.h=9"], ["width h=8 and not 9", "W0 (8, 64), W1 (8, 8), W2 (1, 8)"]),
        (["architecture.depth=3"], ["architecture depth=2 and not 3", "W1 (8, 8)"]),
        (["activation=relu"], ["activation", "kind=softplus and not relu"]),
        (["parametrisation=mup"], ["parametrisation kind=ntk and not mup"]),
    ],
)
def test_another_network_is_refused_before_anything_is_submitted(child, more, words):
    with pytest.raises(ConfigError) as caught:
        validate(composed(*child(*more)))
    assert all(word in str(caught.value) for word in words)


def test_another_input_or_number_of_outputs_is_refused_by_its_layer(child):
    with pytest.raises(ConfigError, match=r"layer W0 is \(8, 64\) in the parent and \(8, 10\) here"):
        train(*child("dataset.pca.components=10"))
    classes = ("labels=classes", "loss=cross_entropy", "dataset.classes=[1,2,3,4]")
    with pytest.raises(
        ConfigError, match=r"layer W2 is \(1, 8\) in the parent and \(4, 8\) here.*seed.head=new or probe"
    ):
        train(*child(*classes))
    [first, _] = train(*child(*classes, "seed.head=new", "dynamics.max_steps=1"))
    assert first.summary["outcome"] == "max_steps"


def test_what_nothing_can_start_from_is_refused(child, pretrained, tmp_path):
    with pytest.raises(StoreError, match="There is no stored run in"):
        cells(composed(*child(f"seed.run={tmp_path}")))
    plain = train(*TINY, *QUICK, f"output_dir={tmp_path / 'plain'}")
    with pytest.raises(ConfigError, match=r"has no weights to start from; train it with observe.weights=ends"):
        validate(composed(*child(f"seed.run={plain[0].path}")))
    train(*TINY, *QUICK, f"output_dir={tmp_path / 'cut'}", "observe.weights=ends", "dynamics.max_steps=1")
    with pytest.raises(StoreError, match="is not complete"):
        cells(composed(*child(f"seed.run={tmp_path / 'cut'}")))


def test_new_head_is_none_that_the_parent_began_with(child, pretrained):
    batch = build(composed(*child("seed.head=new")))
    weights = batch.architecture.layout.unflatten(batch.w0(batch.cells))
    for member, parent in enumerate(parents(pretrained)):
        assert np.array_equal(weights["W1"][member].numpy(), parent.weights(-1)["W1"])
        assert not np.array_equal(weights["W2"][member].numpy(), parent.weights(0)["W2"])
    assert torch.equal(
        weights["W2"], build(composed(*child("seed.head=new"))).w0(batch.cells)[:, -8:].unflatten(1, (1, 8))
    )


@pytest.mark.parametrize(
    "more",
    [
        ["loss=mse"],
        ["labels=classes", "loss=mse", "dataset.classes=[1,2,3]", "dataset.n_train=21", "dataset.n_test=21"],
    ],
)
def test_probed_head_is_the_least_squares_fit(child, more):
    """More patterns than features: the residual is orthogonal to every feature."""
    batch = build(composed(*child("seed.head=probe", *more)))
    net, x = batch.architecture, batch.dataset.x_train
    params = net.layout.unflatten(batch.w0(batch.cells))
    _, taps = net.taps(params, x)
    phi = taps[-1].inputs * taps[-1].scale
    c = batch.dataset.n_outputs
    y = batch.dataset.y_train if c == 1 else torch.nn.functional.one_hot(batch.dataset.y_train, c).double()
    expected = torch.linalg.lstsq(phi, y.reshape(-1, c).expand(2, -1, c), driver="gelsd").solution
    torch.testing.assert_close(params["W2"].mT, expected, rtol=1e-6, atol=1e-8)


def test_predictor_goes_on_from_the_parents(child, pretrained, tmp_path):
    """F at t = 0 is the parent's F at its end, on both sets, whatever α; a child of a child goes on likewise."""
    [one, _] = train(*child("centred=parent", "alpha.value=7", "dynamics.t_end=0.5"))
    parent = parents(pretrained)[0]
    first = parent.summary
    for name in ("train/loss", "test/loss", "train/error", "test/error"):
        assert one.history[name][0] == pytest.approx(first[name], rel=1e-9)
    again = train(
        *CHILD,
        *FINE,
        f"seed.run={one.path}",
        "centred=parent",
        "dynamics.t_end=0.5",
        f"output_dir={tmp_path / 'again'}",
    )[0]
    assert again.history["test/loss"][0] == pytest.approx(one.summary["test/loss"], rel=1e-9)


def test_parent_without_a_predictor_is_refused(child, tmp_path):
    with pytest.raises(ConfigError, match="centred=parent: F_parent is that of the parent's output layer"):
        validate(composed(*child("centred=parent", "seed.head=new")))
    with pytest.raises(ConfigError, match="centred=parent: seed=single has no parent"):
        validate(composed(*TINY, "centred=parent"))
    with pytest.raises(ConfigError, match="centred=halfway: must be true, false or parent"):
        validate(composed(*TINY, "centred=halfway"))


JOBS = {
    "from_run": ["dynamics.t_end=0.5"],
    "parent": ["centred=parent", "dynamics.t_end=0.5"],
    "probe": ["seed.head=probe", "dynamics.t_end=0.5"],
    "linearised": ["dynamics=linearised", "dynamics.stepper=rk32", "dynamics.t_end=0.5"],
    "last": ["dynamics.train=[last]", "dynamics.t_end=0.5", "observe.kernel.layers=true"],
    "distance": [
        "regulariser=distance",
        "regulariser.strength=2",
        "regulariser.tol=1e-2",
        "dynamics.stepper=auto",
        "~dynamics.eps_gradient",
    ],
    "l2": ["regulariser=l2", "regulariser.strength=5", "regulariser.tol=1e-2"],
    "sgd": [
        "dynamics=sgd",
        "dynamics.updates=12",
        "dynamics.check_every=3",
        "dynamics.weight_decay=0.1",
        "dynamics.train=[W1,W2]",
    ],
    "adam": [
        "dynamics=adam",
        "dynamics.updates=12",
        "dynamics.check_every=3",
        "dynamics.weight_decay=0.1",
        "regulariser=output",
    ],
}


def job(child, name):
    """Overrides, without those of the article's stepper where another one is chosen."""
    more = [one for one in JOBS[name] if not one.startswith("~")]
    other = any(one.startswith(("dynamics=", "dynamics.stepper=")) for one in more)
    dropped = ("dynamics.eps_gradient", "dynamics.stepper=article") if other else ()
    return [one for one in child(*more) if not one.startswith(dropped)] if dropped else list(child(*more))


@pytest.mark.parametrize("name", JOBS)
def test_interrupted_and_together_as_whole_and_alone(child, name, pretrained, tmp_path):
    whole = train(*job(child, name), f"output_dir={tmp_path / 'whole'}")
    assert all(one.done for one in whole)
    for budget in (1, 3, 100_000):
        parts = train(*job(child, name), f"dynamics.max_steps={budget}")
    assert [contents(part) for part in parts] == [contents(one) for one in whole]
    [alone] = train(*job(child, name), f"seed.run={parents(pretrained)[1].path}", f"output_dir={tmp_path / 'alone'}")
    assert alone.run_id == whole[1].run_id
    mine, other = ({k: v for k, v in one.summary.items() if isinstance(v, float)} for one in (alone, whole[1]))
    assert mine == pytest.approx(other, rel=1e-7, abs=1e-9, nan_ok=True)


def test_layers_that_stay_do_in_a_run(child):
    [one, _] = train(*job(child, "last"))
    assert not one.history["weights/W0/change"].any()
    assert one.history["weights/W2/change"][-1] > 0
    assert not one.history["kernel/change"].any()  # the kernel of the last layer, whose features stay
    assert {name for name in one.history if name.endswith("/share")} == {"kernel/W2/share"}
    np.testing.assert_allclose(one.history["kernel/W2/share"], 1)


def test_regularised_run_ends_at_rest(child):
    [one, _] = train(*job(child, "distance"))
    assert one.summary["outcome"] == "stationary"


@pytest.mark.parametrize("name", ["l2", "output"])
def test_pull_to_zero_needs_an_uncentred_predictor(name):
    with pytest.raises(ConfigError, match=f"regulariser={name}: it pulls f to 0"):
        validate(composed(*TINY, f"regulariser={name}"))
    with pytest.raises(ConfigError, match=r"dynamics.weight_decay=0.1: it pulls f to 0"):
        validate(composed(*TINY, "dynamics=sgd", "dynamics.weight_decay=0.1"))


def test_what_is_off_is_no_part_of_an_identity():
    [plain] = cells(composed(*TINY))
    same = cells(composed(*TINY, "regulariser=none", "dynamics.train=[all]", "centred=true"))
    assert [cell.run_id for cell in same] == [plain.run_id]
    assert not {"regulariser", "centred"} & set(plain.config)
    assert "train" not in plain.config["dynamics"]


@pytest.mark.parametrize(
    ("given", "added"),
    [
        (["seed=from_run"], ["alpha=raw", "alpha.value=1", "centred=false"]),
        (["seed=from_run", "alpha.value=3"], ["centred=false"]),
        (["seed=from_run", "centred=parent"], ["alpha=raw", "alpha.value=1"]),
        (["seed=single"], []),
    ],
)
def test_command_line_that_fine_tunes_goes_on_from_f(given, added):
    assert checked(given) == [*given, *added]


def test_members_are_options_by_themselves(child, pretrained):
    config = composed(*child())
    assert all(isinstance(one, FromRun) and one.parent for one in config.seed.each())
    assert [dataclasses.replace(one, at="start").seeds() for one in config.seed.each()] == [[0], [1]]


def test_a_plan_names_the_parent_from_anywhere(monkeypatch, pretrained):
    monkeypatch.chdir(pretrained.parent)
    assert FromRun(run=pretrained.name).run == str(pretrained)
    assert FromRun().run == ""


def test_weights_of_low_rank_come_to_a_parent_without_them(child, pretrained):
    made = train(*child("dynamics.t_end=0.5", "architecture.lora=2", "seed.head=new"))
    plain = train(*child("dynamics.t_end=0.5", "seed.head=new"))
    for one, other, parent in zip(made, plain, parents(pretrained), strict=True):
        start, end, before = one.weights(0), one.weights(-1), parent.weights(-1)
        assert all(np.array_equal(start[name], before[name]) for name in ("W0", "W1"))
        assert all(np.array_equal(start[name], end[name]) for name in ("W0", "W1"))
        assert np.array_equal(start["W2"], other.weights(0)["W2"])  # the same new head
        assert not start["B0"].any()
        assert end["B0"].any()
    again = tuple(word for word in child("architecture.lora=2") if not word.startswith(("seed.run", "output_dir")))
    grown = train(*again, f"seed.run={made[0].path}", f"output_dir={made[0].path.parent.parent.parent / 'more'}")
    assert all(np.array_equal(grown[0].weights(0)[name], made[0].weights(-1)[name]) for name in made[0].weights(-1))
    with pytest.raises(ConfigError, match=r"the parent has architecture lora=2 and not None"):
        validate(composed(*child(), f"seed.run={made[0].path}"))
    with pytest.raises(
        ConfigError, match=r"centred=parent: the parent may be without the weights of architecture\.lora"
    ):
        validate(composed(*child("architecture.lora=2", "centred=parent")))
