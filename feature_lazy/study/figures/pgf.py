"""Figures as PGF, for LaTeX to input: matplotlib has LaTeX measure every text."""

import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.backends.backend_pgf import LatexError
from matplotlib.figure import Figure

from feature_lazy.study.figures.saving import save_bytes

ENGINES = ("xelatex", "lualatex", "pdflatex")
"""What can measure text, in matplotlib's order of preference."""
SYMBOLS = {
    "√": r"\surd",
    "α": r"\alpha",
    "β": r"\beta",
    "ε": r"\varepsilon",
    "ℓ": r"\ell",
    "Θ": r"\Theta",
    "∇": r"\nabla",
    "‖": r"\|",
    "−": "-",
    "·": r"\cdot",
    "×": r"\times",
    "±": r"\pm",
    "½": r"\frac12",
    "₀": "_0",
    "₁": "_1",
    "≤": r"\le",
    "≥": r"\ge",
    "←": r"\leftarrow",
    "→": r"\rightarrow",
}
"""Mathematics for pdfLaTeX, which knows no Unicode beyond letters and dashes."""
PREAMBLE = "".join(f"\\DeclareUnicodeCharacter{{{ord(c):04X}}}{{\\ensuremath{{{tex}}}}}" for c, tex in SYMBOLS.items())


def save_pgf(figure: Figure, path: Path, *, below: Path | None) -> str:
    """Write a figure with the first LaTeX that is here and can; the head of the file says what preamble it takes.

    Pictures inside it are files of their own beside it.

    Args:
        figure: of matplotlib.
        path: the file.
        below: see ``core.files``.

    Returns:
        A sentence on why it was not written; empty if it was.

    Raises:
        StoreError: it cannot be written.
    """
    reasons = []
    for engine in (name for name in ENGINES if shutil.which(name)):
        settings = {"pgf.texsystem": engine, "pgf.preamble": PREAMBLE if engine == "pdflatex" else ""}
        try:
            with plt.rc_context(settings), tempfile.TemporaryDirectory() as folder:
                figure.savefig(Path(folder) / path.name)
                drawn = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        except (LatexError, ValueError, RuntimeError, OSError) as error:
            said = [line for line in str(error).splitlines() if line.startswith("!")] or str(error).splitlines()[:1]
            reasons.append(f"{engine}: {' '.join(said)[:200]}")
        else:
            for name, data in drawn.items():
                save_bytes(path.with_name(name), data, below=below)
            return ""
    why = "; ".join(reasons) or f"none of {', '.join(ENGINES)} is here"
    return f"PGF is left out: matplotlib measures its text with LaTeX, and {why}."
