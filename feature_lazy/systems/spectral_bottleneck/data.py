"""Data ``signal``: samples of a function of one variable on a regular grid, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.arrays import reals
from feature_lazy.core.errors import DataError
from feature_lazy.core.streams import stream
from feature_lazy.data.on_disk import ELSEWHERE, OfFiles
from feature_lazy.data.rules import listed
from feature_lazy.settings.groups import Data, Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config


@option("dataset", "signal")
class Signal(OfFiles, Data):
    """P samples y_i at x_i = −1 + 2i/P, of mean square 1: drawn within a band of frequencies, or your own.

    Drawn signals are Σ_k a_k cos πkx + b_k sin πkx with a, b ~ N(0, 1) over the k of the band. Test patterns lie
    halfway between samples; their targets are the trigonometric interpolation, which of drawn signals is the signal.
    """

    n_train: int = key(512, "P, samples of the signal; of your own the first ones", ge=2)
    n_test: int = key(512, "P_test, places halfway between samples, the first ones", ge=2, at_most="n_train")
    band: list[float] = key(
        [0.625, 1.0], "frequencies of a drawn signal over half of the sampling rate, from one to below another", ge=0
    )
    path: str = key("", "your own samples: .npy of numbers in a row, or .wav of one channel", science=False)

    @property
    def of_files(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether it is your own: a drawn signal is in no file."""
        return bool(self.path or self.content)

    @property
    def shape(self) -> tuple[int, ...]:
        return (1,)

    @property
    def bins(self) -> list[int]:
        """Frequencies k of a drawn signal, in periods over the grid."""
        low, high = self.band
        return [k for k in range(1, (self.n_train + 1) // 2) if low <= 2 * k / self.n_train < high]

    def sha256(self) -> str:
        """Of the file of your own samples, as it is now.

        Raises:
            DataError: it cannot be read.
        """
        from feature_lazy.data.readers import content

        return content([Path(self.path)])

    def problems(self, config: Config) -> Iterator[str]:
        if not config.labels.real:
            yield f"labels={config.labels.kind}: samples of dataset=signal are real numbers; use labels=regression."
        if self.n_valid:
            yield f"dataset.n_valid={self.n_valid}: a signal has samples and places between them alone; it must be 0."
        if self.path or self.content:
            yield from self._file_problems()
        elif len(self.band) != 2 or not self.band[0] < self.band[1] <= 1:
            yield f"dataset.band={listed(self.band)}: must be two numbers, ascending, from 0 to 1."
        elif not self.bins:
            yield f"dataset.band={listed(self.band)}: has no frequency of dataset.n_train={self.n_train} samples."

    def _file_problems(self) -> Iterator[str]:
        if not self.path:
            # The science of a stored run, which is the content, wherever it lies.
            yield f"dataset={self.kind}: {ELSEWHERE}"
            return
        try:
            self.samples()
            now = self.sha256()
        except DataError as error:
            yield f"dataset.path={self.path}: {str(error).rstrip('.')}."
            return
        yield from self.changed(now)

    def samples(self) -> np.ndarray:
        """The signal on its grid, (P,).

        Raises:
            DataError: a file that is not what it should be, or with too few samples.
        """
        if self.path:
            found = read_samples(Path(self.path))
            if len(found) < self.n_train:
                raise DataError(f"it has {len(found)} samples, and dataset.n_train={self.n_train} asks for more")
            found = found[: self.n_train]
        else:
            k = np.array(self.bins)
            waves = np.pi * np.outer(grid(self.n_train), k)
            a, b = stream(self.seed, "signal").standard_normal((2, len(k)))
            found = np.cos(waves) @ a + np.sin(waves) @ b
        if not (size := np.sqrt(np.square(found).mean())):
            raise DataError("all samples are 0")
        return found / size

    def build(self, labels: Labels) -> Dataset:
        from feature_lazy.data.prepare import Dataset

        if self.path and (problem := next(self._file_problems(), "")):
            raise DataError(problem)
        y, x = self.samples(), grid(self.n_train)
        samples, between = (
            (reals(place[:, None], "places"), reals(value, "samples"))
            for place, value in ((x, y), ((x + 1 / len(x))[: self.n_test], halfway(y)[: self.n_test]))
        )
        return Dataset(*samples, *between, shape=self.shape)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["labels=regression", "loss=mse"]


def grid(n: int) -> np.ndarray:
    """Places of n samples, (n,): from −1 to one step below 1, as what is drawn has a period of 2."""
    return -1 + 2 * np.arange(n) / n


def halfway(y: np.ndarray) -> np.ndarray:
    """Trigonometric interpolation of samples (n,) half a step further on, (n,)."""
    spectrum = np.fft.rfft(y)
    return np.fft.irfft(spectrum * np.exp(1j * np.pi * np.arange(len(spectrum)) / len(y)), len(y))


def centroid(y: np.ndarray) -> float:
    """ψ = 2Σf|X|/Σ|X| of samples (n,), with X their Fourier transform and f ≤ ½ its frequencies: 0 … 1 (2509.09719)."""
    size = np.abs(np.fft.rfft(y))
    return float(2 * (np.fft.rfftfreq(len(y)) @ size) / size.sum())


def read_samples(path: Path) -> np.ndarray:
    """Samples of a file, (n,) of float64.

    Raises:
        DataError: a file that cannot be read, that is neither .npy nor .wav, or that has no row of finite numbers.
    """
    from scipy.io import wavfile

    readers = {".npy": lambda: np.load(path, allow_pickle=False), ".wav": lambda: wavfile.read(path)[1]}
    if path.suffix not in readers:
        raise DataError(f"{path.name} is none of {', '.join(readers)}: save it as one of them")
    try:
        found = np.asarray(readers[path.suffix]())
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path.name} cannot be read as {path.suffix} ({error})") from error
    if found.ndim != 1 or found.dtype.kind not in "iuf":
        raise DataError(f"{path.name} has {found.dtype} of the shape {found.shape}; it must be numbers in a row, (P,)")
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise DataError(f"{path.name} has infinities or NaN among its samples")
    return found
