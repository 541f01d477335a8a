"""The shape of the source: imports point one way, modules and functions stay small, links lead somewhere."""

import ast
import re
from itertools import pairwise

import pytest

from tests.conftest import LONG, ROOT

# Each room imports itself and those before it (docs/architecture.md).
ROOMS = (
    "core",
    "settings",
    "data",
    "networks",
    "kernels",
    "dynamics",
    "measure",
    "runs",
    "study",
    "launch",
    "systems",
)
# What the command line and the parent of a sweep import; PyTorch takes two seconds.
LIGHT = (
    "core",
    "settings",
    "data.rules",
    "runs.history",
    "runs.reading",
    "runs.sweep",
    "runs.store",
    "runs.plan",
    "runs.failures",
    "runs.survey",
    "runs.tracking",
    "runs.progress",
    "launch.boundary",
    "launch.commands",
    "launch.parallel",
    "launch.slurm",
    "launch.workers",
    "launch.progress_bar",
    "systems.commands",
    "systems.table",
)
MAX_LINES = 500
MAX_FUNCTION_LINES = 50

PACKAGES = ("feature_lazy", "analysis", "hydra_plugins")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
SOURCES = [*MODULES, ROOT / "train.py", *sorted((ROOT / "tests").rglob("*.py"))]
every_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def without_type_checking(tree):
    """A tree without what only type checkers import: names in annotations, which order nothing."""

    def kept(item):
        return not (isinstance(item, ast.If) and ast.unparse(item.test).endswith("TYPE_CHECKING"))

    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [item for item in node.body if kept(item)]
    return tree


def imports(path, top_level_only=False):
    """Names of all modules that a file imports, in full: ``feature_lazy.runs.store``, ``numpy``, …"""
    tree = without_type_checking(ast.parse(path.read_text()))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # ``from feature_lazy import losses`` imports the module losses.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if node.module == "feature_lazy" else [node.module]


def room(module):
    """Room of ``feature_lazy.x.y``."""
    return ROOMS.index(module.split(".")[1])


def files(name):
    """The file of a module, or all files of a package, below ``feature_lazy``."""
    path = ROOT.joinpath("feature_lazy", *name.split("."))
    found = [path.with_suffix(".py")] if path.with_suffix(".py").exists() else sorted(path.rglob("*.py"))
    assert found, name
    return found


def owned(names, package):
    return sorted(name for name in names if name.split(".")[0] == package)


def test_every_module_has_a_room():
    inside = {path.stem if path.is_file() else path.name for path in (ROOT / "feature_lazy").iterdir()}
    assert inside - {"__init__", "__pycache__", "conf"} == set(ROOMS)  # conf is a link, for the wheel


@pytest.mark.parametrize("name", ROOMS)
def test_imports_point_one_way(name):
    for path in files(name):
        for module in owned(imports(path), "feature_lazy"):
            assert room(module) <= ROOMS.index(name), f"{path.relative_to(ROOT)} imports {module}"


def test_a_system_imports_rooms_and_never_another_system():
    """What two of them need moves down into a room; what reads all of them stands beside their folders."""
    home = ROOT / "feature_lazy" / "systems"
    folders = {path.parent.name for path in home.glob("*/experiment.yaml")}
    assert folders
    for name in folders:
        for path in (home / name).rglob("*.py"):
            for module in owned(imports(path), "feature_lazy"):
                above = module.startswith("feature_lazy.systems.") and module.split(".")[2] != name
                assert not above, f"{path.relative_to(ROOT)} imports {module}"


def circles(edges):
    """Every module from which a path of imports leads back to itself."""
    reached = {name: set(others) for name, others in edges.items()}
    changed = True
    while changed:
        changed = False
        for found in reached.values():
            more = set().union(*(reached.get(other, set()) for other in found)) - found
            found |= more
            changed |= bool(more)
    return sorted(name for name, found in reached.items() if name in found)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", ROOMS)
def test_no_circle_inside_a_room(name):
    modules = {module_name(path): path for path in files(name)}
    edges = {}
    for module, path in modules.items():
        found = set()
        for node in ast.walk(without_type_checking(ast.parse(path.read_text()))):
            if isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules)
                found |= inner or {node.module}
        edges[module] = (found & set(modules)) - {module}
    assert circles(edges) == []


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_package_itself_imports_nothing_heavy_and_never_its_users():
    assert owned(imports(ROOT / "feature_lazy" / "__init__.py"), "feature_lazy") == []
    for path in (ROOT / "feature_lazy").rglob("*.py"):
        assert not owned(imports(path), "analysis"), path
        assert not owned(imports(path), "hydra_plugins"), path


def test_analysis_reads_runs_only():
    """The article's figures are drawn from stored runs, by what every sweep has; commands are shared."""
    allowed = {"load_run", "load_sweep", "runs", "study", "core", "settings.scales", "launch.commands"}
    for path in (ROOT / "analysis").rglob("*.py"):
        names = {name.removeprefix("feature_lazy.") for name in owned(imports(path), "feature_lazy")}
        assert {name if name in allowed else name.split(".")[0] for name in names} <= allowed, path


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_nothing_heavy(name):
    found = {module.split(".")[0] for path in files(name) for module in imports(path, top_level_only=True)}
    assert not found & {"torch", "scipy", "sklearn", "mlxtend", "pandas", "matplotlib", "wandb", "rich", "submitit"}


@pytest.mark.parametrize("name", ["networks", "dynamics", "measure"])
def test_science_never_writes(name):
    for path in files(name):
        text = path.read_text()
        assert not re.search(r"\bopen\(|write_text|write_bytes|\.mkdir\(|torch\.save|np\.save", text), path


def calls(path):
    """Every call in a file, as (what is called, the node)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_one_door_to_the_terminal():
    """``core/terminal.py`` keeps secrets and control characters back; who prints beside it does not."""
    for path in [*MODULES, ROOT / "train.py"]:
        if path == ROOT / "feature_lazy" / "core" / "terminal.py":
            continue
        for name, call in calls(path):
            assert name.split(".")[-1] not in {"Console", "get_console", "pprint"} | ({name} & {"print"}), path
            assert not re.search(r"(stdout|stderr)(\.buffer)?\.write|os\.write", name), path
            says = name in {"sys.exit", "SystemExit", "exit"} and any(
                isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
                or (isinstance(one, ast.Call) and ast.unparse(one.func) == "str")
                for one in call.args
            )  # fmt: skip
            assert not says, f"{path}: {name} prints what it is given"
            if name.split(".")[-1] in {"Live", "Progress"}:
                assert any(word.arg == "console" for word in call.keywords), f"{path}: {name} without console()"


WRITERS = {
    *("write_text", "write_bytes", "savefig", "to_csv", "to_parquet", "to_json", "tofile", "save_file", "mkdtemp"),
    *("mkdir", "makedirs", "touch", "unlink", "rmdir", "removedirs", "rmtree", "rename", "renames", "symlink_to"),
    *("hardlink_to", "symlink", "link", "truncate", "copyfile", "copy2", "copytree", "chmod", "mkfifo", "mknod"),
    *("NamedTemporaryFile", "FileHandler", "memmap"),
}
"""Methods and functions that write files, make folders or remove something, whoever has them."""
ALLOWED = {
    ("figures/saving.py", "savefig"): "into memory",
    ("figures/pgf.py", "savefig"): "LaTeX's own, into a temporary folder",
    ("runs/history.py", "truncate"): "of what core.files has opened",
    ("runs/series.py", "truncate"): "likewise",
    ("core/tables.py", "to_csv"): "into memory",
    ("commands/export.py", "to_parquet"): "into memory",
    ("kernels/blocked.py", "NamedTemporaryFile"): "under a new name that nobody reads, and gone at the end",
    ("kernels/blocked.py", "memmap"): "of that file, which is open",
}


def writes(call, name):
    """Whether a call opens a file for writing, or does what ``WRITERS`` do."""
    last = name.split(".")[-1]
    if last in WRITERS or name in {
        "os.replace",
        "os.remove",
        "os.open",
        "os.write",
        "torch.save",
        "np.save",
        "np.savez",
    }:
        return True
    if last not in {"open", "fdopen"} or name in {"tarfile.open", "gzip.open", "Image.open"}:
        return False
    position = 1 if name in {"open", "io.open", "os.fdopen"} else 0
    mode = next((word.value for word in call.keywords if word.arg == "mode"), None)
    mode = mode or (call.args[position] if len(call.args) > position else ast.Constant("r"))
    return not (isinstance(mode, ast.Constant) and set(str(mode.value)) <= set("rbt"))


def test_one_writer_into_folders():
    """``core/files.py`` follows no links that a stranger's folder may hold; who opens files beside it does."""
    found = set()
    for path in [*MODULES, ROOT / "train.py"]:
        if path == ROOT / "feature_lazy" / "core" / "files.py":
            continue
        for name, call in calls(path):
            if writes(call, name):
                found.add((f"{path.parent.name}/{path.name}", name.split(".")[-1]))
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "line",
    ["open(p, 'w')", "p.open('ab')", "p.open(mode)", "os.fdopen(d, 'wb')", "p.write_text(t)", "os.replace(a, b)"],
)
def test_a_writer_would_be_found(line):
    call = ast.parse(line).body[0].value
    assert writes(call, ast.unparse(call.func))


def test_nothing_stored_is_ever_unpickled():
    """Opening somebody's results must run no code."""
    for path in [*(ROOT / "feature_lazy").rglob("*.py"), *(ROOT / "analysis").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}, path
            assert not isinstance(node, ast.Call) or unpickles_nothing(node), f"{path}: {ast.unparse(node)}"


SAFE = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}
"""What must be written with a call that could otherwise run what is in a file."""


def unpickles_nothing(call):
    name, written = ast.unparse(call.func), [ast.unparse(one) for one in call.keywords]
    return name != "pd.read_pickle" and SAFE.get(name, "") in (*written, "")


@pytest.mark.parametrize("line", ["torch.load(f)", "torch.load(f, weights_only=no)", "np.load(f)", "pd.read_pickle(f)"])
def test_an_unpickler_would_be_found(line):
    assert not unpickles_nothing(ast.parse(line).body[0].value)


@every_source
def test_module_is_small(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES


@every_source
def test_functions_are_small(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            begin = (first.end_lineno if documented else node.lineno - 1) + 1
            assert node.end_lineno - begin + 1 <= MAX_FUNCTION_LINES, f"{path.name}: {node.name}"


def classes():
    """Every class of the package as (file, definition)."""
    for path in (ROOT / "feature_lazy").rglob("*.py"):
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))


def documented(node):
    """Names of methods with a docstring, and of class attributes with a string below them."""
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef) and ast.get_docstring(item)}
    pairs = [(one, other) for one, other in pairwise(node.body) if isinstance(other, ast.Expr)]
    return methods | {ast.unparse(one.targets[0]) for one, _ in pairs if isinstance(one, ast.Assign)}


def test_a_method_without_docstring_overrides_one_that_has():
    """Overrides need none; a base class or a protocol says what such a method does."""
    interfaces = set()
    inherited = {}
    for _, node in classes():
        bases = {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}
        inherited.setdefault(node.name, set()).update(bases)
        if bases & {"Protocol", "ABC"}:
            interfaces |= documented(node)
    by_name = {}
    for _, node in classes():
        by_name.setdefault(node.name, set()).update(documented(node))
    for path, node in classes():
        known, waiting = set(interfaces), list(inherited[node.name])
        if not inherited[node.name] <= {*inherited, "Protocol", "ABC", "StrEnum", "Enum", "Exception"}:
            continue  # a library's class says it
        while waiting:
            base = waiting.pop()
            known |= by_name.get(base, set())
            waiting += inherited.get(base, set()) - {base}
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and not item.name.startswith("_") and not node.name.startswith("_"):
                silent = item.name not in documented(node) | known
                assert not silent, f"{path.relative_to(ROOT)}: {node.name}.{item.name} has no docstring"


def documents():
    hidden = {".venv", ".git", "node_modules", "results"}
    return [path for path in ROOT.rglob("*.md") if not hidden & set(path.relative_to(ROOT).parts)]


def test_links_in_documents_lead_somewhere():
    assert ROOT / "README.md" in documents()
    broken = []
    for path in documents():
        for target in re.findall(r"\]\(([^)\s]+)", path.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|#", target) and not (path.parent / target.split("#")[0]).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


@every_source
def test_no_path_of_a_machine(path):
    # Written apart, so that this file does not find itself.
    for root in ("home", "Users", "root", "work", "tmp", "mnt"):
        assert f'"/{root}' + "/" not in path.read_text()


def test_long_modules_of_tests_are_there():
    assert [name for name in LONG if not (ROOT / "tests" / f"{name}.py").exists()] == []
    assert len(set(LONG)) == len(LONG)
