"""What is observed in every run: label, scale, source and theme of each column, by its name or a pattern."""

from feature_lazy.measure.quantity import Quantity, quantity_of
from feature_lazy.settings import registry
from feature_lazy.settings.config import ALSO

FIT, KERNEL, WEIGHTS, OUTPUTS, SPEED = "Losses and errors", "Kernel", "Weights", "Outputs", "Speed"
"""Themes."""


def _fits() -> dict[str, Quantity]:
    """Loss and error on all sets."""
    found = {}
    sets = (
        ("train", "training", "training loss α²𝓛"),
        ("test", "test", "test loss"),
        ("valid", "validation", "validation loss"),
    )
    for name, label, loss in sets:
        found |= {
            f"{name}/loss": Quantity(loss, where="eq. 7", theme=FIT),
            f"{name}/error": Quantity(f"{label} error", scale="percent", where="Fig. 3", theme=FIT),
            f"{name}/unfit": Quantity(f"{label} patterns with F·y < 1", theme=FIT),
            f"{name}/margin_min": Quantity(f"smallest margin F·y, {label}", scale="linear", theme=FIT),
            f"{name}/margin_median": Quantity(f"median margin F·y, {label}", scale="linear", theme=FIT),
            f"{name}/margin_max": Quantity(f"largest margin F·y, {label}", scale="linear", theme=FIT),
        }
    return {**found, "test/excess": Quantity("excess risk, mean of (F − f*)² over test patterns", theme=FIT)}


def _norms() -> dict[str, Quantity]:
    """Norms of outputs on both sets; a name without a set is that of the test set."""
    found = {}
    for name, label in (("output", ""), ("output/train", ", training set")):
        found |= {
            f"{name}/f_rms": Quantity(f"output ‖f‖{label}", where="eq. 31", theme=OUTPUTS),
            f"{name}/df_rms": Quantity(f"output change ‖f − f₀‖{label}", where="eq. 31", theme=OUTPUTS),
            f"{name}/alpha_df_rms": Quantity(f"predictor α‖f − f₀‖{label}", where="eq. 31", theme=OUTPUTS),
        }
    return found


QUANTITIES = {
    "t": Quantity("training time t", where="eq. 7", theme=SPEED),
    "kernel/change": Quantity("kernel change ‖Θ − Θ₀‖/‖Θ₀‖", where="Fig. 5a", theme=KERNEL),
    "kernel/change_train": Quantity("kernel change ‖Θ − Θ₀‖/‖Θ₀‖, training set", where="Fig. 5a", theme=KERNEL),
    "kernel/change_test": Quantity("kernel change ‖Θ − Θ₀‖/‖Θ₀‖, test set", where="Fig. 5a", theme=KERNEL),
    "kernel/norm": Quantity("kernel norm ‖Θ‖", theme=KERNEL),
    "kernel/mean": Quantity("mean entry of the kernel", scale="linear", theme=KERNEL),
    "kernel/trace": Quantity("trace of the kernel", theme=KERNEL),
    "kernel/alignment": Quantity("alignment of the kernel with the labels", scale="linear", theme=KERNEL),
    "kernel/lga": Quantity(
        "label–gradient alignment of the kernel", scale="linear", where="arXiv:2203.14577", theme=KERNEL
    ),
    "kernel/lga_without": Quantity(
        "the same without some weights (observe.kernel.lga_without)",
        scale="linear",
        where="arXiv:2203.14577",
        theme=KERNEL,
    ),
    "kernel/eigenvalue_*": Quantity("eigenvalue of the kernel", theme=KERNEL),
    "kernel/*/change": Quantity("kernel change of a layer, ‖Θ_l − Θ_l,0‖/‖Θ_l,0‖", theme=KERNEL),
    "kernel/*/share": Quantity("share of a layer in the kernel, tr Θ_l/tr Θ", scale="linear", theme=KERNEL),
    **_fits(),
    "train/component_*": Quantity(
        "part of y − F along an eigenvector of Θ₀", scale="linear", where="arXiv:1806.07572", theme=FIT
    ),
    "component/rate_*": Quantity("rate at which that part falls", where="arXiv:1806.07572", theme=FIT),
    "component/eigenvalue_*": Quantity("eigenvalue of Θ₀ on the training set", theme=KERNEL),
    "component/gap_*": Quantity("distance to the next eigenvalue, over it", theme=KERNEL),
    "weights/change": Quantity("weight change ‖w − w₀‖/‖w₀‖", where="Fig. 9", theme=WEIGHTS),
    "weights/norm": Quantity("weight norm ‖w‖", theme=WEIGHTS),
    "weights/*/change": Quantity("weight change of a layer, ‖w_l − w_l,0‖/‖w_l,0‖", where="Fig. 9", theme=WEIGHTS),
    **_norms(),
    "preactivations/*/rms": Quantity("preactivations of a layer at t = 0, ‖z‖", where="Fig. 11", theme=OUTPUTS),
    "preactivations/*/speed": Quantity(
        "speed of a layer's preactivations at t = 0, ‖ż‖", where="Fig. 11", theme=OUTPUTS
    ),
    "prior/scale": Quantity("s, variance of the output layer's weights", where="arXiv:2107.01408", theme=WEIGHTS),
    "hyper/strength": Quantity("λ of the regulariser, where it is tuned", where="arXiv:1903.03088", theme=WEIGHTS),
    "hyper/scale": Quantity("σ of ln λ, where it is tuned", where="arXiv:1903.03088", theme=WEIGHTS),
    "gns/gamma": Quantity("gradient-normalised smoothness γ of a step", where="arXiv:2506.13710", theme=SPEED),
    "gns/lambda": Quantity("λ = ‖∇𝓛‖/γ of a step", where="arXiv:2506.13710", theme=SPEED),
    "gns/trials": Quantity("trials of a step", scale="linear", where="arXiv:2506.13710", theme=SPEED),
    "gns/step": Quantity("length of a step ‖Δw‖", where="arXiv:2506.13710", theme=SPEED),
    "t_half": Quantity("half-loss time", where="Fig. 5b", theme=SPEED),
    "t_stop": Quantity("time at which every pattern was fit", where="Fig. 5b", theme=SPEED),
    "steps": Quantity("steps", theme=SPEED),
    "rejected": Quantity("rejected steps", scale="linear", theme=SPEED),
    "gradients": Quantity("gradients", theme=SPEED),
    "kernels": Quantity("kernels", scale="linear", theme=SPEED),
    "gradient_equivalents": Quantity("cost in gradients", theme=SPEED),
}
"""Quantities of a run, in the order in which a page shows them."""


def recordable() -> dict[str, tuple[Quantity, str]]:
    """All columns, by name or pattern, each with the observable to ask for; empty if all runs have it."""
    also = {name: option() for name, option in registry.options(ALSO).items() if name != "custom"}
    found = {column: (one, name) for name, option in also.items() for column, one in option.quantities.items()}
    return found | {column: (one, "") for column, one in QUANTITIES.items()}


def who_records(column: str) -> tuple[Quantity, str] | None:
    """What a column is and the observable to ask for, as ``recordable`` has them; None of one that nothing records."""
    known = recordable()
    found = quantity_of(column, {name: one for name, (one, _) in known.items()})
    return next((pair for pair in known.values() if pair[0] == found), None)
