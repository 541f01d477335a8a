"""Laws on the terminal: those measured in a table, the others by what they need."""

import pytest

from analysis.__main__ import main
from feature_lazy.study.laws import CONTRASTS, laws
from feature_lazy.study.terminal import law_table
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, unmeasured
from tests.study.conftest import sweep
from tests.study.stored_sweeps import plant


@pytest.fixture(scope="module")
def planted():
    return sweep(seeds=5, fall=0.5)


def test_table_on_the_terminal_has_the_verdicts(planted):
    found = laws(planted)
    shown = law_table(found)
    assert [column.header for column in shown.columns] == ["law", "where", "expected", "measured", "verdict"]
    assert set(shown.columns[4].cells) == {AGREES, CANNOT_TELL}
    assert unmeasured(found) == []


def test_what_a_sweep_cannot_show_is_one_sentence_for_each_thing_that_it_lacks(planted):
    found = laws(planted[planted["h"] == 30])
    rows = list(law_table(found).columns[0].cells)
    said = unmeasured(found)
    assert "Needs a kernel change through 1 at two widths: α* against h." in said
    assert len(said) == len(set(said)) < len(found) - len(rows)
    for law in found:
        assert (law.name in rows) == (not any(law.name in sentence for sentence in said)), law.name


@pytest.mark.parametrize(("columns", "shown"), [("119", False), ("120", True)])
def test_a_narrow_terminal_leaves_out_where_a_law_stands(tmp_path, capsys, monkeypatch, columns, shown):
    monkeypatch.setenv("COLUMNS", columns)
    main(["laws", str(plant(tmp_path, seeds=2))])
    assert ("Fig. 5a" in capsys.readouterr().out) == shown


def test_laws_of_every_kind_of_run_in_a_folder(tmp_path, capsys, monkeypatch):
    """What ``figures`` refuses to show together, ``laws`` judges apart, and then the difference."""
    monkeypatch.setenv("COLUMNS", "300")
    for bias in (0.0, 0.1):
        plant(tmp_path, config={"architecture": {"kind": "fully_connected", "bias": bias}}, rng=int(10 * bias))
    main(["laws", str(tmp_path)])
    kinds, judged = capsys.readouterr().out.split(CONTRASTS)
    assert kinds.count("kernel change, lazy exponent") == 2
    assert "architecture.bias = 0.0" in kinds
    assert "architecture.bias = 0.1" in kinds
    assert judged.count("test/error: bias 0.1") == 1
    assert "within the scatter of seeds" in judged


def test_laws_of_one_kind_of_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    main(["laws", str(plant(tmp_path))])
    printed = capsys.readouterr().out
    assert "arXiv:1906.08034" in printed
    assert "What ought not to matter" not in printed
