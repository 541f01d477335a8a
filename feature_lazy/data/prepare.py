"""Split, scale and label, as section 2 of the article does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.arrays import real, reals, tensor
from feature_lazy.core.errors import DataError
from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.core.streams import stream
from feature_lazy.data.labels import Parity
from feature_lazy.data.sources import Patterns, load_source, sources
from feature_lazy.data.whitening import Fit, scaled_to_sphere
from feature_lazy.settings.groups import Labels

if TYPE_CHECKING:
    from feature_lazy.data.synthetic import Law

BLOCK = 1024
"""Patterns drawn at a time, whatever P is: more patterns are the same ones and some more."""
PATIENCE = 1000
"""A class is given up when this many times the patterns asked for have been drawn."""
Drawn = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Patterns (N, d), their classes (N,) as 0, 1, …, and their targets (N,), if the law has real ones."""
PCA_BLOCK = 4096
"""Images that are in float64 at a time while the components are sought."""


@dataclass(frozen=True)
class Dataset:
    """Patterns x with labels y; images lie on the sphere |x|² = d.

    Attributes:
        x_train: (P, d).
        y_train: (P,), floating point ±1, or integer ranks 0 … C − 1 of the classes.
        x_test: (P_test, d).
        y_test: (P_test,).
        shape: of one pattern before it was made a row: (channels, height, width), or (d,); empty if it is not known.
        classes_train: index of each pattern's class among the sorted classes in use, (P,) of int64, if it is known.
        classes_test: the same of the test set, (P_test,).
        n_outputs: what a network needs for these labels: C for classes, else 1.
        x_valid: validation patterns, (P_valid, d); None: there are none.
        y_valid: (P_valid,).
        f_test: targets of the test patterns without noise, f*, (P_test,), where they are known.
        x_probe: patterns that are in no set, (n, d), where the law of the data has them.
        directions: what the target depends on, (k, d), of any length, where the law of the data says so.
        probe_votes: what m rules say of them, −1 … 1, (n, m).
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    shape: tuple[int, ...] = ()
    classes_train: Tensor | None = None
    classes_test: Tensor | None = None
    n_outputs: int = 1
    x_valid: Tensor | None = None
    y_valid: Tensor | None = None
    f_test: Tensor | None = None
    x_probe: Tensor | None = None
    probe_votes: Tensor | None = None
    directions: Tensor | None = None

    @staticmethod
    def of(x: Tensor, y: Tensor, n_train: int, n_test: int, n_valid: int = 0, classes: Tensor | None = None) -> Dataset:
        """The first patterns to train on, then those to test on, then those to validate on."""
        end = n_train + n_test
        train, test, valid = slice(n_train), slice(n_train, end), slice(end, end + n_valid)
        data = Dataset(x[train], y[train], x[test], y[test])
        if classes is not None:
            data = replace(data, classes_train=classes[train], classes_test=classes[test])
        return replace(data, x_valid=x[valid], y_valid=y[valid]) if n_valid else data

    @property
    def input_dim(self) -> int:
        """d, numbers in one pattern."""
        return self.x_train.shape[1]

    @property
    def fingerprint(self) -> Fingerprint:
        """Fingerprint of patterns and labels before they are cast, and of targets f* that are not the test labels."""
        clean = None if self.f_test is None or torch.equal(self.f_test, self.y_test) else self.f_test
        valid = [part for part in (self.x_valid, self.y_valid, clean) if part is not None]
        return Fingerprint.of(self.x_train, self.y_train, self.x_test, self.y_test, *valid)

    def to(self, dtype: torch.dtype, device: torch.device) -> Dataset:
        """The same data on another device, and all but the indices of classes in another dtype."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, dtype if value.is_floating_point() else value.dtype)
        return replace(self, **moved)


def interleave_classes(classes: np.ndarray, seed: int, cycle: Sequence[int] = ()) -> np.ndarray:
    """Indices in the order c0, c1, …, c0, c1, …, each class shuffled; the order ends where a class does.

    Args:
        classes: class of each image (N,).
        seed: the data seed; it decides the order within each class.
        cycle: the order of classes that is repeated, whole times; a class may be in it more than once. All classes
            once, ascending, if it is empty.

    Returns:
        Indices, a multiple of the length of the cycle, without repetition.
    """
    turn = np.asarray(cycle or np.unique(classes))
    # Each class has its own stream, so that its order does not depend on the sizes of the others.
    shuffled = {c: stream(seed, "split", str(c)).permutation(np.flatnonzero(classes == c)) for c in np.unique(turn)}
    turns = min(len(indices) // int((turn == c).sum()) for c, indices in shuffled.items())
    order = np.empty((turns, len(turn)), dtype=np.int64)
    for c, indices in shuffled.items():
        places = np.flatnonzero(turn == c)
        order[:, places] = indices[: turns * len(places)].reshape(turns, len(places))
    return order.ravel()


def to_sphere(images: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Subtract the mean image, then scale every image (a row of d numbers) to |x|² = d.

    Raises:
        DataError: an image that equals the mean image and so has no direction.
    """
    return scaled_to_sphere(images - mean, "Image {} equals the mean image")


def prepare(
    name: str | Patterns,
    n_train: int,
    n_test: int,
    seed: int,
    *,
    labels: Labels | None = None,
    n_valid: int = 0,
    classes: Sequence[int] = (),
    whitening: Fit | None = None,
    root: str | None = None,
) -> Dataset:
    """Load images and split them: first n_train patterns to train on, then n_test to test on, then n_valid.

    All sets are balanced in the labels because classes are interleaved and all sizes are multiples of the number of
    labels. The mean image and the principal components are those of all images in the order that is split.

    Args:
        name: a key of ``sources()``; or patterns that are loaded.
        n_train: P, even; for classes a multiple of their number.
        n_test: P_test, likewise.
        seed: the data seed: one split for all members, α and widths.
        labels: from classes to y; the article's parity if omitted.
        n_valid: validation patterns, likewise.
        classes: those in use; all if empty.
        whitening: what is fitted to all images on their sphere and then done to them, such as
            ``partial(Components, components=10)``; the images themselves if omitted.
        root: folder of downloaded files; see ``cache.data_root``.

    Returns:
        The data in float64 on the CPU.

    Raises:
        DataError: unknown set, files that are missing or damaged, classes that cannot be labelled, sizes that cannot
            be balanced, or more patterns asked for than the balanced set has.
    """
    found = _loaded(name, root, seed) if isinstance(name, str) else name
    labels, images, targets = labels or Parity(), found.images, found.targets
    # Real targets have no classes: all are of one, which the order is of.
    c = found.classes if found.classes is not None else np.zeros(len(images), dtype=np.int64)
    names = labels.in_use(classes or np.unique(c).tolist()) if targets is None else [0]
    order = interleave_classes(c, seed, labels.cycle(names))
    _check_sizes(labels.unit(names), n_train, n_test, n_valid)
    if n_train + n_test + n_valid > len(order):
        kind = "in balanced classes" if targets is None else "in all"
        raise DataError(f"{found.name} has {len(order)} patterns {kind}; {in_all(n_train, n_test, n_valid)}.")
    mean = images[order].mean(axis=0, dtype=np.float64)
    used = order[: n_train + n_test + n_valid]
    x, shape = to_sphere(images[used], mean), found.shape
    if whitening:
        white = whitening(_on_sphere(images, order, mean))
        x, shape = white(x), white.shape or shape
    y = real(tensor(labels.values(c[used], names, None if targets is None else targets[used]), "labels"), "labels")
    ranks = torch.from_numpy(np.searchsorted(names, c[used])) if targets is None else None
    data = Dataset.of(torch.from_numpy(x), y, n_train, n_test, n_valid, ranks)
    return replace(data, shape=shape, n_outputs=labels.n_outputs(names))


def transformed(data: Dataset, how: str) -> Dataset:
    """The same images, of a shape (channels, height, width), with their pixels in another order.

    ``mirror`` has left for right, ``transpose`` rows for columns of square images, ``none`` changes nothing.
    """
    if how == "none":
        return data

    def moved(x: Tensor) -> Tensor:
        images = x.unflatten(1, data.shape)
        return (images.flip(-1) if how == "mirror" else images.mT).flatten(1)

    valid = None if data.x_valid is None else moved(data.x_valid)
    return replace(data, x_train=moved(data.x_train), x_test=moved(data.x_test), x_valid=valid)


def _loaded(name: str, root: str | None, seed: int) -> Patterns:
    images, classes = load_source(name, root, seed)
    return Patterns(name, images, sources()[name].shape, classes)


def prepare_synthetic(
    law: Law, n_train: int, n_test: int, seed: int, *, labels: Labels | None = None, n_valid: int = 0
) -> Dataset:
    """Draw patterns of a law and split them, balanced, as ``prepare`` does with images.

    Args:
        law: of patterns and classes.
        n_train: P, even.
        n_test: P_test, even.
        seed: the data seed.
        labels: from classes to y; the parity of the class if omitted, ±1 for the classes 1 and 0.
        n_valid: validation patterns, even.

    Raises:
        DataError: classes that cannot be labelled or that hardly ever occur, or odd sizes.
    """
    labels = labels or Parity()
    names = labels.in_use(range(law.n_classes))
    _check_sizes(labels.unit(names), n_train, n_test, n_valid)
    x, c, targets = draw(law, seed, labels.cycle(names), n_train + n_test + n_valid)
    y = real(tensor(labels.values(c, names, targets), "labels"), "labels")
    ranks = torch.from_numpy(np.searchsorted(names, c))
    data = Dataset.of(reals(x, "patterns"), y, n_train, n_test, n_valid, ranks)
    if labels.real and targets is not None:
        data = without_noise(data, law.expected(data.x_test.numpy()))
        data = with_noise(data, law.noise_sd, seed)
    if (directions := law.directions(seed)) is not None:
        data = replace(data, directions=reals(directions, "directions"))
    if (probes := law.probes(seed)) is not None:
        data = replace(data, x_probe=reals(probes[0], "probes"), probe_votes=reals(probes[1], "votes on probes"))
    return replace(data, shape=law.shape, n_outputs=labels.n_outputs(names))


def without_noise(data: Dataset, clean: np.ndarray | None) -> Dataset:
    """The same with the expectation of what is drawn for test targets, if the law draws targets."""
    return data if clean is None else replace(data, y_test=reals(clean, "targets without noise"))


def with_noise(data: Dataset, sd: float, seed: int) -> Dataset:
    """The same patterns with N(0, sd²) added to what is learnt from: targets that are not those of the test patterns.

    Test targets stay f*, so that (F − f*)² there is the excess risk. More patterns have the same noise and some more.
    """

    def noisy(y: Tensor | None, name: str) -> Tensor | None:
        if y is None or not sd:
            return y
        return y + sd * torch.from_numpy(stream(seed, "synthetic", "noise", name).standard_normal(len(y)))

    y_train = noisy(data.y_train, "train")
    assert y_train is not None
    return replace(data, y_train=y_train, y_valid=noisy(data.y_valid, "valid"), f_test=data.y_test)


def in_all(n_train: int, n_test: int, n_valid: int) -> str:
    """How many patterns three keys ask for, in words."""
    sizes = {"dataset.n_train": n_train, "dataset.n_test": n_test} | ({"dataset.n_valid": n_valid} if n_valid else {})
    return f"{' + '.join(sizes)} = {' + '.join(map(str, sizes.values()))} asks for {sum(sizes.values())}"


def _check_sizes(unit: int, n_train: int, n_test: int, n_valid: int) -> None:
    if n_train % unit or n_test % unit or n_valid % unit:
        what = "even" if unit == 2 else f"multiples of {unit}"
        sizes = f"n_train = {n_train} and n_test = {n_test}" + (f" and n_valid = {n_valid}" if n_valid else "")
        raise DataError(f"{sizes} must be {what}, or the labels are not balanced.")


def _on_sphere(images: np.ndarray, order: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(order), PCA_BLOCK):
        yield to_sphere(images[order[start : start + PCA_BLOCK]], mean)


def draw(law: Law, seed: int, cycle: Sequence[int], n: int) -> Drawn:
    """Draw patterns of a law until there are n in the order of a cycle of classes, or of the law's own.

    Each class keeps the order in which its patterns were drawn, so a larger n only adds patterns.

    Args:
        law: of patterns and classes.
        seed: the data seed.
        cycle: classes in the order in which they follow each other; see ``labels``.
        n: how many patterns.

    Returns:
        Patterns, classes and targets of the n patterns.

    Raises:
        DataError: a class that hardly ever occurs.
    """
    rng = stream(seed, "synthetic", "patterns")
    wanted = law.in_turn(cycle, seed, n)
    free = {name: np.flatnonzero(wanted == name) for name in set(cycle)}
    x, target = np.empty((n, *law.shape)), None
    seen: set[bytes] = set()
    drawn = 0
    while any(map(len, free.values())):
        if drawn > PATIENCE * (n + BLOCK):
            raise DataError(
                f"dataset={law.kind}: a class hardly ever occurs; of {drawn} patterns drawn too few belong to it."
            )
        made, classes, targets = law.sample(rng, BLOCK, seed)
        block = reals(made, f"patterns of dataset={law.kind}").numpy()
        drawn += BLOCK
        fresh = _fresh(block, seen) if law.once else np.ones(BLOCK, dtype=bool)
        for name, places in free.items():
            found = np.flatnonzero(fresh & (classes == name))[: len(places)]
            here, free[name] = places[: len(found)], places[len(found) :]
            x[here] = block[found]
            if targets is not None:
                target = np.empty(n) if target is None else target
                target[here] = targets[found]
    return x, wanted, target


def _fresh(block: np.ndarray, seen: set[bytes]) -> np.ndarray:
    """Which patterns of signs (n, d) were not seen before, neither in this block; all are, after this."""
    keys = [row.tobytes() for row in np.packbits(block > 0, axis=1)]
    return np.array([not (key in seen or seen.add(key)) for key in keys])
