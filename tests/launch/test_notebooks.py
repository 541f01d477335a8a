"""The notebooks of docs/notebooks run from top to bottom, and are stored without outputs and without paths."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
CELL = 6000
"""Letters that the last line of a cell may show."""


def cells(path, kind):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def run(path):
    """All cells in one namespace, as a kernel would; of a last expression what is shown of it: its kind and length."""
    names, shown = {"__name__": "__main__"}, []
    for source in cells(path, "code"):
        *body, last = ast.parse(source).body
        if not isinstance(last, ast.Expr):
            body, last = [*body, last], None
        exec(compile(ast.Module(body, []), path.name, "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), path.name, "eval"), names)
        if value is not None:
            html = getattr(value, "_repr_html_", str)() or repr(value)
            shown.append((type(value).__name__, len(html)))
    return shown


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["figures_of_a_paper", "first_sweep", "own_network"]


@every_notebook
def test_it_runs(path, tmp_path):
    """In a process of its own, in a folder of its own."""
    code = f"import json, sys; from pathlib import Path; from tests.launch.test_notebooks import run; " \
           f"found = run(Path({str(path)!r})); Path('shown.json').write_text(json.dumps(found))"  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = json.loads((tmp_path / "shown.json").read_text())
    assert {"Figure"} < {kind for kind, _ in shown}
    assert max(length for _, length in shown) < CELL


@every_notebook
def test_it_is_stored_clean(path):
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert not re.search(r"/(home|root|work|tmp|Users)/", path.read_text())


@every_notebook
def test_its_links_lead_somewhere(path):
    for text in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (path.parent / target).is_file(), target
