"""What was measured of a complete run afterwards, beside it: a file for each observable, and the run's own stay.

``measured/NAME.json`` has numbers by observation, the summary, quantities and keys; ``measured/NAME.safetensors`` has
arrays, if there are any. Both belong to one manifest: of a run that was trained anew they say nothing any more.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.files import listed, read_stored, write_atomically
from feature_lazy.settings.groups import Observable

FOLDER = "measured"
SCHEMA = 1
END = "end"
"""Word that stands for the number of an observation in names of arrays that are measured once."""
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Names that are files."""
Arrays = Mapping[str, np.ndarray]
DAMAGE = (OverflowError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError)
"""What reading a file that is none of ours raises."""


@dataclass(frozen=True)
class Measured:
    """What one observable says of a run.

    Attributes:
        name: of the observable, a user's own by its own name.
        keys: its keys as plain values.
        rows: numbers by observation.
        summary: numbers at the end.
        quantities: what its columns are, as a manifest has them.
        arrays: ``end/NAME`` of the end, and ``N/NAME`` of the N-th observation.
    """

    name: str
    keys: Mapping[str, Any]
    rows: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)
    quantities: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        """Names of its numbers."""
        return {*self.summary, *(name for row in self.rows.values() for name in row)}


def apart(also: Mapping[str, Observable]) -> dict[str, Observable]:
    """Observables by the names of their files: a user's own each by itself.

    Raises:
        ConfigError: a name that is no file's.
    """
    found: dict[str, Observable] = {}
    for name, one in also.items():
        targets = getattr(one, "targets", None)
        found |= {name: one} if targets is None else {n: replace(one, targets={n: t}) for n, t in targets.items()}
    if bad := [name for name in found if not NAME.fullmatch(name)]:
        raise ConfigError(f"{', '.join(bad)}: what is measured gets a file of its name; use letters, digits and _.")
    return found


def write(folder: Path, of: str, measured: Measured) -> None:
    """Keep it beside a run; what the observable said before is replaced.

    Args:
        folder: the run's directory.
        of: checksum of the run's manifest.
        measured: what was measured.

    Raises:
        OSError: it cannot be written.
    """
    arrays = save({name: np.ascontiguousarray(array) for name, array in measured.arrays.items()})
    content = {
        "schema": SCHEMA,
        "of": of,
        "name": measured.name,
        "keys": measured.keys,
        "rows": [[number, _plain(row)] for number, row in measured.rows.items()],
        "summary": _plain(measured.summary),
        "quantities": measured.quantities,
        "arrays": hashlib.sha256(arrays).hexdigest() if measured.arrays else "",
    }
    path = folder / FOLDER / f"{measured.name}.json"
    if measured.arrays:
        write_atomically(path.with_suffix(".safetensors"), arrays, below=folder.parents[1])
    data = json.dumps({**content, "sha256": _checksum(content)}, allow_nan=False).encode()
    write_atomically(path, data, below=folder.parents[1])


def read(folder: Path, of: str) -> tuple[dict[str, Measured], list[str]]:
    """What was measured of a run by name, and a sentence for each file that is damaged, which counts as not measured.

    Args:
        folder: the run's directory.
        of: checksum of the run's manifest.
    """
    found, problems = {}, []
    home = folder / FOLDER
    if home.is_symlink() or not home.is_dir():
        return {}, []
    try:
        paths = listed(home, "*.json")
    except OSError as error:
        return {}, [f"{home} cannot be read now ({error.strerror}): what was measured is not known."]
    for path in paths:
        try:
            one = _measured(json.loads(read_stored(path)), path, of)
        except OSError as error:
            problems.append(f"{path} cannot be read now ({error.strerror}): look again when it can.")
            continue
        except (
            OverflowError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            SafetensorError,
        ) as error:
            problems.append(f"{path} is damaged ({error}). Repeat feature-lazy measure, or remove it.")
            continue
        if one is not None:
            found[one.name] = one
    return found, problems


def _measured(content: dict[str, Any], path: Path, of: str) -> Measured | None:
    """The content of a file, with its arrays; None if it belongs to another run, or to another version.

    Raises:
        ValueError: content that does not match its checksum.
    """
    if content["sha256"] != _checksum({name: value for name, value in content.items() if name != "sha256"}):
        raise ValueError("it does not match its checksum")
    if (content["schema"], content["of"], content["name"]) != (SCHEMA, of, path.stem):
        return None
    arrays: Arrays = {}
    if content["arrays"]:
        data = read_stored(path.with_suffix(".safetensors"))
        if hashlib.sha256(data).hexdigest() != content["arrays"]:
            raise ValueError("its arrays do not match their checksum")
        arrays = load(data)
    rows = {int(number): _numbers(row) for number, row in content["rows"]}
    summary = _numbers(content["summary"])
    return Measured(content["name"], content["keys"], rows, summary, content["quantities"], arrays)


def _plain(row: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _numbers(row: Mapping[str, float | None]) -> dict[str, float]:
    return {str(name): math.nan if value is None else float(value) for name, value in row.items()}


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
