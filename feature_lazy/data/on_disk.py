"""A user's own files and folders as options: ``dataset=file`` and ``dataset=folder``, prepared as images are."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from feature_lazy.core.errors import DataError
from feature_lazy.data.images import Images
from feature_lazy.data.rules import asked_for, listed
from feature_lazy.data.sources import Patterns, Source
from feature_lazy.settings.groups import Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.data.readers import Arrays
    from feature_lazy.settings.config import Config

TARGETS_ARE_REAL = "has labels that are no classes, real numbers: choose labels=regression loss=mse"
ELSEWHERE = "results do not carry the files of their data; name the place by --data PATH."


@dataclass(frozen=True)
class Known:
    """What files hold, without the patterns: enough to refuse a configuration.

    Attributes:
        source: the classes, with the number of patterns in each; none where labels are real numbers.
        n: patterns in all.
        real: whether labels are floating point, which ``labels=regression`` takes as they are.
    """

    source: Source
    n: int
    real: bool


class OfFiles(ABC):
    """What data of a user's own files share, beside their keys: ``path`` is no part of an identity, ``content`` is.

    ``content``, the SHA-256 of the files, is filled in. You write these: ``sha256``.
    """

    kind: str
    path: str
    content: str

    of_files = True

    def __post_init__(self) -> None:
        """Whoever trains it may start in another folder."""
        self.path = str(Path(self.path).expanduser().absolute()) if self.path else ""

    @abstractmethod
    def sha256(self) -> str:
        """Of the files, as they are now.

        Raises:
            DataError: one that cannot be read.
        """

    def settled(self) -> Self:
        """See ``Data.settled``: with ``content`` filled in."""
        try:
            made = cast(Any, self)
            return self if self.content or not self.path else dataclasses.replace(made, content=self.sha256())
        except DataError:
            return self  # ``problems`` says why

    def changed(self, now: str) -> Iterator[str]:
        """A sentence if the files are not those that were meant, for their SHA-256 of now."""
        if self.content not in ("", now):
            yield f"dataset.content={self.content}: {self.path} has changed since, its SHA-256 is {now} now."


@dataclass
class OnDisk(OfFiles, Images):
    """Patterns of a user's own, in classes or with real targets."""

    path: str = key("", "of the file or folder", science=False)
    allow: list[str] = key(
        [],
        "what your data are meant to have: contradictions (equal patterns with different labels), seen (test patterns "
        "that are trained on)",
        choices=("contradictions", "seen"),
        science=False,
    )

    what, such_as = "your file", "mine.npz"

    @abstractmethod
    def arrays(self) -> Arrays:
        """All patterns.

        Raises:
            DataError: files that are not what they should be.
        """

    def look(self) -> Known:
        """What the files hold.

        Raises:
            DataError: see ``arrays``.
        """
        return known(*self._asked())

    def _asked(self) -> tuple[type[OnDisk], tuple[tuple[str, Any], ...], str]:
        """What ``loaded`` and ``known`` are asked: the option, its keys that say what is read, and the SHA-256."""
        names = {f.name for f in dataclasses.fields(self)} - {f.name for f in dataclasses.fields(OnDisk)}
        values = {name: getattr(self, name) for name in sorted({*names, "path"})}
        keys = ((name, tuple(value) if isinstance(value, list) else value) for name, value in values.items())
        return type(self), tuple(keys), self.sha256()

    @property
    def known(self) -> Known | None:
        """What the files hold; None where they cannot be read, which ``problems`` says."""
        try:
            return self.look() if self.path else None
        except DataError:
            return None

    @property
    def source(self) -> Source:  # type: ignore[override]
        """The classes of the files; none where they cannot be read."""
        found = self.known
        return found.source if found else Source(_nothing, (), (), "")

    @property
    def called(self) -> str:
        return self.path

    def room(self, labels: Labels) -> float:
        found = self.known
        if found is None:
            return math.inf
        return found.n if labels.real and found.real else super().room(labels)

    @property
    def shape(self) -> tuple[int, ...] | None:  # type: ignore[override]
        return super().shape or None

    @property
    def name(self) -> str:
        return super().name.replace(self.kind, Path(self.path).stem or self.kind, 1)

    def problems(self, config: Config) -> Iterator[str]:
        if not self.path and self.content:
            # The science of a stored run, which is the content, wherever it lies.
            yield f"dataset={self.kind}: {ELSEWHERE}"
            return
        if not self.path:
            yield f"dataset.path: name {self.what}, such as dataset.path={self.such_as}."
            return
        try:
            found, now = self.look(), self.sha256()
        except DataError as error:
            yield f"dataset.path={self.path}: {str(error).rstrip('.')}."
            return
        yield from self.changed(now)
        if found.real and config.labels.real:
            yield from self._real_problems(found)
        elif not found.source.counts:
            yield f"dataset.path={self.path}: it {TARGETS_ARE_REAL}."
        else:
            yield from super().problems(config)

    def _real_problems(self, found: Known) -> Iterator[str]:
        if self.classes:
            yield f"dataset.classes={listed(self.classes)}: the labels are taken as real numbers, without classes."
        yield from self._pixel_problems()
        if self.patterns_used > found.n:
            yield f"{asked_for(self)}: {self.path} has {found.n} patterns; ask for at most as many in total."

    def build(self, labels: Labels) -> Dataset:
        from feature_lazy.data.sense import MISSING, check_sense

        where = f"dataset.path={self.path}"
        if not self.path:
            raise DataError(f"dataset={self.kind}: {ELSEWHERE}")
        try:
            asked = self._asked()
            found = loaded(*asked)
        except DataError as error:
            raise DataError(f"{where}: {str(error).rstrip('.')}.") from error
        if self.content and self.content != found.content:
            raise DataError(
                f"dataset.content={self.content}: {self.path} has changed since, its SHA-256 is {found.content} now; "
                "bring the old files back, or leave the key out to train on those of now."
            )
        real = labels.real and found.targets is not None
        if not real and found.classes is None:
            raise DataError(f"{where}: it {TARGETS_ARE_REAL}.")
        patterns = Patterns(
            self.called,
            found.x.reshape(len(found.x), -1),
            found.x.shape[1:],
            None if real else found.classes,
            found.targets if real else None,
        )
        data = self.prepared(patterns, labels)
        check_sense(data, (MISSING, *self.allow))
        return data


@lru_cache(maxsize=1)
def loaded(made: type[OnDisk], asked: tuple[tuple[str, Any], ...], content: str) -> Arrays:
    """All patterns of an option; the jobs of a sweep that are trained one after another read them once.

    Args:
        made: the option.
        asked: its keys, as pairs.
        content: SHA-256 of the files.

    Raises:
        DataError: files that are not what they should be, or that have changed while they were read.
    """
    from feature_lazy.core.arrays import finite, reals

    keys: dict[str, Any] = {name: list(value) if isinstance(value, tuple) else value for name, value in asked}
    found = made(**keys).arrays()
    if found.content != content:
        raise DataError("it has changed while it was read; repeat the command")
    finite(reals(found.x, "patterns"), "patterns")
    return found


@lru_cache(maxsize=64)
def known(made: type[OnDisk], asked: tuple[tuple[str, Any], ...], content: str) -> Known:
    """What files hold, looked at once for all jobs of a sweep; see ``loaded``."""
    import numpy as np

    found = loaded(made, asked, content)
    names, counts = ((), ()) if found.classes is None else np.unique(found.classes, return_counts=True)
    words = ", ".join(f"{number} {word}" for number, word in enumerate(found.words))
    sizes = tuple(int(count) for count in counts)
    source = Source(_nothing, sizes, found.x.shape[1:], words, names=tuple(int(name) for name in names))
    return Known(source, len(found.x), found.targets is not None)


def _nothing(_root: str | None, _seed: int) -> Any:
    raise DataError("there are no patterns")


@option("dataset", "file")
class FileData(OnDisk):
    """Your own patterns and labels in a file: .npz, .npy and another for the labels, .pt, .csv or .parquet."""

    path: str = key("", "the file: .npz, .npy, .pt with tensors alone, .csv or .parquet", science=False)
    x: list[str] = key([], "array of the patterns, or columns; []: x, or all columns but that of the labels")
    y: str = key("y", "array or column of the labels; of .npy the file beside it")
    reshape: list[int] = key([], "shape of one pattern, such as [1,28,28] for a network of convolutions; []: as it is")

    def sha256(self) -> str:
        from feature_lazy.data.readers import content, files

        return content(files(Path(self.path), self.y))

    def arrays(self) -> Arrays:
        from feature_lazy.data.readers import read

        found = read(Path(self.path), self.x, self.y)
        shape = tuple(self.reshape)
        if not shape:
            return found
        if min(shape) < 1 or math.prod(shape) != math.prod(found.x.shape[1:]):
            raise DataError(
                f"dataset.reshape={self.reshape}: a pattern has {math.prod(found.x.shape[1:])} numbers, in the shape "
                f"{found.x.shape[1:]}"
            )
        return dataclasses.replace(found, x=found.x.reshape(-1, *shape))


@option("dataset", "folder")
class FolderData(OnDisk):
    """Your own images, a folder for each class; classes are numbered 0, 1, … in alphabetical order."""

    path: str = key("", "the folder: in it a folder for each class, and in that its images", science=False)
    size: int = key(0, "height and width to which images are scaled; 0: as they are, all alike", ge=0)
    grey: bool = key(False, "grey, the luma 0.299 R + 0.587 G + 0.114 B; else three channels")

    what, such_as = "your folder", "photos"

    def sha256(self) -> str:
        from feature_lazy.data.readers import content, image_files

        found = image_files(Path(self.path))
        return content([path for inside in found.values() for path in inside], named=Path(self.path))

    def arrays(self) -> Arrays:
        from feature_lazy.data.readers import read_images

        return read_images(Path(self.path), self.size, self.grey)
