"""The command line of a training: ``python train.py …`` in a checkout, and from anywhere."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.core.redaction import clean, secret_errors
from feature_lazy.core.terminal import say
from feature_lazy.core.words import any_terminal

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)

HELP = ("--help", "-h")
FILES = ("experiment", "hydra/", "hydra=", "hydra.mode", "hydra.searchpath")
"""Beginnings of overrides that choose a file which may ask for a sweep, or ask for one themselves."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what a command line describes, and return the exit status.

    Args:
        arguments: overrides and Hydra's flags; those of this process if omitted.
    """
    any_terminal()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if any(flag in given for flag in HELP):
            return _help(given)
        return _train(given)
    except ConfigError as error:
        say(error, error=True)
        return 1
    except KeyboardInterrupt:
        kept = "What is done is stored, what was running has kept its state"
        say(f"Stopped. {kept}; repeat the command to continue.", error=True)
        return 130


def _help(arguments: Sequence[str]) -> int:
    from feature_lazy.settings.help import help_text
    from feature_lazy.settings.overrides import own_modules_of
    from feature_lazy.settings.registry import discover

    discover(own_modules_of(arguments))
    words = [word for word in arguments if not word.startswith(("-", "options="))]
    if words == ["hydra"]:
        return _train(["--hydra-help"])
    say(help_text(words))
    return 0


def _train(arguments: Sequence[str]) -> int:
    import hydra

    from feature_lazy.launch.output_check import leaving_nothing
    from feature_lazy.settings.conf_files import config_dir
    from feature_lazy.settings.overrides import checked

    sys.argv[1:] = given = checked(arguments)
    once = _composed_once() if not _may_ask_for_a_sweep(given, config_dir()) else nullcontext()
    with leaving_nothing(), once, _sentences():
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(train)()
    return 0


def _may_ask_for_a_sweep(arguments: Sequence[str], folder: Path) -> bool:
    """Whether some file may say ``hydra.mode: MULTIRUN``.

    Those of experiments do, those of Hydra's groups and of folders that a flag adds might, and so might what a user has
    made of ``train.yaml``; the options that a job is made of do not.
    """
    for word in arguments:
        if word.startswith("-"):
            if word not in ("-m", "--multirun", "-r", "--run"):
                return True
        elif word.lstrip("+~").startswith(FILES):
            return True
    top = (folder / "train.yaml").read_text(encoding="utf-8")
    return "mode:" in top or "- experiment: null" not in top


@contextmanager
def _composed_once() -> Iterator[None]:
    """Spare Hydra the composition by which it only looks for a mode, a quarter of a second: there is none."""
    from hydra._internal.hydra import Hydra

    look = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = look  # type: ignore[method-assign]


@contextmanager
def _sentences() -> Iterator[None]:
    """Say what ends a command as every error is said: Hydra adds how to get a stack trace, which no sentence needs."""
    from hydra._internal import utils
    from hydra.errors import CompactHydraException
    from omegaconf.errors import OmegaConfBaseException

    report = utils.run_and_report

    def said(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except CompactHydraException as error:
            if utils._is_env_set("HYDRA_FULL_ERROR"):
                raise
            cause = [error.__cause__] if isinstance(error.__cause__, OmegaConfBaseException) else []
            say("\n".join(map(str, [error, *cause])), error=True)
            raise SystemExit(1) from error

    utils.run_and_report = lambda function: report(lambda: said(function))
    try:
        yield
    finally:
        utils.run_and_report = report


def train(cfg: Any, others: "Sequence[Config]" = ()) -> list[str]:
    """Train the cells of one Hydra job that are not done, and return the run ids of all of them.

    Args:
        cfg: what Hydra composed.
        others: jobs of the same sweep for the same batch, see ``runs.together``.

    Raises:
        CompactHydraException: an error of a sweep's job that the user can mend; the launcher says it.
        SystemExit: one of a single job, once it is said; Hydra would say it again, below all overrides.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import CompactHydraException
    from hydra.types import RunMode

    from feature_lazy.runs.job import train_config
    from feature_lazy.runs.plan import requested, write_plan
    from feature_lazy.settings.checks import validate
    from feature_lazy.settings.schema import to_config

    alone = not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN
    try:
        config = to_config(cfg, HydraConfig.get().overrides.task if HydraConfig.initialized() else ())
        validate(config)
        if alone:
            write_plan(Path(config.output_dir), [config])  # the plan of a sweep has all of its jobs
        requested.append(Path(config.output_dir))  # Hydra's own launcher and sweeper write no plan
        return train_config(config, others=others)
    except FeatureLazyError as error:
        log.error("%s", error)
        if alone:
            raise SystemExit(1) from error
        raise CompactHydraException(clean(str(error))) from error
    except Exception:
        log.exception("The job failed for a reason that it should not have")
        with secret_errors():  # Hydra prints them
            raise
