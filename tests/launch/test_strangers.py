"""Every command on a stranger's folder: docs/security.md says what is safe, and here it is tried."""

import hashlib
import json
import os
import shutil

import pytest

from feature_lazy.launch.commands import modules
from feature_lazy.runs.reading import DONE, MANIFEST
from feature_lazy.runs.survey import RunState, survey
from tests.conftest import QUICK, ROOT, TINY, composed
from tests.launch.strangers import COMMANDS, HEAVY, LIGHT, SUBMISSION, call, files_of, fresh, made, mutants, signed

pytestmark = pytest.mark.usefixtures("small_pictures")
KINDS = {
    "link to a file": lambda path, victim: path.symlink_to(victim / "file"),
    "link to a folder": lambda path, victim: path.symlink_to(victim / "folder"),
    "link to nothing": lambda path, victim: path.symlink_to(victim / "new"),
    "pipe": lambda path, victim: os.mkfifo(path),
    "folder": lambda path, victim: (path / "inner").mkdir(parents=True),
    "empty": lambda path, victim: path.write_bytes(b""),
    "terabyte": lambda path, victim: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**40),
    "control characters": lambda path, victim: path.write_text("\x1b[2J\x1b]0;owned\x07\u202e\n" * 3),
    "deep": lambda path, victim: path.write_text("[" * 100_000),
    "text": lambda path, victim: path.write_text('{"a": 1}\n'),
}
PLACES = (
    *("runs/RUN/measured", "runs/RUN/measured/x.json", "runs/half/weights.part", "runs/RUN/weights.safetensors"),
    *("runs/RUN/manifest.json", "runs/RUN/history.jsonl", "runs/RUN/outputs.safetensors", "runs/RUN/done"),
    *("runs/half/manifest.json", "runs/half/history.jsonl", "runs/half/error.txt", "runs/half/owner-7.json"),
    *(
        "runs/half/CHECKPOINT",
        "runs/RUN",
        "runs/half",
        "runs/new\x1b[31m",
        "runs",
        "plans",
        "plans/PLAN",
        "plans/z.json",
    ),
    *("slurm", "slurm/2026-01-01T00-00-00Z.json", "slurm/z.json", "sources", "wandb", "tensorboard", "tracking"),
    *("report.html", ".report.html.partial", "figures", "figures/phase_diagram.png", "infinite_width.json"),
    *("baselines.json", "baselines"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return made(folder / "results", composed(*TINY, *QUICK, f"output_dir={folder / 'results'}"))


@pytest.fixture
def victim(tmp_path):
    folder = tmp_path / "victim"
    (folder / "folder" / "inner").mkdir(parents=True)
    for name in ("file", "folder/file", "folder/inner/file", "folder/manifest.json", "folder/error.txt"):
        (folder / name).write_text("precious\n")
    return folder


def place(root, name):
    """A path in a folder that was planted, whose names are hashes."""
    runs = sorted(path.name for path in (root / "runs").iterdir() if path.name != "half")
    name = name.replace("RUN", runs[0]).replace("PLAN", next((root / "plans").iterdir()).name)
    found = next((root / "runs" / "half").glob("checkpoint-*")).name
    return root / name.replace("CHECKPOINT", found)


def put(path, kind, victim):
    """Put something in place of what is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    KINDS[kind](path, victim)


@pytest.mark.parametrize("where", range(len(PLACES)), ids=[ascii(name) for name in PLACES])
def test_every_command_on_every_kind_of_thing_in_every_place(whole, tmp_path, victim, where):
    """Pairs: each command meets each kind and each place, and each kind each place."""
    before, light, heavy = files_of(victim), list(LIGHT), list(HEAVY)
    for number, kind in enumerate(KINDS):
        root = fresh(whole, tmp_path / "results")
        put(place(root, PLACES[where]), kind, victim)
        chosen = [light[(where + number * 3) % len(light)], light[(where + number * 3 + 5) % len(light)]]
        if (number + where) % len(KINDS) < (3 if where >= len(PLACES) - 5 else 1):
            chosen.append(heavy[(number + where // 3) % len(heavy)])
        for name in chosen:
            call(COMMANDS[name], root, tmp_path / "out")
            assert files_of(victim) == before, (name, kind)


@pytest.mark.parametrize(
    "name",
    ["report.html", "figures", "figures/phase_diagram.png", "infinite_width.json", "baselines.json", "baselines"],
)
def test_what_is_drawn_goes_through_no_link(whole, tmp_path, victim, name, small_pictures):
    before = files_of(victim)
    for kind in ("link to a file", "link to a folder", "link to nothing"):
        root = fresh(whole, tmp_path / "results")
        put(root / name, kind, victim)
        command = "report" if name == "report.html" else "baselines" if name.startswith("baselines") else "figures"
        said = call(COMMANDS[command], root, tmp_path / "out")
        assert files_of(victim) == before
        if name == "figures":
            assert "a link, which is not followed" in said


@pytest.mark.parametrize("name", ["runs", "plans", "slurm", "sources", "wandb"])
def test_nothing_is_removed_through_a_link(whole, tmp_path, name):
    """A folder of the victim's that looks like one of ours."""
    root = fresh(whole, tmp_path / "results")
    (root / name).mkdir(exist_ok=True)
    shutil.move(root / name, tmp_path / "theirs")
    (root / name).symlink_to(tmp_path / "theirs")
    for inner in tmp_path.glob("theirs/*"):
        (inner / ".manifest.json.0123456789abcdef0123456789abcdef").write_text("") if inner.is_dir() else None
    before = files_of(tmp_path / "theirs")
    everything = "done,damaged,queued,interrupted,stopped,failed"
    said = call(["clean", "DIR", "--yes", "--state", everything], root, tmp_path)
    assert "a link, which is not followed: nothing is written or removed through it" in said
    assert files_of(tmp_path / "theirs") == before


def test_no_command_imports_what_a_folder_names(whole, tmp_path, monkeypatch):
    """Modules of options, and targets: in every manifest, of what is computed, too, and in the plan."""
    (tmp_path / "theirs.py").write_text("raise BaseException('imported')\ndef made(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # a machine with SLURM's commands and no cluster is asked first
    root = fresh(whole, tmp_path / "results")
    [file] = (root / "plans").iterdir()
    plan = json.loads(file.read_text())
    names = {"options": ["theirs"]}
    theirs = {"architecture": {"kind": "custom", "target": "theirs.made"}, "tracking": {"kind": "custom"} | names}
    plan["jobs"][0]["config"] |= names
    file.write_text(signed(plan))
    for number, run in enumerate(sorted(path.name for path in (root / "runs").iterdir())):
        stored = json.loads((root / "runs" / run / MANIFEST).read_text())
        config = plan["jobs"][0]["config"] | (theirs if number % 2 else {})
        sign(root, run, stored | {"config": stored["config"] | names, "resolved": config})
    with pytest.raises(BaseException, match="imported"):
        call(["retry", "DIR", "--here", "--n-jobs", "1", "--state", "queued"], root, tmp_path / "out")
    for words in (*LIGHT.values(), HEAVY["figures"], HEAVY["dashboard"]):
        call(words, root, tmp_path / "out")


def test_every_command_has_its_place_in_the_documentation():
    table = (ROOT / "docs" / "security.md").read_text()
    assert [name for name in modules() if f"`{name}" not in table] == []


def sign(root, run, manifest):
    """Store a manifest, and the checksum of it that says that the run is done."""
    text = signed(manifest)
    (root / "runs" / run / MANIFEST).write_text(text)
    if (root / "runs" / run / DONE).exists():
        (root / "runs" / run / DONE).write_text(hashlib.sha256(text.encode()).hexdigest())


def try_all(root, out, number):
    """The quick commands, and now and then one that computes."""
    names = [name for name in LIGHT if name not in ("clean --yes", "cancel")]
    for name in (names[number % len(names)], "status"):
        call(COMMANDS[name], root, out)
    if number % 20 == 0:
        call(COMMANDS[list(HEAVY)[number // 20 % len(HEAVY)]], root, out)


@pytest.mark.parametrize("seed", range(2))
def test_every_leaf_of_a_manifest(whole, tmp_path, seed):
    """Whatever a signed manifest says, every command ends in a sentence, and the other runs load."""
    root = fresh(whole, tmp_path / "results")
    run = sorted(path.name for path in (root / "runs").iterdir() if path.name != "half")[seed]
    stored = json.loads((root / "runs" / run / MANIFEST).read_text())
    stored |= {"resolved": {"tracking": {"kind": "wandb", "tags": ["a"]}, "observe": {"also": {"cka": {}}}}}
    stored |= {
        "quantities": {"cka": {"label": "CKA", "scale": "linear"}},
        "config": {"alpha": {"kind": "raw", "value": 1.0}},
    }
    for number, (path, manifest) in enumerate(mutants(stored, seed)):
        sign(root, run, manifest)
        try_all(root, tmp_path / "out", number)
        if number % 10 == 0:
            states = {entry.run_id: entry.state for entry in survey(root).entries}
            assert sum(state is RunState.DONE for name, state in states.items() if name != run) == 3, path


def test_every_leaf_of_a_plan(whole, tmp_path):
    root = fresh(whole, tmp_path / "results")
    [file] = (root / "plans").iterdir()
    plan = json.loads(file.read_text())
    plan["jobs"][0]["config"] = {"alpha": {"kind": "raw", "value": 1.0}}  # what training reads is checked there
    for number, (_, mutant) in enumerate(mutants(plan, 0, each=1)):
        file.write_text(signed(mutant))
        for name in ("status", ("retry --dry-run", "clean", "sync")[number % 3]):
            call(COMMANDS[name], root, tmp_path / "out")
    assert sum(entry.state is RunState.DONE for entry in survey(root).entries) == 4


def test_every_leaf_of_a_submission(whole, tmp_path):
    root = fresh(whole, tmp_path / "results")
    for number, (_, mutant) in enumerate(mutants(SUBMISSION, 0, each=2)):
        (root / "slurm" / f"{SUBMISSION['name']}.json").write_text(json.dumps(mutant))
        call(COMMANDS[("status", "retry --dry-run", "cancel")[number % 3]], root, tmp_path / "out")
    assert not list(tmp_path.glob("*.json"))


def test_every_leaf_of_an_owner(whole, tmp_path):
    root = fresh(whole, tmp_path / "results")
    owner = {"host": "a", "pid": 1, "birth": 1, "machine": "b", "job": "", "restart": 0, "released": False}
    for number, (_, mutant) in enumerate(mutants(owner, 0, each=2)):
        (root / "runs" / "half" / "owner-7.json").write_text(json.dumps(mutant))
        call(COMMANDS[("status", "status --json", "clean")[number % 3]], root, tmp_path / "out")


def test_every_line_of_a_history(whole, tmp_path):
    """Of a run that is trained, whose history nothing signs."""
    root = fresh(whole, tmp_path / "results")
    row = json.loads((root / "runs" / "half" / "history.jsonl").read_text().splitlines()[0])
    for number, (_, mutant) in enumerate(mutants(row, 0, each=2)):
        (root / "runs" / "half" / "history.jsonl").write_text(json.dumps(mutant) + "\n")
        call(COMMANDS[("status", "verify", "sync")[number % 3]], root, tmp_path / "out")
