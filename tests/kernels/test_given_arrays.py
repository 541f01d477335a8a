"""Every function of ``feature_lazy.kernels`` takes arrays by the one door, and loses nothing there."""

import numpy as np
import pytest
import torch

from feature_lazy import kernels
from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.networks.activations import Softplus, scaled
from tests.arrays import normal
from tests.dynamics.test_flow import NETWORK, W0

X, Z = normal(6, 4), normal(5, 4, seed=1)
PARAMS = NETWORK.layout.unflatten(W0[:1])
ONE = {name: weight[0] for name, weight in PARAMS.items()}
THETA = kernels.tangent_kernel(NETWORK, PARAMS, X)
Y = torch.tensor([1.0, -1, 1, -1, 1, -1]).double()


def function(weights, x):
    return NETWORK.apply({name: weight[None] for name, weight in weights.items()}, x)[0]


def raw(values):
    """The same numbers as a NumPy array that PyTorch takes in no single one of its properties."""
    return values.numpy().astype(values.numpy().dtype.newbyteorder(">"))[::-1][::-1]


OF_PATTERNS = {
    "tangent_kernel": lambda x: kernels.tangent_kernel(NETWORK, PARAMS, x, x),
    "layer_kernels": lambda x: torch.stack(list(kernels.layer_kernels(NETWORK, PARAMS, x).values())),
    "joint_kernel": lambda x: kernels.joint_kernel(NETWORK, PARAMS, x, x).test,
    "jacobian_kernel": lambda x: kernels.jacobian_kernel(NETWORK, PARAMS, x),
    "TangentOperator": lambda x: torch.from_numpy(kernels.TangentOperator(NETWORK, PARAMS, x) @ np.eye(6)),
    "empirical_kernel": lambda x: kernels.empirical_kernel(function, x, x, weights=ONE),
    "infinite_kernels": lambda x: kernels.infinite_kernels(scaled(Softplus(5.0)), 1, x).ntk,
    "limit_kernels": lambda x: kernels.limit_kernels(NETWORK, x, x).nngp,
    "intrinsic_dimension": kernels.intrinsic_dimension,
}
OF_KERNELS = {
    "relative_change": lambda k: kernels.relative_change(k, THETA),
    "describe": lambda k: kernels.describe(k, Y)["alignment"],
    "alignment": lambda k: kernels.alignment(THETA, k),
    "centred": kernels.centred,
    "cka": lambda k: kernels.cka(k, THETA),
    "label_gradient_alignment": lambda k: kernels.label_gradient_alignment(k, Y),
    "spectrum": kernels.spectrum,
    "top_eigenvalues": lambda k: kernels.top_eigenvalues(k, 2),
    "participation_ratio": kernels.participation_ratio,
    "intrinsic_dimension_of_kernel": kernels.intrinsic_dimension_of_kernel,
    "kernel_regression": lambda k: kernels.kernel_regression(k, k, Y, ridge=1e-3),
    "mse_prediction": lambda k: kernels.mse_prediction(k[0], k[0], Y, [1.0])[0],
}
OF_LABELS = {
    "describe": lambda y: kernels.describe(THETA, y)["alignment"],
    "kernel_regression": lambda y: kernels.kernel_regression(THETA, THETA, y, ridge=1e-3),
    "mse_prediction": lambda y: kernels.mse_prediction(THETA[0], THETA[0], y, [1.0])[0],
    "gp_prediction": lambda y: kernels.gp_prediction((THETA[0],) * 2, (THETA[0],) * 3, y, [1.0])[0],
}
OF_EIGENVALUES = {
    "effective_rank": kernels.effective_rank,
    "spectral_decay": lambda values: kernels.spectral_decay(values, (1, 4)),
}
CASES = [
    pytest.param(call, values, id=f"{name}-{what}")
    for what, calls, values in [
        ("patterns", OF_PATTERNS, X),
        ("kernel", OF_KERNELS, THETA),
        ("labels", OF_LABELS, Y),
        ("eigenvalues", OF_EIGENVALUES, kernels.spectrum(THETA)),
    ]
    for name, call in calls.items()
]


@pytest.mark.parametrize(("call", "values"), CASES)
def test_arrays_give_what_tensors_give(call, values):
    torch.testing.assert_close(call(raw(values)), call(values), rtol=1e-13, atol=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("call", "values"), CASES)
def test_an_imaginary_part_is_refused_and_not_lost(call, values):
    if values is X and call is OF_PATTERNS["empirical_kernel"]:
        pytest.skip("a function may take complex patterns")
    with pytest.raises(DataError, match=r"are complex .complex128., and only real numbers"):
        call(values + 1j * values)


def test_all_public_functions_are_among_these():
    """Those of classes, of folders and the containers apart."""
    others = {"class_gram", "kernel_on_disk", "TiledKernel", "JointKernel", "InfiniteKernels"}
    tested = {*OF_PATTERNS, *OF_KERNELS, *OF_LABELS, *OF_EIGENVALUES}
    assert tested | others == set(kernels.__all__)


def test_classes_and_kernels_on_disk(tmp_path):
    classes = np.array([0, 1, 1], dtype="u2")
    assert kernels.class_gram(classes).tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    found = kernels.kernel_on_disk(NETWORK, PARAMS, raw(X), path=tmp_path / "k")
    torch.testing.assert_close(torch.as_tensor(found.block(slice(0, 6), slice(0, 6))), THETA, rtol=1e-12, atol=0)


@pytest.mark.parametrize("call", [OF_PATTERNS["tangent_kernel"], OF_PATTERNS["layer_kernels"]])
@pytest.mark.parametrize("x", [X.float(), X[:0], X[:, 0], X[:, :0]])
def test_patterns_that_are_not_the_networks_are_refused(call, x):
    with pytest.raises(ConfigError, match=r"patterns must be \(P, d\), some, all of one d, and of the weights' dtype"):
        call(x)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"W0": PARAMS["W0"]}, "weight 'W1' is missing"),
        ({**PARAMS, "W1": PARAMS["W1"][:, :2]}, r"weight 'W1' has the shape \(1, 2, 7\); the network's is \(M, 5, 7\)"),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        kernels.tangent_kernel(NETWORK, params, X)
    with pytest.raises(ConfigError, match=message):
        kernels.TangentOperator(NETWORK, params, X)
