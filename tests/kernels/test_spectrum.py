"""Eigenvalues of a kernel and what is read off them, for spectra that are known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.kernels import effective_rank, participation_ratio, spectral_decay, spectrum, top_eigenvalues
from tests.arrays import close, gram, rotation


def with_eigenvalues(*rows, seed=0):
    """Kernels of given eigenvalues, one for each row, in rotated axes."""
    values = torch.tensor(rows, dtype=torch.float64)
    q = rotation(values.shape[1], seed)
    return q @ torch.diag_embed(values) @ q.T


def test_spectrum_descends():
    close(spectrum(with_eigenvalues([1, 5, 0, 2], [3, 3, 3, 7])).flatten(), [5, 2, 1, 0, 7, 3, 3, 3])


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_ranks_of_a_flat_spectrum(rank):
    theta = with_eigenvalues([2.5] * rank + [0] * (8 - rank))
    close(effective_rank(spectrum(theta)), [rank])
    close(participation_ratio(theta), [rank])


def test_ranks_by_hand():
    """Shares ½, ¼, ¼: entropy 1.5 ln 2, and Σp² = 3/8."""
    theta = with_eigenvalues([2, 1, 1], [1, 0, 0])
    close(effective_rank(spectrum(theta)), [2**1.5, 1])
    close(participation_ratio(theta), [8 / 3, 1])


@given(st.integers(0, 2**32 - 1), st.floats(1e-8, 1e8))
def test_ranks_are_ordered_bounded_and_without_scale(seed, scale):
    theta = gram(2, 9, 5, seed=seed)
    effective, participation = effective_rank(spectrum(theta)), participation_ratio(theta)
    assert (participation >= 1).all()
    assert (participation <= effective + 1e-9).all()
    assert (effective <= 5 + 1e-6).all()
    close(effective_rank(spectrum(scale * theta)), effective.tolist(), 1e-6)
    close(participation_ratio(scale * theta), participation.tolist())


def test_decay_of_power_laws():
    rank = torch.arange(1, 61, dtype=torch.float64)
    eigenvalues = torch.stack([7 * rank**-1.5, rank**-0.4])
    close(spectral_decay(eigenvalues, (1, 60)), [1.5, 0.4])
    close(spectral_decay(spectrum(torch.diag_embed(eigenvalues)), (3, 50)), [1.5, 0.4])


def test_decay_is_fitted_in_its_range_alone():
    rank = torch.arange(1, 41, dtype=torch.float64)
    eigenvalues = rank**-2
    eigenvalues[:4] *= 10
    eigenvalues[20:] *= 1e-3
    close(spectral_decay(eigenvalues[None], (5, 20)), [2])
    for wider in ((4, 20), (5, 21)):
        assert abs(float(spectral_decay(eigenvalues[None], wider)) - 2) > 0.1


@pytest.mark.parametrize("n", [60, 600], ids=["dense", "arpack"])
def test_top_eigenvalues_of_matrices(n):
    theta = gram(2, n, 25)
    found = top_eigenvalues(theta, 5)
    close(found.flatten(), spectrum(theta)[:, :5].flatten().tolist())
    close(top_eigenvalues(theta[0], 5), found[0].tolist())
    assert torch.equal(found, top_eigenvalues(theta, 5))


def test_arpack_starts_where_a_learnt_kernel_is_seen():
    """Balanced labels are orthogonal to the vector of ones."""
    y = torch.tensor([1.0, -1.0] * 300, dtype=torch.float64)
    close(top_eigenvalues(torch.outer(y, y)[None], 1).flatten(), [600])


GOOD = gram(2, 6, 6)
BAD = GOOD.index_put((torch.tensor(1), torch.tensor(2), torch.tensor(2)), torch.tensor(math.nan).double())


@pytest.mark.parametrize("function", [spectrum, participation_ratio, lambda theta: top_eigenvalues(theta, 2)])
def test_kernels_that_are_not_finite_or_not_square_are_refused(function):
    function(GOOD)
    with pytest.raises(ValueError, match="infinities or NaN"):
        function(BAD)
    with pytest.raises(ValueError, match="shape"):
        function(GOOD[:, :5])


DESCENDING = torch.tensor([[4.0, 2.0, 1.0, 1e-17]], dtype=torch.float64)
REFUSED = {
    "participation of zero": (lambda: participation_ratio(0 * GOOD), "zero"),
    "effective rank of zero": (lambda: effective_rank(0 * DESCENDING), "zero"),
    "effective rank of negatives": (lambda: effective_rank(DESCENDING - 1.5), "negative"),
    "effective rank of infinity": (lambda: effective_rank(DESCENDING / 0), "infinities"),
    "decay of ascending": (lambda: spectral_decay(DESCENDING.flip(1), (1, 3)), "descend"),
    "decay of rounding": (lambda: spectral_decay(DESCENDING, (1, 4)), "rank 4 is rounding"),
    "decay of NaN": (lambda: spectral_decay(DESCENDING * math.nan, (1, 3)), "infinities"),
    "decay over one rank": (lambda: spectral_decay(DESCENDING, (2, 2)), "ranks"),
    "decay from rank 0": (lambda: spectral_decay(DESCENDING, (0, 3)), "ranks"),
    "decay beyond the last": (lambda: spectral_decay(DESCENDING, (1, 5)), "ranks"),
    "no eigenvalues": (lambda: top_eigenvalues(GOOD, 0), "from 1 to 6"),
    "too many eigenvalues": (lambda: top_eigenvalues(GOOD, 7), "from 1 to 6"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
