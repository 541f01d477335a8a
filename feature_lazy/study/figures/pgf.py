"""Figures as PGF, for LaTeX to input: matplotlib has LaTeX measure every text."""

import shutil
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.backends.backend_pgf import LatexError
from matplotlib.figure import Figure

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


def save_pgf(figure: Figure, path: Path) -> str:
    """Write a figure with the first LaTeX that is here and can; the head of the file says what preamble it takes.

    Returns:
        A sentence on why it was not written; empty if it was.
    """
    reasons = []
    for engine in (name for name in ENGINES if shutil.which(name)):
        settings = {"pgf.texsystem": engine, "pgf.preamble": PREAMBLE if engine == "pdflatex" else ""}
        try:
            with plt.rc_context(settings):
                figure.savefig(path)
        except (LatexError, ValueError, RuntimeError, OSError) as error:
            path.unlink(missing_ok=True)
            said = [line for line in str(error).splitlines() if line.startswith("!")] or str(error).splitlines()[:1]
            reasons.append(f"{engine}: {' '.join(said)[:200]}")
        else:
            return ""
    why = "; ".join(reasons) or f"none of {', '.join(ENGINES)} is here"
    return f"PGF is left out: matplotlib measures its text with LaTeX, and {why}."
