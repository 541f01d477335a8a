"""Keys that follow α, width or seed, such as ``architecture.kwargs.width=${width.h}``: runs store the value."""

from collections.abc import Iterator, Sequence
from typing import Any

from feature_lazy.study.law import AXES

Config = dict[str, Any]
Path = tuple[str | int, ...]
SWEPT = (("alpha", "value"), ("width", "h"), ("seed", "value"))
"""Keys that one command may give several values."""


def followed(configs: Sequence[Config]) -> list[Config]:
    """Configurations in which a number that differs, and is everywhere a swept one, is written ``${width.h}``.

    Args:
        configs: of runs that are looked at together; a key that some do not have is looked at in the others.
    """
    leaves = [dict(_leaves(config)) for config in configs]
    names = dict.fromkeys(path for one in leaves for path in one if path[0] not in AXES)
    marks = {path: mark for path in names if (mark := _mark([one for one in leaves if path in one], path))}
    return [_written(config, marks) for config in configs] if marks else list(configs)


def _mark(leaves: Sequence[dict[Path, Any]], path: Path) -> str:
    """What a key follows, as Hydra writes it; empty if it is the same everywhere, or nothing that is swept."""
    values = [one[path] for one in leaves]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) or len({*values}) < 2:
        return ""
    followed = (place for place in SWEPT if all(v == one.get(place) for v, one in zip(values, leaves, strict=True)))
    return next((f"${{{'.'.join(place)}}}" for place in followed), "")


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, (*path, name))
    else:
        yield path, value


def _written(value: Any, marks: dict[Path, str], path: Path = ()) -> Any:
    if isinstance(value, dict):
        return {name: _written(item, marks, (*path, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_written(item, marks, (*path, i)) for i, item in enumerate(value)]
    return marks.get(path, value)
