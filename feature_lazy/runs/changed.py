"""A user's own data that have changed since runs were trained on them: those runs stay, and new ones stand beside."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.runs.store import Store
from feature_lazy.settings.cells import cells, own_code
from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)


def data_of(config: Config) -> Fingerprint | None:
    """Fingerprint of the data of now, where they are a user's own; None of those that cannot change.

    Raises:
        DataError: data that are missing, or not what they should be.
    """
    if not _own(config):
        return None
    from feature_lazy.data.build import build_data

    return build_data(config).fingerprint


def beside(configs: Sequence[Config]) -> list[Config]:
    """The same configurations, with ``dataset.content`` of the data of now where a complete run was trained on others.

    So the runs of now have ids of their own; whoever trains them has to plan them. Data are made once for all that
    share them, and only where a run is complete that says what it was trained on.

    Raises:
        FeatureLazyError: data that cannot be made, or a damaged run.
    """
    known: dict[str, Fingerprint | None] = {}
    found = [_beside(config, known) for config in configs]
    changed = [new for new, old in zip(found, configs, strict=True) if new is not old]
    for new in {json.dumps(asdict(config.dataset)): config for config in changed}.values():
        log.warning(
            "%s: the data have changed since runs in %s were trained; these are kept, and others are trained beside "
            "them on the data of now, with dataset.content=%s.",
            " and ".join(_own(new)),
            new.output_dir,
            new.dataset.content,
        )
    return found


def _own(config: Config) -> list[str]:
    """The user's own code that makes patterns and labels."""
    return [*own_code(config.dataset), *own_code(config.labels)]


def _beside(config: Config, known: dict[str, Fingerprint | None]) -> Config:
    if config.dataset.content or not _own(config):
        return config
    store = Store(config.output_dir)
    done = [store.load(cell.run_id) for cell in cells(config) if store.is_done(cell.run_id)]
    trained_on = {run.inputs["data"] for run in done if "data" in run.inputs}
    if not trained_on:
        return config
    key = json.dumps([asdict(config.dataset), asdict(config.labels)])
    if key not in known:
        known[key] = data_of(config)
    now = known[key]
    if now is None or all(map(now.agrees, trained_on)):
        return config
    return replace(config, dataset=replace(config.dataset, content=now.name))
