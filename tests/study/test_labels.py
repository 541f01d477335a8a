"""A number that only its runs know, an observable of a user's own, is shown under the label that they state."""

import hashlib
import json

import pytest

from feature_lazy.launch.commands import main
from feature_lazy.measure.quantity import Quantity
from feature_lazy.runs.reading import DONE, checksum
from feature_lazy.study.labels import USUAL, others, quantities
from feature_lazy.study.table import read
from tests.study import stored_sweeps

MINE = Quantity("centred alignment CKA(Θ, Θ₀)", scale="linear", where="my thesis")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A planted sweep whose runs record ``mine/cka`` and say what it is."""
    history = stored_sweeps.history
    monkeypatch.setattr(
        stored_sweeps, "history", lambda *args: [{**row, "mine/cka": 1 / (1 + row["t"])} for row in history(*args)]
    )
    root = stored_sweeps.plant(tmp_path / "sweep", xs=(0.1, 1.0, 1e3, 1e4), seeds=2, **{"mine/cka": 0.5})
    for path in root.glob("runs/*/manifest.json"):
        manifest = json.loads(path.read_text()) | {"quantities": {"mine/cka": MINE.plain()}}
        path.write_text(json.dumps(manifest | {"sha256": checksum(manifest)}))
        path.with_name(DONE).write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    return root


def test_own_number_is_in_report_dashboard_and_figures(folder, capsys):
    assert main(["report", str(folder)]) == 0
    assert '"mine/cka":"centred alignment CKA(Θ, Θ₀)"' in (folder / "report.html").read_text()
    assert main(["figures", str(folder)]) == 0
    assert (folder / "figures" / "mine_cka.png").stat().st_size > 2000
    capsys.readouterr()
    assert main(["dashboard", "laziness", "--results", str(folder), "--dry-run"]) == 0
    text = json.dumps(json.loads(capsys.readouterr().out), ensure_ascii=False)
    assert text.count('"Centred alignment CKA(Θ, Θ₀)"') == 2  # of the workspace and of the report
    assert '"Other"' in text


def test_what_runs_state_comes_over_the_usual_and_is_found_by_pattern(folder):
    runs = list(read(folder)["run"])
    known = quantities(runs)
    assert known["mine/cka"] == MINE
    assert others(["t", "mine/cka", "train/loss", "kernel/W0/share"], known) == {"mine/cka": MINE}
    mine = Quantity("of mine")
    found = others(["mine/a", "mine/b", "unknown"], {**USUAL, "mine/*": mine})
    assert found == {"mine/a": mine, "mine/b": mine}
