"""What a recorded number is: the only place of its label, scale, unit and source.

Quantities are stored with the run that has them, so that whoever draws it needs no code of whoever recorded it.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from feature_lazy.core.errors import ConfigError

SCALES = ("log", "linear", "percent")


@dataclass(frozen=True)
class Quantity:
    """A scalar of a run, over time or at its end.

    Attributes:
        label: what it is, with its formula: an axis of a figure.
        scale: ``log``, ``linear``, or ``percent``, which is linear and written as such.
        unit: of the value; empty where it is dimensionless or in the article's units.
        where: figure or equation that defines it.
        theme: heading under which dashboards and reports show it.
    """

    label: str
    scale: str = "log"
    unit: str = ""
    where: str = ""
    theme: str = "Other"

    def __post_init__(self) -> None:
        """Refuse a scale that there is not.

        Raises:
            ConfigError: there is none of the name.
        """
        if self.scale not in SCALES:
            raise ConfigError(f"scale={self.scale} of the quantity {self.label!r}: must be one of {', '.join(SCALES)}.")

    def plain(self) -> dict[str, str]:
        """As a manifest has it."""
        return dataclasses.asdict(self)


def quantity_of(name: str, known: Mapping[str, Quantity]) -> Quantity:
    """The quantity of a column: by its name, or by a pattern such as ``weights/*/change``; else one that it names."""
    if name in known:
        return known[name]
    found = next((one for pattern, one in known.items() if "*" in pattern and fnmatch.fnmatchcase(name, pattern)), None)
    return found or Quantity(name)


def plain_quantities(observables: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Quantities of chosen observables, by name, as a manifest has them."""
    return {column: quantity.plain() for one in observables.values() for column, quantity in one.quantities.items()}


def from_manifest(stored: Any) -> dict[str, Quantity]:
    """Quantities as a manifest has them; what is not what it should be is left out."""
    names = {f.name for f in dataclasses.fields(Quantity)}
    found = {}
    for name, values in stored.items() if isinstance(stored, dict) else ():
        if isinstance(values, dict) and all(isinstance(value, str) for value in values.values()):
            kept = {key: value for key, value in values.items() if key in names}
            if "label" in kept and kept.get("scale", "log") in SCALES:
                found[str(name)] = Quantity(**kept)
    return found
