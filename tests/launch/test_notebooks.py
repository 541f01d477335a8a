"""The notebooks of docs/notebooks run in Jupyter from top to bottom, and are stored without outputs or paths."""

import json
import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
CELL = 6000
"""Letters that an output of a cell may have."""


def cells(path, kind):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["figures_of_a_paper", "first_sweep", "own_network"]


@every_notebook
def test_it_runs_in_jupyter(path, tmp_path):
    """In a kernel and a folder of its own; nothing goes to stderr, and no output fills the page."""
    client = NotebookClient(
        nbformat.read(path, 4),
        kernel_name="python3",
        timeout=600,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    without = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # Jupyter's own shows figures
    done = client.execute(env={**without, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    shown = [output.data for output in outputs if "data" in output]
    assert any("image/png" in data for data in shown)
    texts = [text for data in shown for kind, text in data.items() if kind.startswith("text/")]
    assert max(map(len, texts)) < CELL


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
