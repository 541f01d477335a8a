"""The report as a file: where its runs come from, how to make them again, and what may stand in it."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.__main__ import main
from feature_lazy.core.errors import StoreError
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.survey import survey
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells as cells_of
from feature_lazy.study.report import write_report
from feature_lazy.study.report.groups import group
from feature_lazy.study.report.origin import _command, _overrides, duration, provenance, repeat
from feature_lazy.study.report.page import as_json, number, numbers
from tests.conftest import QUICK
from tests.study.stored_sweeps import XS, plant


def test_provenance_counts_what_was_shared_once(tmp_path):
    [whole] = group(survey(plant(tmp_path)))
    found = dict(provenance(whole.entries))
    assert found["Git revision"] == "0123456789ab"
    assert found["Hosts"] == "node7"
    # 54 runs of 1.5 s in pairs.
    assert found["Wall time"] == "40.5 s in all, 0.75 s a run"
    assert (duration(59.9), duration(61), duration(7260)) == ("1 min 00 s", "1 min 01 s", "2 h 01 min")


def test_the_command_trains_the_same_runs_again(tiny, configure, tmp_path):
    """Every scientific key is in it: composed anew it has the same run ids."""
    config = tiny(
        *QUICK, "seed=ensemble", "seed.members=2", "dataset.classes=[0,1,2,3]", "observe=times", "observe.times=[1,2]"
    )
    write_plan(tmp_path / "results", [config])
    run(build(config))
    [part] = group(survey(tmp_path / "results"))
    assert part.name == ""
    [command] = repeat(part.entries, "DIR")
    words = shlex.split(command)
    assert words[:3] == ["python", "train.py", "-m"]
    assert "seed.value=0,1" in words
    single = [word for word in words[3:] if not word.startswith("seed.value")]
    again = [c.run_id for seed in (0, 1) for c in cells_of(configure(*single, f"seed.value={seed}"))]
    assert sorted(again) == sorted(entry.run_id for entry in part.entries)


BIAS = {"architecture": {"kind": "fully_connected", "bias": 0.1}, "dynamics": {"kind": "gradient_flow"}}
NONE = BIAS | {"architecture": {"kind": "fully_connected", "bias": 0.0}}


@pytest.mark.parametrize(("other", "there"), [(BIAS, True), (NONE | {"loss": {"kind": "mse"}}, False)])
def test_what_ought_not_to_matter_is_judged_across_groups(tmp_path, other, there):
    plant(tmp_path, xs=XS[2:5], config=NONE)
    plant(tmp_path, xs=XS[2:5], config=other, rng=1)
    text = write_report(tmp_path).read_text()
    assert ("What ought not to matter" in text) == there
    assert ("<td>test/error: bias 0.1</td><td>Fig. 16</td>" in text) == there


def test_laws_that_a_grid_cannot_show_are_sentences_below_the_others(tmp_path):
    text = write_report(plant(tmp_path, widths=(30,))).read_text()
    assert "<td>kernel change, lazy exponent</td>" in text
    assert "<li>Needs a kernel change through 1 at two widths: α* against h.</li>" in text
    assert "<td>α* against h</td>" not in text


def test_data_cannot_end_their_script():
    text = as_json({"name": "</script><!--\u2028"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"name": "</script><!--\u2028"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json({"x": float("nan")})


def test_numbers_as_a_person_reads_them():
    assert [number(v) for v in (None, 1e-5, 0.125, 100, 1e5, 1.5e12)] == ["–", "1e-5", "0.125", "100", "1e5", "1.5e12"]
    assert numbers([1, 2]) == "1, 2"
    assert numbers(list(range(100))).endswith("20, 21, …, 99 (100)")


def test_command_line(tmp_path, monkeypatch, capsys):
    plant(tmp_path / "sweep", xs=XS[2:4], seeds=1)
    output = tmp_path / "out.html"
    monkeypatch.setattr("sys.argv", ["analysis", "report", str(tmp_path / "sweep"), "--output", str(output)])
    main()
    assert str(output) in capsys.readouterr().out
    assert output.read_text().startswith("<!DOCTYPE html>")
    assert list(tmp_path.glob(".*")) == []
    for arguments, sentence in (
        ([str(tmp_path / "nowhere")], "There are no runs in"),
        ([str(tmp_path / "sweep"), "--output", str(output / "x.html")], "cannot be written"),
    ):
        monkeypatch.setattr("sys.argv", ["analysis", "report", *arguments])
        with pytest.raises(SystemExit, match="1"):
            main()
        assert sentence in capsys.readouterr().err


def test_a_file_is_no_results_folder(tmp_path):
    with pytest.raises(StoreError, match="There are no runs in"):
        write_report(tmp_path)


TRICKS = ("$(touch x)", "`id`", "a b", "'", '"; rm -rf ~ #', "\n", "-m", "")
WORDS = st.text(max_size=20) | st.sampled_from(TRICKS)
VALUES = WORDS | st.integers() | st.none() | st.dictionaries(WORDS, WORDS, max_size=2)
CONFIGS = st.dictionaries(WORDS, WORDS | st.dictionaries(WORDS, VALUES, max_size=3), max_size=4)


@given(CONFIGS)
def test_a_shell_gives_back_the_words_of_a_strangers_command(config):
    """Names of options and values of a stored configuration are shown to be pasted into a shell."""
    words = ["python", "train.py", "-m", *_overrides([config]), "output_dir=DIR"]
    assert shlex.split(_command([config], "DIR")) == words
