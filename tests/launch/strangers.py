"""Results folders as a stranger might make them, and every command on them."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import unicodedata

from feature_lazy.launch.commands import main
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.reading import checksum
from feature_lazy.runs.store import Store
from tests.runs.conftest import save
from tests.study.stored_sweeps import plant

LIGHT = {
    "status": ["status", "DIR"],
    "status --json": ["status", "DIR", "--json"],
    "verify": ["verify", "DIR"],
    "clean": ["clean", "DIR"],
    "clean --yes": ["clean", "DIR", "--yes", "--state", "damaged,queued,interrupted,stopped,failed"],
    "retry --dry-run": ["retry", "DIR", "--dry-run", "--state", "queued,failed,interrupted,stopped"],
    "cancel": ["cancel", "DIR"],
    "sync": ["sync", "DIR"],
    "export": ["export", "DIR", "OUT.csv"],
    "list": ["list", "DIR"],
    "bundle": ["bundle", "DIR", "--out", "OUT.zip"],
    "compare": ["compare", "DIR", "DIR"],
    "rank": ["rank", "DIR", "--by", "kernel/change"],
    "learning-curve": ["learning-curve", "DIR", "--n", "2"],
    "tasks": ["tasks", "DIR", "--out", "OUT.csv"],
    "landscape": ["landscape", "DIR", "--out", "OUT"],
    "export --histories": ["export", "DIR", "OUT.csv", "--histories"],
}
HEAVY = {
    "laws": ["laws", "DIR"],
    "figures": ["figures", "DIR"],
    "report": ["report", "DIR"],
    "baselines": ["baselines", "DIR", "--kernel", "infinite_ntk,start,end"],
    "continual": ["continual", "DIR", "--memory", "1", "--draws", "1"],
    "plot": ["plot", "DIR", "--out", "OUT.pdf"],
    "dashboard": ["dashboard", "p", "--results", "DIR", "--dry-run", "OUT.json"],
}
"""They compute, and draw."""
COMMANDS = {**LIGHT, **HEAVY}


def made(root, config):
    """Complete runs, one with checkpoints, one that is asked for; with a submission and a failure."""
    plant(root, xs=(0.1, 100.0), widths=(30,), seeds=2, observations=4)
    save(Store(root), done=False, run_id="half")
    (root / "runs" / "half" / "error.txt").write_text("ValueError: no luck\n")
    write_plan(root, [config])
    (root / "slurm").mkdir()
    (root / "slurm" / "2026-01-01T00-00-00Z.json").write_text(json.dumps(SUBMISSION))
    return root


SUBMISSION = {
    "schema": 1,
    "name": "2026-01-01T00-00-00Z",
    "settings": {"executor": {"partition": "cpu"}, "timeout_min": 60},
    "snapshot": "sources/0123",
    "jobs": {"12_0": ["half"]},
    "logs": {"12_0": "slurm/12/0.err"},
    "cancelled": [],
}


class Stuck(BaseException):
    """A command waits for something that does not come."""


@contextlib.contextmanager
def at_most(seconds):
    """End the body if it hangs, on a pipe say."""

    def stuck(number, frame):
        raise Stuck

    before = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def call(words, root, out):
    """Run a command as a person does; what it says. It ends well or in a sentence, and commands no terminal."""
    given = [str(out) + word.removeprefix("OUT") if word.startswith("OUT") else word for word in words]
    given = [str(root) if word == "DIR" else word for word in given]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), at_most(100):
        status = main(given)
    assert status in (0, 1), words
    text = said.getvalue()
    odd = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs")} - {"\n"}
    assert not odd, (words, odd)
    assert "Traceback" not in text
    return text


def files_of(folder):
    """Everything in a folder, with content and links."""
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def fresh(whole, root):
    """Put a folder back as it was."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root, symlinks=True)
    return root


def leaves(value, path=()):
    """Paths to every part of a value that is not made of others, and to those that are."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def changed(value, path, new):
    """The same value with another part."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


def without(value, path):
    """The same value without a part."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(copy[path[0]], path[1:])
    return copy


ODD = (
    *(None, True, [], {}, "", [None], {"": None}, 0, -1, 0.5, 2**63, 10**400, -(10**400), 1e308, -1e308, 5e-324),
    *(
        float("nan"),
        float("inf"),
        "x\x1b]0;owned\x07\x1b[2J\u202e",
        "\ud800",
        "../../../etc/passwd",
        "/etc/passwd",
        "x\0y",
    ),
    *(
        "=1+1",
        "$\\undefined{",
        "[/red]",
        "<script>",
        "a" * 10_000,
        "9" * 400,
        [[[[1]]]],
        {"kind": "custom", "target": "os.system"},
    ),
)
"""Values that no manifest has, or not there."""


def signed(value):
    """A manifest or plan with the checksum that a stranger can compute, too."""
    if not isinstance(value, dict):
        return json.dumps(value)
    content = {name: item for name, item in value.items() if name != "sha256"}
    return json.dumps({**content, "sha256": checksum(content)})


def mutants(value, seed, each=1):
    """Some changes of every part, drawn from a seed; and the same without it."""
    draw = random.Random(seed)
    for path in leaves(value):
        for new in draw.sample(ODD, each):
            yield path, changed(value, path, new)
        if path and draw.random() < 0.5:
            yield path, without(value, path)
