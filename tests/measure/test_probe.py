"""The kernel on the probe set along a run: what is recorded, and when."""

import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.model import KERNELS_AT_ONCE, NetworkModel, kernel_change
from feature_lazy.kernels import layer_kernels, relative_change, tangent_kernel
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.quantities.kernel import KernelProbe
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from tests.arrays import normal
from tests.conftest import QUICK
from tests.measure.observing import moment, setting

NET = FullyConnected(4, [5, 6], scaled(Softplus(5.0)))
X, Y = normal(7, 4, seed=1), torch.tensor([1.0, -1, 1, -1, 1, -1, 1], dtype=torch.float64)
W0 = torch.cat([NET.layout.flatten({k: v[None] for k, v in NET.init(seed).items()}) for seed in (0, 1)])


STAYS = setting(NET, Dataset(X, Y, X, Y), SoftHinge(), alpha=torch.ones(2).double(), w0=W0, n_test=7)


def observed(w, member, **keys):
    probe = KernelProbe(patterns=7, **keys)
    probe.begin(Moment.first(STAYS))
    return {name.removeprefix("kernel/"): values for name, values in probe.at(moment(STAYS, member, w)).items()}


def test_parts_of_weights_and_eigenvalues():
    member, w = torch.tensor([1, 0]), W0[[1, 0]] + normal(2, W0.shape[1], seed=2) / 10
    found = observed(w, member, layers=True, eigenvalues=3)
    now, then = (NET.layout.unflatten(weights) for weights in (w, W0[member]))
    theta, parts, parts0 = tangent_kernel(NET, now, X), layer_kernels(NET, now, X), layer_kernels(NET, then, X)
    torch.testing.assert_close(found["change"], relative_change(theta, tangent_kernel(NET, then, X)))
    for name, part in parts.items():
        torch.testing.assert_close(found[f"{name}/change"], relative_change(part, parts0[name]))
        traces = [kernel.diagonal(dim1=1, dim2=2).sum(1) for kernel in (part, theta)]
        torch.testing.assert_close(found[f"{name}/share"], traces[0] / traces[1])
    torch.testing.assert_close(sum(found[f"W{layer}/share"] for layer in range(3)), torch.ones(2).double())
    eigenvalues = torch.linalg.eigvalsh(theta).flip(1)
    for i in range(3):
        torch.testing.assert_close(found[f"eigenvalue_{i + 1}"], eigenvalues[:, i])
    assert "eigenvalue_4" not in found


def test_member_that_diverged_does_not_end_the_others():
    w = W0.clone()
    w[1, 0] = math.nan
    found = observed(w, torch.tensor([0, 1]), layers=True, eigenvalues=1)
    for name, values in found.items():
        assert values[0].isfinite(), name
    assert found["change"][1].isnan()
    assert found["eigenvalue_1"][1].isnan()


def test_by_default_only_the_whole_kernel_is_described():
    assert set(observed(W0, torch.tensor([0, 1]))) == {"change", "norm", "mean", "trace", "alignment", "lga"}


@pytest.mark.parametrize("every", [1, 3])
def test_cadence_counts_the_observations_of_each_member(tiny, every):
    """First, every third, and last; every row has all other observables."""
    overrides = ("seed=ensemble", "seed.members=2", f"observe.kernel.every={every}", "observe.per_decade=4")
    for result in run(build(tiny(*QUICK, *overrides))):
        seen = [not math.isnan(value) for value in result.history["kernel/change"]]
        expected = [k % every == 0 for k in range(len(seen))]
        expected[-1] = True
        assert len(seen) > 6
        assert seen == expected
        assert not any(math.isnan(value) for value in result.history["train/loss"])
        assert result.summary["kernel/change"] == result.history["kernel/change"][-1]


def test_layers_and_eigenvalues_by_configuration(tiny):
    (result,) = run(build(tiny(*QUICK, "observe.kernel.layers=true", "observe.kernel.eigenvalues=2")))
    assert result.history["kernel/W2/share"][0] > 0
    assert result.history["kernel/eigenvalue_1"][-1] > result.history["kernel/eigenvalue_2"][-1] > 0


def test_more_eigenvalues_than_patterns_are_refused(tiny):
    with pytest.raises(
        ConfigError, match=r"observe\.kernel\.eigenvalues=11: must be at most observe\.kernel\.probe=10"
    ):
        build(tiny("observe.kernel.eigenvalues=11"))


@pytest.mark.parametrize("patterns", [1, 2, 3, 4, 6, 7])
def test_change_on_whole_sets_block_by_block(patterns):
    """In blocks of so many patterns as at once: only the order of the sum differs."""
    member, w = torch.tensor([1, 0]), W0[[1, 0]] + normal(2, W0.shape[1], seed=2) / 10
    blocks = NetworkModel(NET, KERNELS_AT_ONCE * 2 * 8 * patterns**2)
    whole = kernel_change(NetworkModel(NET), w, W0[member], member, X)
    now, then = (tangent_kernel(NET, NET.layout.unflatten(weights), X) for weights in (w, W0[member]))
    torch.testing.assert_close(whole, relative_change(now, then), rtol=0, atol=0)
    torch.testing.assert_close(kernel_change(blocks, w, W0[member], member, X), whole, rtol=1e-13, atol=0)
