"""Figures as PGF: with the LaTeX that is here, by the next one where the first fails, and with a reason if none can."""

import shutil
import subprocess
import unicodedata

import matplotlib.pyplot as plt
import pytest
from matplotlib.backends.backend_pgf import LatexError

from analysis.figures.registry import draw_article
from feature_lazy.study.figures import pgf
from feature_lazy.study.figures.pgf import ENGINES, SYMBOLS, save_pgf
from tests.conftest import ROOT
from tests.study.planted_figures import plant

DOCUMENT = r"""\documentclass{article}
\usepackage{pgf}
\def\mathdefault#1{#1}
\usepackage[strings]{underscore}
PREAMBLE
\begin{document}\resizebox{\textwidth}{!}{\input{FIGURE}}\end{document}
"""


@pytest.fixture
def figure():
    figure, axes = plt.subplots()
    axes.set_title("".join(SYMBOLS))
    yield figure
    plt.close(figure)


@pytest.fixture
def here(monkeypatch):
    """Choose what is installed, and what it says: the engines asked, in their order, are in the list."""

    def choose(says):
        asked = []

        def save(self, path, **_):
            asked.append(plt.rcParams["pgf.texsystem"])
            path.write_text("begun")
            if (error := says[asked[-1]]) is not None:
                raise error

        monkeypatch.setattr(pgf.shutil, "which", lambda name: name if name in says else None)
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)
        return asked

    return choose


def test_the_next_latex_is_asked_where_one_fails(figure, here, tmp_path):
    asked = here({"xelatex": LatexError("failed", "!  ==> Fatal error"), "pdflatex": None})
    assert save_pgf(figure, tmp_path / "x.pgf", below=None) == ""
    assert asked == ["xelatex", "pdflatex"]
    assert (tmp_path / "x.pgf").exists()


def test_latex_that_fails_is_named_with_its_reason_and_leaves_no_file(figure, here, tmp_path):
    here({"xelatex": LatexError("failed\n! Font not found.", ""), "lualatex": RuntimeError("no fontspec")})
    said = save_pgf(figure, tmp_path / "x.pgf", below=None)
    assert said.endswith("with LaTeX, and xelatex: ! Font not found.; lualatex: no fontspec.")
    assert list(tmp_path.iterdir()) == []


def test_what_else_was_asked_for_is_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("feature_lazy.study.figures.sheet.save_pgf", lambda figure, path, below: "PGF is left out: no.")
    written, sentences = draw_article("fig9", [plant(tmp_path / "results", seeds=1)], tmp_path, ["pgf", "pdf"])
    assert [path.name for path in written] == ["fig9.pdf", "fig9.csv"]
    assert sentences[-1] == "PGF is left out: no."


def test_every_symbol_of_the_figures_is_known_to_pdflatex():
    text = "".join(path.read_text() for path in sorted((ROOT / "analysis" / "figures").glob("*.py")))
    others = {c for c in text if ord(c) > 0x2FF and c not in "–…"}
    assert {f"{c} {unicodedata.name(c)}" for c in others - set(SYMBOLS)} == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_document_can_input_it(figure, engine, tmp_path, monkeypatch):
    if not shutil.which(engine):
        pytest.skip(f"there is no {engine} (Debian: texlive-xetex, texlive-luatex or texlive-latex-recommended)")
    monkeypatch.setattr(pgf, "ENGINES", (engine,))
    assert save_pgf(figure, tmp_path / "figure.pgf", below=None) == ""
    preamble = pgf.PREAMBLE if engine == "pdflatex" else r"\usepackage{fontspec}"
    document = DOCUMENT.replace("PREAMBLE", preamble).replace("FIGURE", "figure.pgf")
    (tmp_path / "document.tex").write_text(document)
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "document.pdf").stat().st_size > 1000
