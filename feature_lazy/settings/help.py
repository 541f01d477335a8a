"""What can be set, in words: ``train.py --help``, and the reference of keys, both from the registry."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings import registry
from feature_lazy.settings.conf_files import config_dir, group_names, meaning, summary, written
from feature_lazy.settings.config import Config, base, default_option
from feature_lazy.settings.key import default

COLUMNS = 80
USAGE = """\
feature_lazy: feature and lazy training of neural networks (arXiv:1906.08034)

Usage
  python train.py [group=option] [key=value] …            one job
  python train.py -m key=a,b,c [group=option] …           a sweep
  python train.py experiment=demo                         a sweep from a file
  python train.py --help dynamics                         options and their keys
  python train.py --help dynamics=sgd batch               one option, or a key
"""
FOOTER = """\
Example
  python train.py alpha.value=0.1 width.h=100 seed=ensemble seed.members=5

  python train.py --cfg job          the whole configuration with its defaults
  python train.py --info defaults    where each of its parts comes from
  options=[mypackage.mine]           options of your own, also for --help
"""


def help_text(words: Sequence[str] = ()) -> str:
    """The help, or what it says of some groups, options or keys.

    Args:
        words: such as ``loss``, ``loss=mse`` or ``margin_tol``.

    Raises:
        ConfigError: a word that is none of them.
    """
    if not words:
        return "\n".join([USAGE, *_groups(), "", *_others(), "", FOOTER])
    return "\n\n".join(_about(word) for word in words) + "\n"


def _groups() -> Iterator[str]:
    yield "Groups and their options"
    for group in group_names():
        names = dict.fromkeys(
            [*filter(None, [default_option(group)]), *registry.options(group), *registry.presets(group)]
        )
        yield from _wrapped(group, ", ".join(names))
    experiments = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
    article = "article/fig3 … table2 (size=small is for a laptop)"
    yield from _wrapped("experiment", ", ".join([*experiments, article]))
    for name, own in (("launcher", ["basic"]), ("sweeper", ["checked"])):
        files = sorted(path.stem for path in (config_dir() / "hydra" / name).glob("*.yaml"))
        yield from _wrapped(f"hydra/{name}", ", ".join([*files, *own]))


def _others() -> Iterator[str]:
    yield "Other keys"
    for f in dataclasses.fields(Config):
        if "group" not in f.metadata:
            yield from _wrapped(f"{f.name}={written(default(f))}", meaning(f), 24)


def _wrapped(head: str, text: str, indent: int = 19) -> list[str]:
    left = f"  {head}".ljust(indent)
    first = left if len(left) == indent and left.endswith(" ") else f"  {head}\n" + " " * indent
    # A sign stays with its number.
    kept = re.sub(r"([≥>]) ", "\\1\u00a0", text.replace("``", ""))
    lines = [line.replace("\u00a0", " ") for line in textwrap.wrap(kept, COLUMNS - indent)] or [""]
    return [first + lines[0], *(" " * indent + line for line in lines[1:])]


def _about(word: str) -> str:
    group, _, name = word.partition("=")
    if group in group_names():
        wanted = {name: registry.find(group, _base(group, name))} if name else registry.options(group)
        return "\n\n".join("\n".join(_option(group, option, made)) for option, made in wanted.items())
    rows = [row for row in keys() if row.key == word or f"{row.group}.{row.key}" == word]
    if not rows:
        raise ConfigError(f"--help {word}: neither a group, such as loss, nor an option, such as loss=mse, nor a key.")
    return "\n".join(line for row in rows for line in _wrapped(f"{row.title}: {row.key}={row.default}", row.meaning, 4))


def _short(value: str) -> str:
    """A default that fits into a line: the middle of a long list is left out."""
    return value if len(value) <= 40 else f"{value[:12].rpartition(',')[0]}, …,{value.rpartition(',')[2]}"


def _base(group: str, name: str) -> str:
    preset = registry.presets(group).get(name)
    return preset.of if preset else name


def _option(group: str, name: str, made: type) -> Iterator[str]:
    yield f"{group}={name}"
    preset = registry.presets(group).get(name)
    yield from textwrap.wrap(
        preset.doc if preset else summary(made), COLUMNS - 2, initial_indent="  ", subsequent_indent="  "
    )
    for row in _rows(group, name, made, ""):
        yield from _wrapped(f"  {row.key}={_short(row.default)}", row.meaning, 28)


@dataclasses.dataclass(frozen=True)
class Row:
    """A key of an option.

    Attributes:
        group: its group; empty for the keys beside the groups.
        option: the option's name.
        key: its path below the group.
        default: as it is written.
        meaning: what it means, and its range.
    """

    group: str
    option: str
    key: str
    default: str
    meaning: str

    @property
    def title(self) -> str:
        """The option, as it is chosen."""
        return f"{self.group}={self.option}" if self.group else "any job"


def keys() -> Iterator[Row]:
    """Every key of every option, and those beside the groups."""
    for group in group_names():
        for name, made in registry.options(group).items():
            yield from _rows(group, name, made, "")
    for f in dataclasses.fields(Config):
        if "group" not in f.metadata:
            yield Row("", "", f.name, written(default(f)), meaning(f))


def _rows(group: str, name: str, made: Any, prefix: str) -> Iterator[Row]:
    for f in dataclasses.fields(made):
        if f.metadata.get("part"):
            yield from _rows(group, name, f.type, f"{prefix}{f.name}.")
        elif "doc" in f.metadata and f.name != "kind":
            yield Row(group, name, prefix + f.name, written(default(f)), meaning(f))


def reference() -> str:
    """The page ``docs/options.md``: every group, option and key."""
    lines = [
        "# Options and their keys",
        "",
        "Written from the registry by `make conf`; what is changed here is lost.",
        "",
    ]
    for group in group_names():
        lines += [f"## {group}", "", " ".join((inspect.getdoc(base(group)) or "").split("\n\n")[0].split()), ""]
        for name, made in registry.options(group).items():
            lines += [f"**`{group}={name}`** {summary(made)}", *_table(_rows(group, name, made, "")), ""]
        for name, preset in registry.presets(group).items():
            lines += [f"**`{group}={name}`** {preset.doc}", ""]
    return "\n".join([*lines, "## Beside the groups", *_table(row for row in keys() if not row.group), ""])


def _table(rows: Iterator[Row]) -> list[str]:
    found = [f"| `{row.key}` | `{row.default}` | {row.meaning.replace('|', chr(92) + '|')} |" for row in rows]
    return ["", "| key | default | meaning |", "|---|---|---|", *found] if found else []
