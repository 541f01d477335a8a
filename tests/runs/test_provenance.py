"""What a run tells of how it was made, or failed; and that no secret is among it."""

from feature_lazy.runs.batch import build
from feature_lazy.runs.failures import record
from feature_lazy.runs.reading import ERROR, load_run
from feature_lazy.runs.store import Store
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK


def test_error_file_tells_what_is_needed_and_no_secret(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-0123456789")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("UNKNOWN_VARIABLE", "unrecorded-value")
    [cell] = cells(tiny(*QUICK))
    store = Store(tmp_path / "results")
    record(store, [cell], "ValueError: key s3cr3t-0123456789", "Traceback: s3cr3t-0123456789")
    text = (store.path(cell.run_id) / ERROR).read_text()
    assert text.startswith("ValueError: key ***\n")
    assert "SLURM_JOB_ID: 4711" in text
    assert '"n_train": 20' in text
    assert "s3cr3t" not in text
    assert "unrecorded-value" not in text


def test_no_secret_in_any_file_of_a_run(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-0123456789")
    run(build(tiny(*QUICK)))
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert not [path for path in files if b"s3cr3t" in path.read_bytes()]


def test_provenance(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    config = tiny(*QUICK, "seed=ensemble", "seed.members=2")
    stored = run(build(config))
    manifest = stored[0].manifest
    assert manifest["resolved"]["device"] == "cpu"
    made = manifest["provenance"]
    [segment] = made["segments"]
    assert segment["environment"]["SLURM_JOB_ID"] == "12"
    assert segment["ended"] >= segment["started"]
    assert made["wall_seconds"] == segment["wall_seconds"] > 0
    assert segment["peak_memory"] > 2**20
    assert made["trained_together"] == 2
    assert made["versions"]["torch"]
    assert len(made["git"]["revision"]) == 40
    if made["git"]["modified"]:
        assert (tmp_path / "results" / "sources" / f"{made['git']['diff']}.diff").exists()
    assert load_run(stored[0].path).summary["gradients"] > 0
