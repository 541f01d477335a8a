"""What differs from cluster to cluster, from one file: ``slurm/site.yaml``, or what ``FEATURE_LAZY_SITE`` names."""

import os
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from feature_lazy.core.revision import HOME

SITE = "FEATURE_LAZY_SITE"
"""Environment variable: the site file."""
KINDS = ("cpu", "gpu")
"""Sections of the file, one for each preset; ``all`` is for both."""


def site_file() -> Path:
    """Where the site file is, or would be."""
    return Path(os.environ.get(SITE) or HOME / "slurm" / "site.yaml")


def site(kind: str) -> dict[str, Any]:
    """Launcher settings of this cluster for one preset; empty without a site file.

    Hydra reads them while it looks for plugins, where an error would be lost: the launcher gets it as ``site_problem``.
    """
    path = site_file()
    if not path.is_file():
        missing = f"{SITE} names {path}, which is no file." if os.environ.get(SITE) else ""
        return {"site_problem": missing} if missing else {}
    try:
        sections = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        return {"site_problem": f"The site file {path} cannot be read: {error}"}
    if not isinstance(sections, dict) or not all(isinstance(s, dict | None) for s in sections.values()):
        return {"site_problem": f"The site file {path} must have sections all, {', '.join(KINDS)} with launcher keys."}
    if unknown := set(sections) - {"all", *KINDS}:
        found = ", ".join(sorted(map(str, unknown)))
        return {"site_problem": f"The site file {path} has a section {found}; there are all, {', '.join(KINDS)}."}
    return {**(sections.get("all") or {}), **(sections.get(kind) or {})}
