"""A user's own files and folders: prepared as our own sets are, known by their content, refused in a sentence."""

import dataclasses
import hashlib
import os
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.data import readers
from feature_lazy.data.build import build_data
from feature_lazy.data.sources import load_source
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.survey import survey
from feature_lazy.settings import registry
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import Config
from feature_lazy.settings.fitting import fitted
from feature_lazy.settings.schema import from_plain
from tests import conftest
from tests.conftest import ROOT, composed

SIZES = ("dataset.n_train=24", "dataset.n_test=12", "dataset.n_valid=6")
RULES = (
    (),
    ("labels=one_vs_rest", "labels.positive=3", "dataset.n_train=36", "dataset.n_test=18", "dataset.n_valid=18"),
    ("labels=pairs", "labels.minus=[3]", "labels.plus=[5]"),
    ("labels=random",),
    ("labels=regression", "loss=mse"),
    ("labels=classes", "loss=mse", "dataset.classes=[1,3,8]"),
    ("dataset.pca.components=5", "dataset.seed=4"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits in a file, sixty random patterns in every format, and their images in folders."""
    root = tmp_path_factory.mktemp("data")
    images, classes = load_source("digits")
    np.savez(root / "digits.npz", x=images.reshape(-1, 1, 8, 8), y=classes)
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((60, 1, 4, 4)), draw.integers(0, 2, 60)
    np.savez(root / "mine.npz", x=x, y=y)
    np.save(root / "mine.npy", x)
    np.save(root / "y.npy", y)
    torch.save({"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, root / "mine.pt")
    torch.save((torch.from_numpy(x), torch.from_numpy(y)), root / "pair.pt")
    words = np.where(y > 0, "dog", "cat")
    table = pd.DataFrame(x.reshape(60, -1)).add_prefix("p").assign(y=words)
    table.to_csv(root / "mine.csv", index=False)
    table.to_csv(root / "indexed.csv")
    table.to_parquet(root / "mine.parquet")
    pd.DataFrame({"pixels": [list(one.ravel()) for one in x], "y": words}).to_parquet(root / "lists.parquet")
    table.assign(p3=words).to_csv(root / "words.csv", index=False)
    np.savez(root / "real.npz", x=x, y=draw.standard_normal(60))
    return root


def data_of(*overrides):
    config = composed(*overrides)
    validate(config)
    return build_data(config)


def disk(option, *keys):
    """A job of one of the two options, without the time that Hydra takes."""
    keys = OmegaConf.from_dotlist([key.removeprefix("dataset.") for key in keys])
    made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(registry.find("dataset", option)), keys))
    return fitted(Config(dataset=made))


def read(option, *keys):
    config = disk(option, *keys)
    validate(config)
    return build_data(config)


def same(one, other):
    for f in dataclasses.fields(one):
        mine, theirs = getattr(one, f.name), getattr(other, f.name)
        assert torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs, f.name


@pytest.mark.parametrize("rule", RULES, ids=" ".join)
def test_a_set_of_ours_in_a_file_is_that_set(folder, rule):
    theirs = data_of("dataset=file", f"dataset.path={folder / 'digits.npz'}", *SIZES, *rule)
    same(theirs, data_of("dataset=digits", *SIZES, *rule))


FORMATS = ("mine.npy", "mine.pt", "pair.pt", "mine.csv", "mine.parquet", "lists.parquet")


@pytest.mark.parametrize("name", FORMATS)
def test_formats_agree(folder, name):
    wanted = read("file", f"dataset.path={folder / 'mine.npz'}", *SIZES)
    shape = "dataset.reshape=[1,4,4]" if "csv" in name or "parquet" in name else "dataset.reshape=[]"
    same(read("file", f"dataset.path={folder / name}", shape, *SIZES), wanted)


def test_real_targets_are_taken_as_they_are(folder):
    kept = np.load(folder / "real.npz")
    job = ("dataset=file", f"dataset.path={folder / 'real.npz'}", "dataset.n_train=31", "dataset.n_test=7")
    data = data_of(*job, "labels=regression", "loss=mse")
    x = kept["x"].reshape(60, -1)
    x = x - x.mean(0)
    x *= 4 / np.linalg.norm(x, axis=1, keepdims=True)
    place = {float(target): row for target, row in zip(kept["y"], x, strict=True)}
    for row, target in zip(data.x_train, data.y_train, strict=True):
        np.testing.assert_allclose(row, place[float(target)], rtol=1e-12)
    with pytest.raises(ConfigError, match="real numbers: choose labels=regression loss=mse"):
        data_of(*job)


@pytest.fixture
def photos(tmp_path):
    """Three cats of bytes and three dogs, in colour; their pixels."""
    draw, found = np.random.default_rng(1), {}
    for name in ("dogs", "cats"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            pixels = draw.integers(0, 256, (6, 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
            found[name, i] = pixels
    (tmp_path / "photos" / "cats" / ".hidden").write_text("no image")
    return tmp_path / "photos", found


FEW = ("dataset.n_train=4", "dataset.n_test=2")


def test_a_folder_is_its_images(photos):
    root, pixels = photos
    data = read("folder", f"dataset.path={root}", *FEW)
    assert data.shape == (3, 6, 5)
    assert sorted(data.y_train.tolist()) == [-1, -1, 1, 1]
    every = {key: np.moveaxis(one, 2, 0).ravel().astype(float) for key, one in pixels.items()}
    mean = np.mean(list(every.values()), axis=0)
    rows = {(name, i): (x - mean) * np.sqrt(90) / np.linalg.norm(x - mean) for (name, i), x in every.items()}
    for row, label in zip(data.x_train, data.y_train, strict=True):
        near = min(rows, key=lambda key: float(np.abs(rows[key] - row.numpy()).max()))
        np.testing.assert_allclose(row, rows[near], rtol=1e-12)
        assert label == (1 if near[0] == "dogs" else -1)  # cats come first


def test_grey_and_size(photos):
    root, pixels = photos
    assert read("folder", f"dataset.path={root}", "dataset.size=4", *FEW).shape == (3, 4, 4)
    data = read("folder", f"dataset.path={root}", "dataset.grey=true", *FEW)
    assert data.shape == (1, 6, 5)
    luma = {key: one @ np.array([0.299, 0.587, 0.114]) for key, one in pixels.items()}
    mean = np.mean(list(luma.values()), axis=0)
    angles = [
        max(abs(float(row @ (one - mean).ravel())) / np.linalg.norm(one - mean) for one in luma.values())
        for row in data.x_train.numpy()
    ]
    # Grey bytes are rounded, by at most 1 of about 70.
    np.testing.assert_allclose(angles, np.sqrt(30), rtol=3e-4)


def test_content_is_the_identity_and_the_place_is_not(folder, tmp_path):
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    for path in (one, other):
        path.write_bytes((folder / "mine.npz").read_bytes())
    jobs = [disk("file", f"dataset.path={path}", *SIZES) for path in (one, other)]
    assert jobs[0].dataset.content == hashlib.sha256(one.read_bytes()).hexdigest()
    [[mine], [theirs]] = [cells(job) for job in jobs]
    assert mine.run_id == theirs.run_id
    assert mine.identity["content"] == jobs[0].dataset.content
    # An object that was made in Python is known by it too.
    plain = dataclasses.replace(jobs[0], dataset=dataclasses.replace(jobs[0].dataset, content=""))
    assert cells(plain)[0].run_id == mine.run_id
    kept = np.load(one)
    np.savez(one, x=2 * kept["x"], y=kept["y"])
    os.utime(one, (1, 1))
    assert cells(disk("file", f"dataset.path={one}", *SIZES))[0].run_id != mine.run_id
    with pytest.raises(ConfigError, match=r"dataset\.content=.*one\.npz has changed since"):
        validate(jobs[0])
    with pytest.raises(DataError, match=r"dataset\.content=.*one\.npz has changed since"):
        build_data(jobs[0])


def test_an_image_in_another_class_is_other_content(photos):
    """Also where all images keep their order."""
    root, _ = photos
    [before] = cells(disk("folder", f"dataset.path={root}", *FEW))
    (root / "cats" / "2.png").rename(root / "dogs" / "-.png")
    [after] = cells(disk("folder", f"dataset.path={root}", *FEW))
    assert before.run_id != after.run_id


def test_a_run_of_a_file_is_stored_and_another_content_stands_beside(folder, tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes((folder / "mine.npz").read_bytes())

    def job():
        small = (
            "dynamics=sgd",
            "dynamics.updates=4",
            "width.h=4",
            "architecture.depth=1",
            "observe.kernel.probe=4",
            "observe.per_decade=1",
        )
        return composed("dataset=file", f"dataset.path={path}", *SIZES, *small, f"output_dir={tmp_path / 'r'}")

    [run_id] = train_config(job())
    run = load_run(tmp_path / "r" / "runs" / run_id)
    assert run.config["dataset"]["content"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "path" not in run.config["dataset"]
    [again] = cells(from_plain(run.manifest["resolved"]))
    assert again.run_id == run_id
    kept = np.load(path)
    np.savez(path, x=-kept["x"], y=kept["y"])
    conftest._composer.cache_clear()  # a command composes once, of files as they are then
    [other] = train_config(job())
    assert other != run_id
    notes = {entry.run_id: entry.note for entry in survey(tmp_path / "r").entries}
    assert "the data have changed since" in notes[run_id]
    assert "the data have changed since" not in notes[other]


def pickled(path):
    class Bomb:
        def __reduce__(self):
            return (exec, (f"open({str(path) + '.executed'!r}, 'w').close()",))

    return Bomb()


@pytest.mark.parametrize(
    ("name", "values", "warned"),
    [
        ("number", range(100, 160), "numbers the rows"),
        ("number", [float(number) for number in reversed(range(60))], "numbers the rows"),
        ("Index", [0.5] * 60, "is called as what numbers rows is"),
        ("id", range(0, 120, 2), "is called as what numbers rows is"),
        ("number", [0, 0, *range(2, 60)], ""),
        ("number", [number + 0.5 for number in range(60)], ""),
        ("number", range(0, 120, 2), ""),
    ],
)
def test_a_column_that_numbers_the_rows_is_named(folder, tmp_path, caplog, name, values, warned):
    """Once, with how to leave it out; and not where the columns are named, which leaves it out or means it."""
    table = pd.read_csv(folder / "mine.csv")
    table.insert(2, name, [*values])
    table.to_csv(tmp_path / "rows.csv", index=False)
    said = f"Column '{name}' of rows.csv {warned}, and is trained on: name the columns of patterns by dataset.x="
    readers.read(tmp_path / "rows.csv")
    assert [said in line for line in caplog.messages] == [True] * bool(warned)
    caplog.clear()
    readers.read(tmp_path / "rows.csv", [name, "p0"])
    np.savez(tmp_path / "rows.npz", x=table.drop(columns="y").to_numpy(), y=table["y"].to_numpy() == "dog")
    readers.read(tmp_path / "rows.npz")
    assert ["Column 2 of rows.npz" in line for line in caplog.messages] == [True] * bool(warned and name == "number")


def test_nothing_in_a_file_is_executed(tmp_path):
    for name in ("bomb.npz", "bomb.npy", "bomb.pt", "plain.pt", "bomb.parquet"):
        path = tmp_path / name
        bomb = np.array([pickled(path)], dtype=object)
        if name == "bomb.npz":
            np.savez(path, x=bomb, y=bomb)
        elif name == "bomb.npy":
            np.save(path, bomb)
            np.save(tmp_path / "y.npy", np.zeros(3))
        elif name == "bomb.pt":
            torch.save({"x": torch.ones(3, 2), "y": pickled(path)}, path)
        else:
            path.write_bytes(pickle.dumps(pickled(path)))
        with pytest.raises(ConfigError, match=re.escape(f"dataset.path={path}: ")):
            validate(disk("file", f"dataset.path={path}"))
        assert not list(tmp_path.glob("*.executed"))


REFUSED = {
    "": "dataset.path: name your file, such as dataset.path=mine.npz.",
    "nowhere.npz": "nowhere.npz cannot be read (No such file or directory)",
    "mine.xlsx": "mine.xlsx is none of .npz, .npy, .pt, .pth, .csv, .parquet: save it as one of them",
    "folder.npz": "folder.npz cannot be read (Is a directory)",
    "text.npz": "text.npz is no .npz file",
    "text.pt": "text.pt is no .pt file of tensors alone",
    "text.parquet": "text.parquet is no table that can be read",
    "empty.csv": "empty.csv is no table that can be read",
    "mine.npz dataset.x=[images]": "dataset.x=[images]: mine.npz has no array 'images'; it has x, y",
    "mine.npz dataset.y=label": "dataset.y=label: mine.npz has no array 'label'; it has x, y",
    "mine.npz dataset.x=[x,y]": "dataset.x=[x,y]: mine.npz has the patterns in one array; name one",
    "mine.npz dataset.reshape=[3,3]": "dataset.reshape=[3, 3]: a pattern has 16 numbers, in the shape (1, 4, 4)",
    "mine.csv dataset.y=label": "dataset.y: mine.csv has no column 'label'; it has p0, p1,",
    "mine.csv dataset.x=[p0,q]": "dataset.x: mine.csv has no column 'q'",
    "mine.csv dataset.x=[p0,y]": "dataset.x: column 'y' is that of the labels, which no pattern may hold",
    "indexed.csv": "column 'Unnamed: 0' of indexed.csv has no name, and may be row numbers",
    "words.csv": "column 'p3' of words.csv is no number",
    "flat.npz": "the patterns in flat.npz have the shape (60,); it must be (N, …)",
    "complex.npz": "the patterns in complex.npz are no real numbers (dtype complex128)",
    "nan.npz": "the patterns have infinities or NaN among them, the first at [5, 0, 0, 0]",
    "nan_y.npz": "the labels in nan_y.npz have infinities or NaN among them, first number 4",
    "hot.npz": "the labels in hot.npz have the shape (60, 2); it must be (N,)",
    "short.npz": "short.npz has 60 patterns and 59 labels",
    "mine.npz dataset.n_train=100": "mine.npz has 54 patterns in balanced classes",
    "mine.npz dataset.classes=[0,7]": "dataset.classes=[0,7]: ",
    "mine.npz dataset.pca.components=17": "has d = 16 numbers",
    "three.npz": "parity labels need an even number of classes; there are 3",
    "twice.npz": "are equal and have the labels",
}


@pytest.fixture(scope="module")
def odd(folder):
    kept = np.load(folder / "mine.npz")
    x, y = kept["x"], kept["y"]
    (folder / "folder.npz").mkdir(exist_ok=True)
    (folder / "mine.xlsx").write_text("a")
    for name in ("text.npz", "text.pt", "text.parquet"):
        (folder / name).write_text("no such file")
    (folder / "empty.csv").write_text("")
    nan, nan_y = x.copy(), y.astype(float)
    nan[5, 0, 0, 0], nan_y[4] = np.nan, np.inf
    made = {
        "flat": (x[:, 0, 0, 0], y),
        "complex": (x * 1j, y),
        "nan": (nan, y),
        "nan_y": (x, nan_y),
        "hot": (x, np.eye(2)[y]),
        "short": (x, y[1:]),
        "three": (x, np.arange(60) % 3),
        "twice": (x[np.arange(60) % 2], y),
    }
    for name, (patterns, labels) in made.items():
        np.savez(folder / f"{name}.npz", x=patterns, y=labels)
    return folder


@pytest.mark.parametrize("given", REFUSED)
def test_a_bad_file_is_refused_in_a_sentence(odd, given):
    name, *more = given.split() or [""]
    path = [f"dataset.path={odd / name}"] if name else []
    sizes = ("dataset.n_train=24", "dataset.n_test=12")
    with pytest.raises((ConfigError, DataError)) as refusal:
        read("file", *sizes, *path, *more)
    text = str(refusal.value)
    assert REFUSED[given] in text
    assert text.startswith("dataset.") or "training patterns" in text
    assert text.endswith(".")


def test_equal_patterns_may_be_meant(odd):
    job = (f"dataset.path={odd / 'twice.npz'}", "dataset.n_train=24", "dataset.n_test=12")
    assert len(read("file", *job, "dataset.allow=[contradictions,seen]").x_train) == 24


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: None, "dogs/0.png"),
        (lambda root: (root / "cats" / "notes.txt").write_text("a"), "notes.txt is no image that is read"),
        (lambda root: (root / "cats" / "0.png").write_bytes(b"no image"), "0.png is no image that can be read"),
        (lambda root: Image.new("RGB", (9, 9)).save(root / "dogs" / "7.png"), "have the shapes 3×6×5 and 3×9×9"),
        (lambda root: Image.new("I;16", (5, 6)).save(root / "dogs" / "7.png"), "more than eight bits a channel"),
        (lambda root: [one.unlink() for one in (root / "dogs").iterdir()], "has 1 folders with images"),
    ],
)
def test_a_bad_folder_is_refused_in_a_sentence(photos, break_it, message):
    root, _ = photos
    break_it(root)
    if message == "dogs/0.png":
        read("folder", f"dataset.path={root}", *FEW)
        return
    with pytest.raises(ConfigError, match=message) as refusal:
        read("folder", f"dataset.path={root}", *FEW)
    assert str(refusal.value).startswith(f"dataset.path={root}: ")


def test_commands_of_the_page_train(tmp_path, monkeypatch):
    """The block of docs/data.md writes its files, and its commands are valid jobs on them."""
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    own = text.split("## Your own files")[1].split("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", own, re.S)
    [commands] = re.findall(r"```sh\n(.*?)```", own, re.S)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    lines = [line.split("#")[0].split()[2:] for line in commands.splitlines() if line.startswith("python train.py")]
    assert len(lines) == 3
    for words in lines:
        job = composed(*words)
        validate(job)
        assert len(build_data(job).x_train) == job.dataset.n_train
