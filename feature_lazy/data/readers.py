"""A user's own files as arrays. What is hashed is what is read, and nothing in a file is ever executed."""

import hashlib
import io
import logging
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from feature_lazy.core.errors import DataError

log = logging.getLogger(__name__)

PATTERNS, LABELS = "x", "y"
"""Names of the arrays, where the user gives no other."""
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
"""Endings of the images that a folder may hold."""
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Modes of Pillow with at most eight bits a channel."""
IDS = ("id", "index")
"""Names of columns that tell rows apart, and say nothing of a pattern."""
FEWEST = 10
"""Rows from which on whole numbers one after the other number them, and are no quantity that happens to do so."""
ROW_NUMBERS = "Unnamed: "
"""How pandas calls a column without a name, such as the row numbers that it writes itself."""


@dataclass(frozen=True)
class Arrays:
    """Patterns of a user's own, with a class or a real target each.

    Attributes:
        x: (N, …), numbers.
        classes: (N,) of int64; None where y are real numbers that are not all whole.
        targets: y themselves, (N,) of float64; None where they are no floating point.
        words: names of the classes 0, 1, … where they are not numbers.
        content: SHA-256 of the file; of several files that of theirs.
    """

    x: np.ndarray
    classes: np.ndarray | None
    targets: np.ndarray | None
    words: tuple[str, ...]
    content: str


def content(paths: Sequence[Path], *, named: Path | None = None) -> str:
    """SHA-256 of a file as ``sha256sum`` gives it; of several that of the lines of theirs, in this order.

    Args:
        paths: the files.
        named: a folder from which on the names of the files count too.

    Raises:
        DataError: one that cannot be read.
    """
    sums = [_sha256(path, _signature(path)) for path in paths]
    if len(sums) == 1 and named is None:
        return sums[0]
    names = [path.relative_to(named).as_posix() if named else "" for path in paths]
    lines = "".join(f"{name}\0{one}\n" for name, one in zip(names, sums, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    return found.st_size, found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=2**17)
def _sha256(path: Path, _signature: tuple[int, int, int]) -> str:
    """Of a file, which is hashed again when size, time or place have changed: a sweep has thousands of jobs."""
    return hashlib.sha256(_bytes(path)).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error


def files(path: Path, y: str) -> list[Path]:
    """The files that a path means: itself, and of ``.npy`` that of the labels beside it."""
    return [path, (path.parent / y).with_suffix(".npy")] if path.suffix == ".npy" else [path]


def read(path: Path, x: Sequence[str] = (), y: str = LABELS) -> Arrays:
    """Patterns and labels of a file.

    Args:
        path: ``.npz``, ``.npy``, ``.pt``, ``.csv`` or ``.parquet``.
        x: name of the array of patterns, or columns; empty: ``x``, or all columns but that of the labels.
        y: name of the array or column of labels; of ``.npy`` the file beside it.

    Raises:
        DataError: a file that is not there or not what its name says, a name that it does not have, or labels of which
            none is learnt.
    """
    reader = READERS.get(path.suffix)
    if reader is None:
        raise DataError(f"{path.name or path} is none of {', '.join(READERS)}: save it as one of them")
    data = [_bytes(one) for one in files(path, y)]
    sums = [hashlib.sha256(one).hexdigest() for one in data]
    known = sums[0] if len(sums) == 1 else hashlib.sha256("".join(f"\0{one}\n" for one in sums).encode()).hexdigest()
    patterns, labels = reader(data, path.name, tuple(x), y)
    patterns = np.asarray(patterns)
    if patterns.dtype.kind not in "biuf":
        raise DataError(f"the patterns in {path.name} are no real numbers (dtype {patterns.dtype})")
    if patterns.ndim < 2 or not patterns.size:
        raise DataError(f"the patterns in {path.name} have the shape {patterns.shape}; it must be (N, …)")
    if patterns.dtype.itemsize > 8:
        patterns = patterns.astype(np.float64)
    if patterns.ndim == 2 and path.suffix not in TABLES:
        _warn_of_numbers(patterns, range(patterns.shape[1]), path.name, "save the patterns without it")
    classes, targets, words = _labels(np.asarray(labels), path.name)
    n = len(classes) if classes is not None else len(targets)  # type: ignore[arg-type]
    if n != len(patterns):
        raise DataError(f"{path.name} has {len(patterns)} patterns and {n} labels")
    return Arrays(patterns, classes, targets, words, known)


def _labels(y: np.ndarray, name: str) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Classes, real targets, and names of the classes.

    Raises:
        DataError: labels that are neither.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"the labels in {name} have the shape {y.shape}; it must be (N,), such as that of y.argmax(1)")
    if y.dtype.kind in "OUS":
        if not all(isinstance(one, str | bytes) for one in y.tolist()):
            raise DataError(f"the labels in {name} are texts, and some are missing or no text: fill these in")
        words, classes = np.unique(y.astype(str), return_inverse=True)
        return classes.astype(np.int64), None, tuple(map(str, words))
    if y.dtype.kind in "biu":
        if y.dtype.kind == "u" and y.size and int(y.max()) >= 2**63:
            raise DataError(f"the labels in {name} are beyond 2⁶³")
        return y.astype(np.int64), None, ()
    if y.dtype.kind != "f":
        raise DataError(f"the labels in {name} are no real numbers (dtype {y.dtype})")
    targets = y.astype(np.float64)
    if not np.isfinite(targets).all():
        raise DataError(f"the labels in {name} have infinities or NaN among them, first number {_first(targets)}")
    whole = bool((targets == np.round(targets)).all() and (np.abs(targets) < 2**53).all())
    return targets.astype(np.int64) if whole else None, targets, ()


def _first(values: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(values))[0])


Read = Callable[[list[bytes], str, tuple[str, ...], str], tuple[Any, Any]]
"""(contents, name, x, y) → patterns and labels."""


def _one(x: tuple[str, ...], name: str) -> str:
    if len(x) > 1:
        raise DataError(f"dataset.x=[{','.join(x)}]: {name} has the patterns in one array; name one")
    return x[0] if x else PATTERNS


def _named(found: Any, names: tuple[str, str], name: str) -> tuple[Any, Any]:
    """Two arrays of a mapping.

    Raises:
        DataError: one of them is not there.
    """
    for key, wanted in zip(("dataset.x", "dataset.y"), names, strict=True):
        if wanted not in found:
            written = f"[{wanted}]" if key == "dataset.x" else wanted
            raise DataError(f"{key}={written}: {name} has no array {wanted!r}; it has {_listed(found)}")
    return found[names[0]], found[names[1]]


def _listed(names: Any) -> str:
    return ", ".join(map(str, list(names)[:20])) or "none"


def _npz(data: list[bytes], name: str, x: tuple[str, ...], y: str) -> tuple[Any, Any]:
    try:
        with np.load(io.BytesIO(data[0]), allow_pickle=False) as found:
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise DataError(f"{name} is no .npz file")
            return _named(found, (_one(x, name), y), name)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{name} is no .npz file of numbers ({_why(error)})") from error


def _npy(data: list[bytes], name: str, x: tuple[str, ...], y: str) -> tuple[Any, Any]:
    found = []
    for content, called in zip(data, (name, f"{Path(y).stem}.npy"), strict=True):
        try:
            found.append(np.load(io.BytesIO(content), allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{called} is no .npy file of numbers ({_why(error)})") from error
    if x:
        raise DataError(f"dataset.x=[{','.join(x)}]: {name} is one array; leave dataset.x out")
    return found[0], found[1]


def _pt(data: list[bytes], name: str, x: tuple[str, ...], y: str) -> tuple[Any, Any]:
    import torch

    try:
        found = torch.load(io.BytesIO(data[0]), map_location="cpu", weights_only=True)
    except Exception as error:  # what is no such file fails in many ways; nothing of it has been executed
        raise DataError(
            f"{name} is no .pt file of tensors alone ({_why(error)}); other objects would run code, and are not read"
        ) from error
    if isinstance(found, tuple | list) and len(found) == 2 and not x:
        found = dict(zip((PATTERNS, y), found, strict=True))
    if not isinstance(found, dict):
        raise DataError(f"{name} holds {type(found).__name__}; it must hold a dictionary of tensors, or two tensors")
    pair = _named(found, (_one(x, name), y), name)
    return tuple(one.detach().numpy() if isinstance(one, torch.Tensor) else one for one in pair)  # type: ignore[return-value]


def _csv(data: list[bytes], name: str, x: tuple[str, ...], y: str) -> tuple[Any, Any]:
    import pandas as pd

    return _table(lambda: pd.read_csv(io.BytesIO(data[0])), name, x, y)


def _parquet(data: list[bytes], name: str, x: tuple[str, ...], y: str) -> tuple[Any, Any]:
    import pandas as pd

    return _table(lambda: pd.read_parquet(io.BytesIO(data[0])), name, x, y)


def _table(load: Callable[[], Any], name: str, x: tuple[str, ...], y: str) -> tuple[Any, Any]:
    """Columns of a table; one column of lists is as good as one for each number.

    Raises:
        DataError: no table, a column that is not there, or one that no pattern can be of.
    """
    try:
        table = load()
    except Exception as error:  # of pandas and pyarrow, in many ways
        raise DataError(f"{name} is no table that can be read ({_why(error)})") from error
    for key, wanted in (*(("dataset.x", column) for column in x), ("dataset.y", y)):
        if wanted not in table:
            raise DataError(f"{key}: {name} has no column {wanted!r}; it has {_listed(table.columns)}")
    columns = list(x) or [column for column in table.columns if column != y]
    if y in columns:
        raise DataError(f"dataset.x: column {y!r} is that of the labels, which no pattern may hold")
    if odd := [column for column in columns if not x and str(column).startswith(ROW_NUMBERS)]:
        raise DataError(
            f"column {odd[0]!r} of {name} has no name, and may be row numbers: name the columns of patterns by "
            "dataset.x=[…], or save the table without an index"
        )
    if len(columns) == 1 and table[columns[0]].map(lambda one: isinstance(one, list | tuple | np.ndarray)).all():
        try:
            return np.stack([np.stack(one) for one in table[columns[0]]]), table[y].to_numpy()
        except ValueError as error:
            raise DataError(f"column {columns[0]!r} of {name} has lists of different lengths") from error
    for column in columns:
        if table[column].dtype.kind not in "biuf":
            raise DataError(
                f"column {column!r} of {name} is no number (dtype {table[column].dtype}): make it numbers, or name the "
                "columns of patterns by dataset.x=[…]"
            )
    found = table[columns].to_numpy()
    advice = "name the columns of patterns by dataset.x=[…], or save the table without it"
    _warn_of_numbers(found, columns, name, advice, meant=bool(x))
    labels = table[y]
    return found, labels.to_numpy() if labels.dtype.kind in "biuf" else labels.to_numpy(object)


def _numbering(x: np.ndarray) -> np.ndarray:
    """Of each column of (N, d) whether it numbers the rows: whole numbers, each once, without a gap."""
    found = np.zeros(x.shape[1], dtype=bool)
    if len(x) >= FEWEST and x.dtype.kind in "iuf":
        with np.errstate(invalid="ignore"):
            likely = x.max(0).astype(float) - x.min(0) == len(x) - 1
        for column in np.flatnonzero(likely):
            found[column] = bool((np.diff(np.sort(x[:, column])) == 1).all() and x[0, column] % 1 == 0)
    return found


def _warn_of_numbers(x: np.ndarray, columns: Sequence[object], name: str, what: str, *, meant: bool = False) -> None:
    """Name columns that tell rows apart and say nothing of a pattern, and what leaves them out; none that is meant."""
    for column, numbers in zip(columns, _numbering(x), strict=True):
        if not meant and (numbers or str(column).lower() in IDS):
            why = "numbers the rows" if numbers else "is called as what numbers rows is"
            log.warning("Column %r of %s %s, and is trained on: %s.", column, name, why, what)


def _why(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:120]


READERS: dict[str, Read] = {".npz": _npz, ".npy": _npy, ".pt": _pt, ".pth": _pt, ".csv": _csv, ".parquet": _parquet}
"""By the ending of the name."""
TABLES = (".csv", ".parquet")
"""Those with names of columns."""


def image_files(folder: Path) -> dict[str, list[Path]]:
    """The images of each class, the folders in alphabetical order, and in each its files.

    Raises:
        DataError: no folder, fewer than two classes, or a file in a class that is no image by its ending.
    """
    try:
        inner = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
        found = {
            one.name: sorted(f for f in one.rglob("*") if f.is_file() and not f.name.startswith(".")) for one in inner
        }
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror})") from error
    found = {name: inside for name, inside in found.items() if inside}
    if len(found) < 2:
        raise DataError(f"{folder} has {len(found)} folders with images; each class is a folder, and there must be two")
    for inside in found.values():
        if odd := [f for f in inside if f.suffix.lower() not in IMAGES]:
            raise DataError(f"{odd[0]} is no image that is read ({', '.join(IMAGES)}): take it out of the folder")
    return found


def read_images(folder: Path, size: int, grey: bool) -> Arrays:
    """All images of a folder as bytes 0 … 255, (N, channels, height, width); classes are numbered in their order.

    Args:
        folder: with a folder for each class.
        size: height and width to which each image is scaled; 0: as it is, and all must be alike.
        grey: the luma 0.299 R + 0.587 G + 0.114 B instead of three channels.

    Raises:
        DataError: see ``image_files``; an image that cannot be read, or of another shape.
    """
    found = image_files(folder)
    paths = [path for inside in found.values() for path in inside]
    known = content(paths, named=folder)
    images = []
    for path in paths:
        images.append(_image(path, _bytes(path), size, grey))
        if images[-1].shape != images[0].shape:
            shapes = " and ".join("×".join(map(str, one.shape)) for one in (images[0], images[-1]))
            raise DataError(f"{paths[0].name} and {path.name} have the shapes {shapes}: scale them by dataset.size=N")
    classes = np.repeat(np.arange(len(found)), [len(inside) for inside in found.values()])
    if content(paths, named=folder) != known:
        raise DataError(f"images in {folder} have changed while they were read: repeat the command")
    return Arrays(np.stack(images), classes, None, tuple(found), known)


def _image(path: Path, data: bytes, size: int, grey: bool) -> np.ndarray:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if image.mode not in EIGHT_BITS:
                    raise DataError(f"{path} has more than eight bits a channel (mode {image.mode}): save it as .npz")
                made = image.convert("L" if grey else "RGB")
                made = made.resize((size, size), Image.Resampling.BILINEAR) if size else made
                array = np.asarray(made, dtype=np.uint8)
    except DataError:
        raise
    except Exception as error:  # of Pillow's many formats, in many ways
        raise DataError(f"{path} is no image that can be read ({_why(error)})") from error
    return array[None] if grey else np.moveaxis(array, 2, 0)
