"""Figures as files: drawn in memory, and written like every other file."""

import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import write_atomically
from feature_lazy.study.figures.style import STYLE

DIGITS = 13
"""Of numbers in the CSV beside a figure."""


def save_figure(figure: Figure, path: Path, *, below: Path | None, **options: Any) -> Path:
    """Write a figure in the format that the name says; where it is.

    Args:
        figure: of matplotlib.
        path: the file.
        below: see ``core.files``.
        options: of ``Figure.savefig``.

    Raises:
        StoreError: it cannot be written.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], **{"dpi": STYLE["savefig.dpi"], **options})
    return save_bytes(path, drawn.getvalue(), below=below)


def save_bytes(path: Path, data: bytes, *, below: Path | None) -> Path:
    """Write what a figure shows, or what it is made of; where it is.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_atomically(path, data, below=below, sync=False)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}).") from error
    return path
