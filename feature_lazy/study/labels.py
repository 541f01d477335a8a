"""What recorded numbers are called: the usual ones, and those of which runs say themselves what they are."""

from collections.abc import Iterable, Mapping
from typing import Any

from feature_lazy.measure.quantity import Quantity, from_manifest, quantity_of

KERNEL, WEIGHTS, OUTPUTS, FIT, START = "Kernel", "Weights", "Outputs", "Losses and errors", "Start"
USUAL: dict[str, Quantity] = {
    "kernel/change": Quantity("kernel change ‖Θ − Θ₀‖/‖Θ₀‖", where="Fig. 5a", theme=KERNEL),
    "kernel/norm": Quantity("kernel norm ‖Θ‖", theme=KERNEL),
    "kernel/mean": Quantity("mean entry of the kernel", theme=KERNEL),
    "kernel/trace": Quantity("kernel trace", theme=KERNEL),
    "kernel/alignment": Quantity("alignment of the kernel with the labels", scale="linear", theme=KERNEL),
    "kernel/*": Quantity("part of the kernel", theme=KERNEL),
    "weights/change": Quantity("weight change ‖w − w₀‖/‖w₀‖", where="Fig. 9", theme=WEIGHTS),
    "weights/norm": Quantity("weight norm ‖w‖", theme=WEIGHTS),
    "weights/*": Quantity("of one weight", theme=WEIGHTS),
    "output/f_rms": Quantity("output ‖f‖", where="eq. 31", theme=OUTPUTS),
    "output/df_rms": Quantity("output change ‖f − f₀‖", where="eq. 31", theme=OUTPUTS),
    "output/alpha_df_rms": Quantity("predictor α‖f − f₀‖", where="eq. 31", theme=OUTPUTS),
    "output/train/df_rms": Quantity("output change ‖f − f₀‖, train", where="eq. 31", theme=OUTPUTS),
    "output/train/*": Quantity("output on the training set", where="eq. 31", theme=OUTPUTS),
    "preactivations/*": Quantity("preactivations at t = 0", where="Fig. 11", theme=START),
    "train/loss": Quantity("training loss α²𝓛", where="eq. 7", theme=FIT),
    "test/loss": Quantity("test loss", where="eq. 7", theme=FIT),
    "train/error": Quantity("training error", scale="percent", theme=FIT),
    "test/error": Quantity("test error", scale="percent", theme=FIT),
    "train/unfit": Quantity("training patterns with F·y < 1", theme=FIT),
    "test/margin_median": Quantity("median margin, test", scale="linear", theme=FIT),
    "train/*": Quantity("on the training set", theme=FIT),
    "test/*": Quantity("on the test set", theme=FIT),
}
"""Of every run, by name or pattern."""


def quantities(runs: Iterable[Any]) -> dict[str, Quantity]:
    """The usual ones, overlaid by what the manifests of runs have.

    Args:
        runs: stored runs.
    """
    found = dict(USUAL)
    for run in runs:
        found.update(from_manifest(getattr(run, "manifest", {}).get("quantities")))
    return found


def others(names: Iterable[str], known: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Those of some names that only their runs know: observables of a user's own.

    Args:
        names: of histories or columns.
        known: of ``quantities``.
    """
    stated = {name: one for name, one in known.items() if name not in USUAL}
    return {
        name: quantity_of(name, stated)
        for name in names
        if quantity_of(name, USUAL).label == name and quantity_of(name, stated) != Quantity(name)
    }
