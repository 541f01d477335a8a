"""Names of recorded numbers: the usual ones, and those that runs bring with them."""

from collections.abc import Iterable, Mapping
from typing import Any

from feature_lazy.measure.quantities import QUANTITIES as USUAL
from feature_lazy.measure.quantity import Quantity, from_manifest, quantity_of


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
