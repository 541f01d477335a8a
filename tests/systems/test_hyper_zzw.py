"""One operator of HyperZZW: f and its kernel, its degree, where it begins, and what is refused."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.activations import Scaled, Tanh, scaled
from feature_lazy.runs.batch import build
from feature_lazy.settings.checks import validate
from feature_lazy.systems.hyper_zzw.network import HyperZzw
from tests.conftest import composed
from tests.systems.reference import reference

JOB = ("architecture=hyperzzw", "dataset.n_train=10", "dataset.n_test=10", "width.h=3", "observe.kernel.probe=6")
CASES = {"slow": {"hidden": 2}, "table": {"hidden": 0}, "alone": {"hidden": 0, "context": False}}


def small(name):
    return HyperZzw((2, 4, 4), 3, Scaled(torch.tanh, 1.0), n_outputs=2, **CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_kernel_are_those_that_were_written_out(name):
    """Of one member, and of the second of two."""
    known, net = reference("hyper_zzw"), small(name)
    one = {key: torch.tensor(value, dtype=torch.float64) for key, value in known["cases"][name].items()}
    for w in (one["weights"][None], torch.stack([one["weights"].flip(0), one["weights"]])):
        params = net.layout.unflatten(w)
        torch.testing.assert_close(net.apply(params, known["x"])[-1], one["f"], rtol=1e-10, atol=1e-12)
        theta = tangent_kernel(net, params, known["x"])[-1]
        torch.testing.assert_close(theta, one["theta"], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("name", "degree"), [("slow", 2), ("table", 2), ("alone", 1)])
def test_degree_in_what_it_meets(name, degree):
    """Two, since the image meets weights that it has made; one where the kernel does not see it."""
    net = small(name)
    params = {key: w[None] for key, w in net.init(0).items()}
    z = torch.randn(1, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(net.meet(params, 3 * z), 3**degree * net.meet(params, z), rtol=1e-12, atol=1e-12)


def test_kernel_and_operator_begin_of_unit_size():
    """K of 400 channels, with g of E sin² ~ ½ times 1 + ½; and O of white Z."""
    net = HyperZzw((1, 8, 8), 400, scaled(Tanh()), hidden=200, omega=1.0)
    begun = net.init(0)
    params = {key: w[None] for key, w in begun.items()}
    assert 0.75 < float(net.kernel(params).square().mean().sqrt()) < 1.0
    z = torch.randn(1, 20, 400, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    assert 0.75 < float(net.meet(params, z).square().mean().sqrt()) < 1.0
    # Γ(6) and Γ(3), of mean 6 and 3, of mean square 42 and 12; times 2π.
    for name, square in (("S0", 42), ("S1", 12)):
        assert float(begun[name].square().mean()) / (4 * torch.pi**2) == pytest.approx(square, rel=0.4)
    assert not begun["B0"].any()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("parametrisation=mup", "architecture=hyperzzw is scaled as ntk alone"),
        ("dataset=stripe", "it takes images"),
        ("architecture.omega=0", r"architecture\.omega=0"),
        ("observe/also=[limit]", "are not known"),
    ],
)
def test_refusals(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, override))


def test_the_output_layer_sees_four_positions_of_each_channel():
    config = composed(
        *JOB, "architecture.kernel=table", "architecture.context=false", "labels=classes", "loss=cross_entropy"
    )
    net = build(config).architecture
    assert isinstance(net, HyperZzw)
    assert config.architecture.last_fan_in(config.width) == net.last_fan_in == 12
    assert net.layout.shapes == {"W0": (3, 1), "B0": (3,), "K1": (3, 8, 8), "W1": (3, 3), "W2": (10, 12)}
    assert not net.context
