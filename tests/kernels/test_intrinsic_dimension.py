"""Two nearest neighbours find the dimension of sets whose dimension is known."""

import math

import pytest
import torch

from feature_lazy.kernels import intrinsic_dimension, intrinsic_dimension_of_kernel
from tests.arrays import normal

N = 3000


def uniform(d, n=N, seed=0):
    return torch.rand(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sphere(d, n=N, seed=0):
    x = normal(n, d + 1, seed=seed)
    return x / x.norm(dim=1, keepdim=True)


def embedded(x, dimension=20):
    """The same distances among vectors of a larger space, away from its origin."""
    return 3 + x @ torch.linalg.qr(normal(dimension, dimension)).Q[: x.shape[1]]


def expected(d, kept=0.9 * N):
    """The standard error is d/√kept for ratios that are independent; three of them."""
    return pytest.approx(d, rel=3 / math.sqrt(kept))


# Cubes of more dimensions have too many points next to a face, whose neighbours are all on one side.
SETS = {"line": (uniform(1), 1), "square": (uniform(2), 2), "sphere": (sphere(2), 2), "sphere of 5": (sphere(5), 5)}


@pytest.mark.parametrize(("x", "d"), SETS.values(), ids=SETS)
def test_is_that_of_the_set_and_not_of_the_space_around_it(x, d):
    found = intrinsic_dimension(embedded(x))
    assert float(found) == expected(d)
    few = x[:500]  # of more points on a line, a kernel does not resolve the closest
    of_kernel = intrinsic_dimension_of_kernel(few @ few.mT)
    assert float(of_kernel) == pytest.approx(float(intrinsic_dimension(few)), rel=1e-5)


def test_a_density_that_changes_slowly_does_not_matter():
    assert float(intrinsic_dimension(normal(N, 2))) == expected(2)


def test_distances_are_measured_where_products_only_find_them():
    """Pairs a millionth apart, ten millions from the origin: in products both would drown in rounding."""
    x = 1e7 + uniform(2, 50)
    pairs = torch.cat([x, x + 1e-6 * uniform(2, 50, seed=1)])
    squared = torch.cdist(pairs, pairs, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf)
    near = squared.sort(dim=1).values[:, :2]
    by_differences = (len(pairs) - 1) / float((near[:, 1] / near[:, 0]).log().sum())
    assert float(intrinsic_dimension(pairs, discard=0)) == pytest.approx(by_differences, rel=1e-6)


def test_estimate_by_hand():
    """Points 0, 1, 3, 7 of a line have r₂/r₁ = 3, 2, 3/2, 3/2 (1: 1 and 2; 3: 2 and 3; 7: 4 and 6)."""
    x = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)
    logs = [math.log(r) for r in (1.5, 1.5, 2, 3)]
    assert float(intrinsic_dimension(x, discard=0)) == pytest.approx(3 / sum(logs))
    # Two of four kept: the others count as much as the larger of the kept.
    assert float(intrinsic_dimension(x, discard=0.5)) == pytest.approx(1 / (4 * logs[1]))


def test_is_free_of_bias_and_has_the_error_that_is_said():
    """Over many small sets, of which 10 % is censored."""
    n, sets, kept = 100, 400, 90
    found = intrinsic_dimension(torch.stack([sphere(2, n, seed) for seed in range(sets)]))
    assert found.shape == (sets,)
    # Ratios of neighbours are not independent: their mean is that of d, their scatter somewhat above.
    assert float(found.mean()) == pytest.approx(2, abs=4 * 2 / math.sqrt(kept * sets))
    assert 1 <= float(found.std()) / (2 / math.sqrt(kept)) <= 1.3


def test_members_are_apart():
    x = torch.stack([embedded(uniform(1, 200)), embedded(sphere(3, 200))])
    each = torch.stack([intrinsic_dimension(x[0]), intrinsic_dimension(x[1])])
    torch.testing.assert_close(intrinsic_dimension(x), each)
    theta = x @ x.mT
    torch.testing.assert_close(intrinsic_dimension_of_kernel(theta), each, rtol=1e-5, atol=0)


@pytest.mark.parametrize("memory_limit", [1, 40_000, math.inf])
def test_does_not_depend_on_the_memory_limit(memory_limit):
    x = embedded(sphere(3, 150))
    whole = intrinsic_dimension(x)
    torch.testing.assert_close(intrinsic_dimension(x, memory_limit=memory_limit), whole)
    found = intrinsic_dimension_of_kernel(x @ x.mT, memory_limit=memory_limit)
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=0)


def test_a_kernel_does_not_resolve_what_its_rounding_hides():
    x = uniform(3, 50)
    x[1] = x[0]
    theta = x @ x.mT
    for ulps, hidden in ((10, True), (1000, False)):
        theta[0, 1] = theta[1, 0] = theta[0, 0] * (1 - ulps * torch.finfo(theta.dtype).eps)
        if hidden:
            with pytest.raises(ValueError, match="patterns 0 and 1 are the same up to rounding"):
                intrinsic_dimension_of_kernel(theta)
        else:
            assert intrinsic_dimension_of_kernel(theta).isfinite()


def copies(n=30):
    x = embedded(uniform(3, n))
    x[17] = x[4]
    return torch.stack([embedded(uniform(3, n, seed=1)), x])


def lattice():
    return torch.cartesian_prod(*[torch.arange(5.0, dtype=torch.float64)] * 2)


def with_nan():
    x = uniform(2, 10)
    x[3, 1] = math.nan
    return x


REFUSED = {
    "copies": (copies(), "patterns (4 and 17|17 and 4) are the same"),
    "lattice": (lattice(), "100% .* lattice"),
    "two": (uniform(2, 2), "three"),
    "nan": (with_nan(), "infinities or NaN"),
}


@pytest.mark.parametrize(("x", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("memory_limit", [1, math.inf])
def test_what_has_no_dimension_is_refused(x, message, memory_limit):
    with pytest.raises(ValueError, match=message):
        intrinsic_dimension(x, memory_limit=memory_limit)
    with pytest.raises(ValueError, match=message):
        intrinsic_dimension_of_kernel(x @ x.mT, memory_limit=memory_limit)


@pytest.mark.parametrize("discard", [-0.1, 0.99, 1.0, math.nan])
def test_shares_that_leave_nothing_are_refused(discard):
    with pytest.raises(ValueError, match="discard"):
        intrinsic_dimension(uniform(2, 20), discard=discard)


def test_a_vector_is_no_set_of_patterns():
    with pytest.raises(ValueError, match="shape"):
        intrinsic_dimension(uniform(1, 5)[:, 0])
