"""Observables that are chosen: their values, when they are due, what they share, and what is refused."""

import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.kernels import cka, effective_rank, tangent_kernel
from feature_lazy.measure.moment import Setting
from feature_lazy.measure.observer import Observer, default_set
from feature_lazy.measure.quantities import QUANTITIES
from feature_lazy.measure.quantities.alignment import Cka
from feature_lazy.measure.quantities.features import Features
from feature_lazy.measure.quantities.spectrum import Spectrum
from feature_lazy.measure.quantity import quantity_of
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.observing import KernelObservation
from feature_lazy.settings.overrides import checked
from tests.arrays import normal
from tests.conftest import QUICK
from tests.measure.observing import columns, moment, setting

NET = FullyConnected(4, [5, 6], scaled(Softplus(5.0)))
X, Y = normal(7, 4, seed=1), torch.tensor([1.0, -1, 1, -1, 1, -1, 1], dtype=torch.float64)
W0 = torch.cat([NET.layout.flatten({k: v[None] for k, v in NET.init(seed).items()}) for seed in (0, 1)])
STAYS = setting(NET, Dataset(X, Y, X, Y), SoftHinge(), alpha=torch.ones(2).double(), w0=W0, n_test=7)
MEMBER = torch.tensor([1, 0])
MOVED = W0[MEMBER] + normal(2, W0.shape[1], seed=2) / 10
ALSO = ("observe/also=[cka,spectrum,features]", *(f"observe.also.{n}.probe=8" for n in ("cka", "spectrum", "features")))


def observed(one, w=MOVED):
    """What an observable says of members 1 and 0."""
    return columns(Observer(STAYS, [], {"x": one}).observe(moment(STAYS, MEMBER, w)))


def theta(w, x):
    return tangent_kernel(NET, NET.layout.unflatten(w), x)


def test_cka():
    found = observed(Cka(probe=5))
    torch.testing.assert_close(found["cka"], cka(theta(MOVED, X[:5]), theta(W0[MEMBER], X[:5])))
    assert (found["cka"] < 1 - 1e-6).all()
    torch.testing.assert_close(observed(Cka(), W0[MEMBER])["cka"], torch.ones(2).double())


def test_label_gradient_alignment_without_some_weights():
    """That of Θ less their parts, each written out from the Jacobian; last is the output layer."""
    kernel = KernelObservation(probe=5, layers=True, lga_without=["last"])
    found = columns(Observer(STAYS, default_set(kernel), {}).observe(moment(STAYS, MEMBER, MOVED)))
    same = torch.where(Y[:5, None] == Y[:5], 1.0, -1.0)
    for row, w in enumerate(MOVED):
        jacobian = torch.autograd.functional.jacobian(lambda v: NET.apply(NET.layout.unflatten(v[None]), X[:5])[0], w)
        last = NET.layout.sizes[-1]
        for name, part in (("lga", jacobian), ("lga_without", jacobian[:, :-last])):
            entries = torch.stack([(part @ part.T).flatten(), same.flatten().double()])
            torch.testing.assert_close(found[f"kernel/{name}"][row], torch.corrcoef(entries)[0, 1])
    named = Observer(STAYS, default_set(KernelObservation(probe=5, layers=True, lga_without=["W2"])), {})
    again = columns(named.observe(moment(STAYS, MEMBER, MOVED)))
    torch.testing.assert_close(again["kernel/lga_without"], found["kernel/lga_without"])
    with pytest.raises(ConfigError, match="no weight 'W7' is trained; there are W0, W1, W2, and last"):
        Observer(STAYS, default_set(KernelObservation(probe=5, layers=True, lga_without=["W7"])), {})


def test_weights_are_left_out_of_their_parts_alone(tiny):
    with pytest.raises(ConfigError, match=r"lga_without=\[last\]: needs each weight's part; set observe.kernel.layers"):
        validate(tiny("observe.kernel.lga_without=[last]"))


def test_spectrum():
    found = observed(Spectrum(probe=5, top=2))
    eigenvalues = torch.linalg.eigvalsh(theta(MOVED, X[:5])).flip(1)
    torch.testing.assert_close(found["spectrum/eigenvalue_1"], eigenvalues[:, 0])
    torch.testing.assert_close(found["spectrum/eigenvalue_2"], eigenvalues[:, 1])
    assert "spectrum/eigenvalue_3" not in found
    torch.testing.assert_close(found["spectrum/effective_rank"], effective_rank(eigenvalues))


def test_features():
    found = observed(Features(probe=5))
    first = [NET.layout.unflatten(w)["W0"] for w in (MOVED, W0[MEMBER])]
    z, z0 = (torch.einsum("pi,ehi->eph", X[:5], w) for w in first)
    expected = (z - z0).flatten(1).norm(dim=1) / z0.flatten(1).norm(dim=1)
    torch.testing.assert_close(found["features/W0/change"], expected)
    f, f0 = (NET.apply(NET.layout.unflatten(w), X[:5]) for w in (MOVED, W0[MEMBER]))
    torch.testing.assert_close(found["features/W2/change"], (f - f0).norm(dim=1) / f0.norm(dim=1))


@pytest.mark.parametrize("one", [Cka(), Spectrum(), Features()], ids=lambda one: one.kind)
def test_a_member_that_diverged_does_not_end_the_others(one):
    w = MOVED.clone()
    w[0] = math.nan
    for name, values in observed(one, w).items():
        assert values[0].isnan(), name
        assert values[1].isfinite(), name


class Counting:
    """A network that counts how often it is asked."""

    def __init__(self):
        self.model, self.asked = NetworkModel(NET), []

    def __getattr__(self, name):
        def count(*arguments):
            self.asked.append(name)
            return getattr(self.model, name)(*arguments)

        return getattr(self.model, name) if name in ("architecture", "memory_limit") else count


def test_nothing_is_computed_twice():
    model = Counting()
    stays = Setting(STAYS.flow, model, STAYS.data, W0, 7)
    also = {"cka": Cka(probe=5), "spectrum": Spectrum(probe=5)}
    observer = Observer(stays, default_set(KernelObservation(probe=5, eigenvalues=1, final=False)), also)
    assert model.asked == ["kernel"]
    now = moment(stays, MEMBER[:1], MOVED[:1])
    observer.observe(now)
    # f₀ of the test set, once for all; f₀ of the training set is the flow's.
    assert sorted(model.asked) == ["f", "f", "f", "kernel", "kernel"]
    observer.end(now)
    observer.observe(moment(stays, MEMBER, MOVED))
    assert sorted(model.asked) == ["f"] * 5 + ["kernel"] * 3


def test_part_of_a_moment_keeps_what_was_computed():
    whole = moment(STAYS, MEMBER, MOVED)
    assert (whole.F_test.shape, whole.kernel(X[:3]).shape) == ((2, 7), (2, 3, 3))
    part = whole.select(torch.tensor([False, True]))
    assert (part.member.tolist(), torch.equal(part.weights, MOVED[1:])) == ([0], True)
    assert torch.equal(vars(part)["F_test"], whole.F_test[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkModel, "kernel", None)
        assert torch.equal(part.kernel(X[:3]), whole.kernel(X[:3])[1:])


class Constant(Observable):
    def __init__(self, **found):
        super().__init__()
        self.found = found

    def at(self, moment):
        return self.found


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"weights/norm": MOVED[:, 0]}, "weights/norm is recorded by the default set already"),
        ({"t": MOVED[:, 0]}, "t is recorded by the default set already"),
        ({"h": MOVED[:, 0]}, "h is recorded by the default set already"),
        ({"x": MOVED}, r"x has the shape \(2, 56\); it must be a tensor \(2,\)"),
        ({"x": 3.0}, r"x is 3\.0; it must be a tensor"),
    ],
    ids=["default", "time", "table", "shape", "number"],
)
def test_a_column_of_another_or_of_another_shape_is_refused(found, message):
    observer = Observer(STAYS, default_set(KernelObservation()), {"mine": Constant(**found)}, taken=["h"])
    with pytest.raises(ConfigError, match=r"observe/also=\[mine\]: " + message):
        observer.observe(moment(STAYS, MEMBER, MOVED))


def test_what_is_chosen_is_recorded_and_changes_neither_id_nor_numbers(tiny, tmp_path):
    plain, more = tiny(*QUICK), tiny(*QUICK, *ALSO, f"output_dir={tmp_path / 'more'}")
    validate(more)
    assert [cell.run_id for cell in cells(plain)] == [cell.run_id for cell in cells(more)]
    [before], [after] = run(build(plain)), run(build(more))
    names = set(after.history) - set(before.history)
    assert {"cka", "spectrum/eigenvalue_5", "features/W1/change"} <= names
    assert [{k: v for k, v in row.items() if k not in names} for row in after.rows] == before.rows
    assert after.summary["cka"] == after.history["cka"][-1]
    assert after.history["cka"][0] == pytest.approx(1)
    assert after.history["features/W0/change"][0] == 0
    assert quantity_of("spectrum/eigenvalue_5", after.quantities).label == "eigenvalue λ of Θ"
    assert {**QUANTITIES, **Cka.quantities}.items() <= after.quantities.items()
    assert before.quantities == QUANTITIES


def test_every_column_of_a_run_has_a_quantity(tiny):
    kernel = ("observe.kernel.layers=true", "observe.kernel.eigenvalues=2")
    [result] = run(build(tiny(*QUICK, *ALSO, *kernel)))
    names, known = {*result.history, *result.summary}, result.quantities
    untold = {name for name in names if quantity_of(name, known).label == name}
    assert untold == {"outcome", "steps", "gradients", "kernels"}  # words that say it


@pytest.mark.parametrize("every", [1, 3])
def test_cadence_is_each_observable_s_own(tiny, every):
    overrides = ("seed=ensemble", "seed.members=2", "observe.per_decade=4", f"observe.also.spectrum.every={every}")
    for result in run(build(tiny(*QUICK, *ALSO, *overrides))):
        length = len(result.rows)
        seen = [k for k, row in enumerate(result.rows) if "spectrum/effective_rank" in row]
        assert seen == sorted({*range(0, length, every), length - 1})
        assert all("cka" in row for row in result.rows)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["observe/also=[ckaa]"], r"observe/also=ckaa: there is no such option.* Did you mean cka\?"),
        (["observe.also.cka.every=3"], r"cka is not observed; choose it: observe/also=\[cka\]\."),
        (["+observe.also.cka.every=3"], r"cka is not observed; choose it: observe/also=\[cka\]\."),
        (["+observe.also.x.every=3"], "observe/also=x: there is no such option"),
        (["observe/also=[spectrum]", "observe.also.cka.every=3"], r"choose it: observe/also=\[spectrum,cka\]"),
        (["observe/also=[cka]", "observe.also.cka.evry=3"], r"no key 'evry' in 'observe.also.cka'.*mean every"),
        (["observe.also={cka: {}}"], "observables are chosen by name"),
    ],
)
def test_a_command_line_that_would_not_be_heard_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        checked(overrides)


def test_keys_of_what_is_chosen_pass():
    line = ["observe/also=[cka,spectrum],[cka]", "observe.also.cka.every=2,3"]
    assert checked(line) == line


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        # Keys alone: added by hand, or of an option of an experiment that the command line has replaced.
        (["+observe.also.x.every=3"], r"observe.also.x: it is not chosen; choose it: observe/also=\[x\]\."),
        (
            ["observe/also=[spectrum]", "+observe.also.cka.every=3"],
            r"observe.also.cka: it is not chosen; choose it: observe/also=\[spectrum,cka\]\.",
        ),
        (["observe/also=[cka]", "observe.also.cka.every=0"], r"observe.also.cka.every=0: must be at least 1\."),
        (
            ["observe/also=[cka]", "observe.also.cka.probe=30"],
            r"observe.also.cka.probe=30: must be at most .*n_test=20",
        ),
        (
            ["observe/also=[spectrum]", "observe.also.spectrum.probe=3", "observe.also.spectrum.top=5"],
            r"top=5: must be at most .*probe=3\.",
        ),
        (["observe/also=[custom]"], r"observe.also.custom.targets=\{\}: name your own observables"),
        (
            ["observe/also=[custom]", "observe.also.custom.targets={a: nowhere.f}"],
            "targets.a=nowhere.f: there is no mod",
        ),
    ],
)
def test_a_configuration_that_would_not_be_heard_is_refused(tiny, overrides, message):
    with pytest.raises(ConfigError, match=message):
        validate(tiny(*overrides))


def test_a_choice_twice_is_one(tiny):
    assert list(tiny("observe/also=[cka,cka]").observe.also) == ["cka"]


def test_the_features_of_a_linearised_network_are_refused(tiny):
    with pytest.raises(ConfigError, match=r"a linearised network has the features of t = 0"):
        run(build(tiny("dynamics=linearised", "observe/also=[features]", "observe.also.features.probe=8")))
