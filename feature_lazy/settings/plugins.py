"""Installed packages that add to this one: found by their entry points, and named where a machine lacks them."""

import re
from collections.abc import Iterable, Mapping
from importlib import metadata

from feature_lazy.settings.sources import FOREIGN, file_of

SURFACE = 1
"""Version of the bases that plug-ins write against (docs/extend); a change that breaks what is written raises it.

A group of entry points without a number is that of version 1, and ``feature_lazy.options.2`` is that of version 2.
"""


def load_plugins(group: str) -> dict[str, str]:
    """Import what installed packages name under a group of entry points; those that fail, each with the reason."""
    failed = {}
    installed = metadata.entry_points()
    for named in installed.groups:
        version = re.fullmatch(re.escape(group) + r"(?:\.(\d+))?", named)
        if version is None:
            continue
        for entry in installed.select(group=named):
            if why := _import(entry, int(version[1] or 1)):
                failed[f"{entry.name} ({entry.value})"] = why
    return failed


def _import(entry: metadata.EntryPoint, version: int) -> str:
    """Import what an entry point names, and say why it cannot be; nothing if it can."""
    if version != SURFACE:
        return f"it is written for version {version} of the bases, and this feature_lazy has {SURFACE}"
    try:
        entry.load()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def packages(targets: Iterable[str]) -> dict[str, str]:
    """The installed packages that targets lie in: name → version.

    Args:
        targets: import paths of the user's own code; what is not installed, but lies in a folder, is left out.
    """
    tops = {target.split(".")[0] for target in targets}
    installed = {top for top in tops if (path := file_of(top)) and set(FOREIGN) & set(path.parts)}
    if not installed:
        return {}
    owners = metadata.packages_distributions()
    return {name: metadata.version(name) for top in sorted(installed) for name in owners.get(top, ())}


def lacking(wanted: Mapping[str, str]) -> list[str]:
    """What this machine lacks of some packages, or has in another version: a phrase for each.

    Args:
        wanted: name → version.
    """
    return [phrase for name, version in wanted.items() if (phrase := _lacks(name, version))]


def _lacks(name: str, version: str) -> str:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} {version} is not installed"
    return "" if found == version else f"{name} is {found} and not {version}"
