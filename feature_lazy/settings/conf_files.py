"""The files ``conf/<group>/<option>.yaml``, as the registry has them.

People who know Hydra expect to find, read and copy them. Each begins with the option's schema, so that its keys are
typed, and has every key with its default, its meaning and its range.
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from feature_lazy.settings import registry
from feature_lazy.settings.config import ALSO, Config
from feature_lazy.settings.key import default

WIDTH = 120


def config_dir() -> Path:
    """The folder of configuration files: the wheel's, or the checkout's ``conf/``, to which the package has a link."""
    package = Path(__file__).resolve().parents[1]
    packaged = (package / "conf").resolve()
    return packaged if packaged.is_dir() else package.parent / "conf"


def group_names() -> list[str]:
    """The groups of a configuration, and the one that takes any number of options."""
    return [*(f.name for f in dataclasses.fields(Config) if "group" in f.metadata), ALSO]


def contents() -> Iterator[tuple[str, str]]:
    """Every file of an option of this package: its path below ``conf/``, and its text."""
    for group in group_names():
        for name, made in registry.options(group).items():
            if not registry.is_foreign(made):
                yield f"{group}/{name}.yaml", "\n".join(_option(group, made)) + "\n"
        for name, preset in registry.presets(group).items():
            yield f"{group}/{name}.yaml", "\n".join(_preset(preset)) + "\n"


def meaning(f: "dataclasses.Field[Any]") -> str:
    """What a key means, and its range."""
    rule, parts = f.metadata, [f.metadata.get("doc", "")]
    if rule.get("ge") is not None:
        parts.append(f"≥ {rule['ge']:g}")
    if rule.get("gt") is not None:
        parts.append(f"> {rule['gt']:g}")
    if rule.get("at_most"):
        parts.append(f"≤ {rule['at_most']}, as its default is where that is smaller")
    words = [word for word in rule.get("choices") or () if word not in parts[0]]
    if words:
        parts.append("one of " + ", ".join(rule["choices"]))
    return "; ".join(part for part in parts if part)


def summary(made: type) -> str:
    """The first paragraph of an option's docstring, in one line."""
    return " ".join((inspect.getdoc(made) or "").split("\n\n")[0].split())


def written(value: Any) -> str:
    """A value as YAML has it on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, str) and re.fullmatch(r"\d*[A-Za-z]\w*", value) and value not in ("null", "true", "false"):
        return value
    return json.dumps(value)


def _option(group: str, made: type) -> Iterator[str]:
    if group == ALSO:
        yield f"# @package observe.also.{made.option_name}"  # type: ignore[attr-defined]
    yield f"# {summary(made)}"
    yield f"# Written by `make conf` from {made.__module__.replace('.', '/')}.py; what is changed here is lost."
    yield from ("defaults:", f"  - /schema/{group}/{made.__name__}@_here_", "  - _self_")
    yield from _keys(made, "")


def _keys(node: type, indent: str) -> Iterator[str]:
    for f in dataclasses.fields(node):
        if f.metadata.get("part"):
            yield f"{indent}{f.name}:"
            yield from _keys(f.type, f"{indent}  ")  # type: ignore[arg-type]
        elif "doc" in f.metadata and f.name != "kind":
            line, comment = f"{indent}{f.name}: {written(default(f))}", meaning(f)
            beside = f"{line} # {comment}"
            yield from [beside] if len(beside) <= WIDTH else [f"{indent}# {comment}", line]


def _preset(preset: registry.Preset) -> Iterator[str]:
    yield f"# {preset.doc}"
    yield "# Written by `make conf`; what is changed here is lost."
    yield from ("defaults:", f"  - {preset.of}", "  - _self_")
    yield from (f"{key}: {written(value)}" for key, value in preset.values.items())


def differing(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Files below a folder that are not as they are wanted, or that no option stands for."""
    found = {str(path.relative_to(folder)) for group in group_names() for path in (folder / group).glob("*.yaml")}
    same = {name for name in found & set(wanted) if (folder / name).read_text(encoding="utf-8") == wanted[name]}
    return sorted((found | set(wanted)) - same)
