"""Tensors are known again by a few numbers, up to rounding, wherever on a grid they lie."""

import json

import pytest
import torch

from feature_lazy.core.fingerprints import EDGES, GRID, HALF, Fingerprint, shared_names
from tests.arrays import normal

X, Y = normal(40, 9), torch.ones(1000, dtype=torch.float64)
BEFORE = {
    "f31b525a79087ab2": Fingerprint.of(X),
    "1f876dd85e82d50b": Fingerprint.of(X, Y),
    "5678ce70101d51dd": Fingerprint.of(torch.zeros(3)),
    "c3b9fc33c6720c0f": Fingerprint.of(X.float()),
    "ca7f73d05e67f854": Fingerprint.of(X[:0]),
    "9068f1118f88a5f3": Fingerprint.of(X[0], tolerance=2.0**-13, grid=2.0**-13),
    "7a3226b6b15cc601": Fingerprint.of(X[0].float(), grid=torch.finfo(torch.float32).eps ** 0.25),
}
"""As stored before there were numbers, by the code of then."""


def moved(x, by, seed=1):
    """The same but for a change of a relative size at random."""
    change = normal(*x.shape, seed=seed)
    return x + by * change * x.norm() / change.norm()


def with_numbers(one, change):
    """The same with its projections changed."""
    tensors = tuple((shape, (norm, *(change(p) for p in rest))) for shape, (norm, *rest) in one.tensors)
    return Fingerprint(tensors, one.tolerance, one.grid)


def test_what_rounds_differently_is_the_same_and_what_differs_is_not():
    known = Fingerprint.of(X)
    for seed in range(1, 50):
        assert Fingerprint.of(moved(X, HALF / 10, seed)).agrees(str(known))
        assert not Fingerprint.of(moved(X, 100 * HALF, seed)).agrees(str(known))
    swapped, other = Y.clone(), Y.clone()
    swapped[[10, 20]] = -1
    other[[10, 21]] = -1
    different = [(X,), (X.flatten(),), (X, Y), (X, swapped), (X, other), (X.flip(0),), (2 * X,), (0 * X,)]
    for i, one in enumerate(different):
        for j, two in enumerate(different):
            assert Fingerprint.of(*one).agrees(str(Fingerprint.of(*two))) is (i == j)


def test_tolerance_is_that_of_what_the_numbers_were_computed_in():
    """A unit in the last place of single precision, here and there: what two libraries make of one logarithm."""
    weights = X.float()
    last = torch.where(normal(40, 9, seed=3) > 1, torch.nextafter(weights, weights + 1), weights)
    assert not torch.equal(last, weights)
    single = torch.finfo(torch.float32).eps ** 0.5
    assert Fingerprint.of(last, tolerance=single).agrees(str(Fingerprint.of(weights)))
    assert not Fingerprint.of(moved(weights, 100 * single), tolerance=single).agrees(str(Fingerprint.of(weights)))


@pytest.mark.parametrize("name", BEFORE)
def test_names_are_those_of_before(name):
    assert BEFORE[name].name == name
    assert BEFORE[name].agrees(name)
    assert not BEFORE[name].agrees("0" * 16)


def test_a_number_on_an_edge_of_the_grid_has_been_rounded_to_either_side():
    """What was refused once in 10⁴: the number of here is above, and that of there below."""
    known = Fingerprint.of(X, Y)
    below, above = (with_numbers(known, lambda p, d=d: (round(p / GRID) + 0.5 + d) * GRID) for d in (-1e-5, 1e-5))
    assert below.name != above.name
    assert above.agrees(below.name)
    assert below.agrees(above.name)
    assert not with_numbers(known, lambda p: (round(p / GRID) + 0.4) * GRID).agrees(above.name)
    assert len(set(above._names())) == 2**EDGES


def test_norms_have_edges_too():
    def of_norm(norm):
        return Fingerprint(tuple((shape, (norm, *rest)) for shape, (_, *rest) in Fingerprint.of(X).tensors))

    assert of_norm(1.23456785 * (1 + 1e-12)).agrees(of_norm(1.23456785 * (1 - 1e-12)).name)
    assert not of_norm(1.2345679).agrees(of_norm(1.2345678).name)


def test_read_again_it_is_what_it_was():
    nan = torch.tensor([torch.nan, 1.0])
    odd = Fingerprint.of(X, torch.tensor(3.0), nan, torch.zeros(0, 4))
    assert str(Fingerprint.read(str(odd))) == str(odd)
    assert odd.agrees(str(odd))
    assert not Fingerprint.of(X, torch.tensor(3.0), torch.ones(2), torch.zeros(0, 4)).agrees(str(odd))


@pytest.mark.parametrize(
    "text", ["", "-", "40x9", "40x9 1 2 3 4 x", "40x9 1 2 3 4 5 6", f"{'9' * 99} 1 2 3 4 5", "x 1 2 3 4 5"]
)
def test_what_is_no_fingerprint_is_no_error(text):
    assert Fingerprint.read(text) is None
    assert not Fingerprint.of(X).agrees(text)
    assert shared_names([text]) == {text: text}


def test_those_that_agree_share_a_name():
    one, near, other = (str(Fingerprint.of(x)) for x in (X, moved(X, HALF / 10), moved(X, 1e-5)))
    name = Fingerprint.of(X).name
    found = shared_names([name, one, near, other, "ffff"])
    assert found[one] == found[near]
    assert found[name] in (found[one], name)
    assert found[other] not in (found[one], name)
    assert shared_names([name, one]) == {one: name, name: name}
    assert found["ffff"] == "ffff"
    known = Fingerprint.of(X)
    below, above = (with_numbers(known, lambda p, d=d: (round(p / GRID) + 0.5 + d) * GRID) for d in (-1e-5, 1e-5))
    assert len(set(shared_names([str(below), str(above)]).values())) == 1  # though alone they have names of their own


def test_it_is_text_in_a_manifest():
    assert json.loads(json.dumps({"data": str(Fingerprint.of(X))}))["data"] == str(Fingerprint.of(X))
