"""What every option has to keep, found by the registry and tried on its ``smallest()`` job.

The kernel is that of the Jacobian, members together are each alone, a run that was stopped goes on bit for bit, its id
is that of the configuration it stores, and a key outside of its range is refused.
"""

import dataclasses
import re
from functools import cache
from tempfile import mkdtemp

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import jacobian_kernel, tangent_kernel
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings import registry
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import ALSO
from feature_lazy.settings.schema import from_plain
from tests.conftest import QUICK, composed

OWN_CODE = {"custom"}
"""Options that are only as good as a target of the user's own."""
QUICK_DATA = (
    "digits",
    "teacher_student",
    "stripe",
    "sparse_parity",
    "spheres",
    "quadratic",
    "shortcut",
    "circle",
    "score",
    "signal",
    "permutation",
    "multicircle",
)
"""Data that need no download and are there at once: of a run they decide no more than its numbers."""
SMALL = (
    "dataset.n_train=20",
    "dataset.n_test=20",
    "width.h=5",
    "observe.kernel.probe=6",
    "observe.per_decade=1",
    "observe.kernel.final=false",
)
TRAINED = (
    *("architecture", "activation", "loss", "regulariser", "prior", "dynamics", "parametrisation", "labels", "observe"),
    *(ALSO, "dataset"),
)
BOTH = ("seed=ensemble", "seed.members=2")
SECOND = ("seed.first=1", "seed.members=1")
BUDGET, STOP = 12, 5
"""Steps of a run, and after how many it is stopped."""


def options(*groups):
    """Every option of some groups that needs nothing of a user's own and no download."""
    found = []
    for group in groups:
        for name, made in registry.options(group).items():
            if name not in OWN_CODE and (group != "dataset" or name in QUICK_DATA):
                found.append(pytest.param(group, name, made, id=f"{group}={name}"))
    return found


def every(*groups):
    return pytest.mark.parametrize(("group", "name", "made"), options(*groups))


def smallest(group, name, made, *more):
    """The configuration of its smallest job: what the option asks for comes after what is small for all."""
    # A network of convolutions takes its time with each pattern.
    depth = ("dataset.n_train=8", "width.h=3") if group == "architecture" else ("architecture.depth=2",)
    own = group == "dynamics" or any(word.startswith("dynamics=") for word in made.smallest())
    depth += () if own else QUICK  # how well the flow is followed plays no part
    probes = [f"observe.also.{name}.probe=6"] if "probe" in {f.name for f in dataclasses.fields(made)} else []
    chosen = [f"{group}=[{name}]", *probes] if group == ALSO else [f"{group}={name}"]
    taught = [f"labels.teacher={teacher()}"] if "labels=distilled" in [*chosen, *made.smallest()] else []
    return composed(*chosen, "alpha.value=10", *SMALL, *depth, *BOTH, *made.smallest(), *taught, *more)


@cache
def teacher():
    """A stored run, for labels that are of one."""
    folder = mkdtemp()
    train_config(composed("alpha.value=10", *SMALL, *QUICK, "observe.weights=ends", f"output_dir={folder}"))
    return folder


@every("architecture", "activation", "parametrisation")
def test_kernel_is_that_of_the_jacobian(group, name, made):
    batch = build(smallest(group, name, made))
    net, x = batch.architecture, batch.dataset.x_train[:3]
    params = {key: weight[None] for key, weight in net.init(0).items()}
    exact, jacobian = (kernel(net, params, x) for kernel in (tangent_kernel, jacobian_kernel))
    torch.testing.assert_close(exact, jacobian, rtol=1e-10, atol=1e-10 * float(exact.abs().max()))


def history(config):
    """Observations of the runs of a job, by id, after it is trained as far as it asks for."""
    ids = train_config(config)
    store = Store(config.output_dir)
    return {one: store.load(one) for one in ids}


@every(*TRAINED)
def test_together_is_alone_and_stopped_is_whole(group, name, made, tmp_path):
    """Two members side by side; the second by itself; and both stopped after a few steps and gone on with."""

    def job(folder, *more):
        return smallest(group, name, made, f"output_dir={tmp_path / folder}", f"dynamics.max_steps={BUDGET}", *more)

    together = history(job("together"))
    [(alone_id, alone)] = history(job("alone", *SECOND)).items()
    assert alone_id == list(together)[1]
    run = together[alone_id]
    assert len(alone.history["t"]) == len(run.history["t"])
    for column, values in run.history.items():
        # Members leave no trace but rounding, which a few steps of a trained network make no larger than this.
        torch.testing.assert_close(
            torch.tensor(alone.history[column]), torch.tensor(values), rtol=1e-6, atol=1e-8, equal_nan=True
        )
    # What is stored is enough to train it again, under the same id.
    assert [cell.run_id for cell in cells(from_plain(run.manifest["resolved"]))] == [alone_id]
    history(job("parts", f"dynamics.max_steps={STOP}"))
    for run_id, parts in history(job("parts")).items():
        whole = together[run_id]
        assert parts.done == whole.done
        assert parts.rows == whole.rows or repr(parts.rows) == repr(whole.rows)  # NaN is not equal to itself


def bounded(made):
    """Numbers among the keys of an option that have a least value, each with one that is below it."""
    for f in dataclasses.fields(made):
        above, least = f.metadata.get("gt"), f.metadata.get("ge")
        if f.type in (int, float) and (above is not None or least is not None):
            yield f.name, f.type(least - 1 if above is None else above)


@every(*TRAINED)
def test_a_value_out_of_its_range_is_refused(group, name, made):
    config = smallest(group, name, made)
    validate(config)
    chosen = config.observe.also[name] if group == ALSO else getattr(config, group)
    for key, wrong in bounded(made):
        right = getattr(chosen, key)
        setattr(chosen, key, wrong)
        path = f"observe.also.{name}.{key}" if group == ALSO else f"{group}.{key}"
        with pytest.raises(ConfigError, match=re.escape(f"{path}=")):
            validate(config)
        setattr(chosen, key, right)
