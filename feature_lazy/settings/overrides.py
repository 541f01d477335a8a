"""Command lines of overrides: sizes of experiments, and errors that help before Hydra meets them."""

import argparse
import dataclasses
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, Transformer, ValueType
from hydra.errors import HydraException
from omegaconf import OmegaConf

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.conf_files import config_dir
from feature_lazy.settings.config import ALSO, Config, default_option
from feature_lazy.settings.registry import absent, discover, failures, find, options, presets
from feature_lazy.settings.schema import FREE, GROUPS, keys_of, members, refuse_key, register, to_config

TOP_LEVEL = (*(f.name for f in dataclasses.fields(Config)), "experiment")
"""What a command line may begin with, beside Hydra's own keys."""

ARTICLE = "article/"
"""Experiments that have sizes: ``article/NAME``, the small one being ``article/small/NAME``."""

KNOBS = {"alpha": "alpha.value", "width": "width.h", "seed": "seed.value"}
"""The number that is meant by a number in place of a group's option."""

NUMBERS = {
    int: ("a whole number", re.compile(r"[+-]?[\d_]+")),
    float: ("a number", re.compile(r"[+-]?([\d_]+\.?[\d_]*|\.[\d_]+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)),
}
"""Types of keys, in words, and what the schema takes for them."""

SIZES = ("article", "small")
COMPLETION = ("-sc", "--shell-completion")
SHELLS = ("bash", "fish", "zsh")


def composed(overrides: Sequence[str]) -> Config:
    """The configuration that ``python train.py`` makes of its overrides, for other commands.

    Raises:
        ConfigError: what ``train.py`` refuses, or there is no folder ``conf`` beside the package.
    """
    overrides = checked(overrides)
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return to_config(compose("train", list(overrides)), overrides)
    except HydraException as error:
        raise ConfigError(f"{error}") from error


def checked(arguments: Sequence[str]) -> list[str]:
    """A command line made ready for Hydra: options of the user's own are known, and what is wrong is refused.

    Raises:
        ConfigError: what ``check_flags``, ``sized``, ``check_overrides`` and ``check_chosen`` refuse, or a module of
            ``options=[…]`` that cannot be imported.
    """
    check_flags(arguments)
    arguments = sized(flags_first(arguments))
    if set(COMPLETION) & set(arguments):
        _check_completion(arguments)
        return arguments
    arguments = started(arguments)
    discover(own_modules_of(arguments))
    check_overrides(arguments)
    check_chosen(arguments)
    register()
    return arguments


def _check_completion(arguments: Sequence[str]) -> None:
    """Refuse words after ``-sc`` that Hydra has no answer to; they are no overrides.

    Raises:
        ConfigError: such words.
    """
    words = [word for word in arguments if not word.startswith("-")]
    known = [f"{what}={shell}" for what in ("install", "uninstall", "query") for shell in SHELLS]
    # Of a line that is not complete yet the shell asks, and passes it in the environment.
    if len(words) != 1 or words[0] not in known or (words[0].startswith("query") and "COMP_LINE" not in os.environ):
        raise ConfigError(
            f"-sc {' '.join(words)}: after -sc stands install=SHELL or uninstall=SHELL alone, where SHELL is one of "
            f"{', '.join(SHELLS)}."
        )


def _flags(arguments: Sequence[str]) -> argparse.Namespace | None:
    """Hydra's flags and the overrides beside them; None where Hydra's parser says itself what is wrong with them."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return get_args_parser().parse_intermixed_args(list(arguments))
    except SystemExit:
        return None


def check_flags(arguments: Sequence[str]) -> None:
    """Refuse flags that Hydra's parser takes and Hydra itself stumbles over, with a traceback.

    Raises:
        ConfigError: such flags.
    """
    flags = _flags(arguments)
    if flags is None:
        return
    if (again := flags.experimental_rerun) and not Path(again).is_file():
        raise ConfigError(f"--experimental-rerun {again}: no such file; it takes the config.pickle of a Hydra run.")
    if flags.resolve and not (flags.cfg or flags.help):
        raise ConfigError("--resolve: shows values of a configuration that is printed; add --cfg job.")
    modes = {
        "--run": flags.run,
        "--multirun": flags.multirun,
        "--cfg": flags.cfg,
        "--info": flags.info,
        "--shell-completion": flags.shell_completion,
    }
    if len(given := [flag for flag, there in modes.items() if there]) > 1:
        raise ConfigError(f"{' '.join(given)}: each does something else with the command line; leave one.")


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The same command line with Hydra's flags before all overrides: its parser takes no flag between them."""
    if (parsed := _flags(arguments)) is None:
        return list(arguments)
    flags = list(arguments)
    for override in reversed(parsed.overrides):
        del flags[len(flags) - 1 - flags[::-1].index(override)]
    return [*flags, *parsed.overrides]


def own_modules_of(arguments: Sequence[str]) -> list[str]:
    """Modules that ``options=[…]`` names: they declare options, so they are needed before anything is composed."""
    found = [override for override in _parsed(arguments) if override.key_or_group.removeprefix("+") == "options"]
    value = found[-1].value() if found else []
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def sized(arguments: Sequence[str]) -> list[str]:
    """The same command line with ``experiment=article/fig3 size=small`` as ``experiment=article/small/fig3``.

    The small experiment is a file of its own, because another data set is another option of a group: no value of a
    configuration could stand for it. So the size is no part of a configuration, and of no run's identity.

    Raises:
        ConfigError: a size that there is not, or one without an experiment of the article.
    """
    size = [argument for argument in arguments if argument.startswith("size=")]
    rest = [argument for argument in arguments if argument not in size]
    if not size:
        return rest
    value, names = size[-1].partition("=")[2], "|".join(SIZES)
    if value not in SIZES:
        raise ConfigError(f"{size[-1]}: must be one of {', '.join(SIZES)}.")
    own = [i for i, argument in enumerate(rest) if argument.lstrip("+").startswith(f"experiment={ARTICLE}")]
    if not own:
        raise ConfigError(
            f"{size[-1]}: only the article's experiments have sizes: experiment=article/fig3 size={names}."
        )
    if value == "small":
        rest[own[-1]] = re.sub(rf"(?<=[=,]){ARTICLE}(?!small/)", f"{ARTICLE}small/", rest[own[-1]])
    return rest


FROM_RUN = {"alpha": ["alpha=raw", "alpha.value=1"], "centred": ["centred=false"]}
"""What ``seed=from_run`` comes with: fine-tuning goes on from F = f, by keys that it stands in for."""


def started(arguments: Sequence[str]) -> list[str]:
    """The same command line with what ``seed=from_run`` comes with, where it is not given."""
    keys = {override.key_or_group.removeprefix("+").partition(".")[0] for override in _parsed(arguments)}
    if "seed=from_run" not in arguments or "experiment" in keys:
        return list(arguments)
    more = [line for key, lines in FROM_RUN.items() if key not in keys for line in lines]
    return [*arguments, *more]


def check_overrides(arguments: Sequence[str]) -> None:
    """Refuse a command line that sets a key which no option has, or a group to a number, and say what there is.

    Hydra refuses it too, but suggests to append it with ``+``, which the typed schema would refuse again; of a number
    (``seed=3``) it shows its own traceback.

    Raises:
        ConfigError: an unknown key; the message names it, the nearest key and all keys beside it. Or a number in place
            of a group's option; the message names the options and the keys that may have been meant.
    """
    overrides = _parsed(arguments)
    for override in overrides:
        _check_plugins(override)
        _check_interval(override, overrides)
        path = override.key_or_group.removeprefix("+").split(".")
        if path == [ALSO]:
            for name in _names(override):
                find(ALSO, name)
        if path[0] == "hydra" or "/" in path[0]:
            continue  # Hydra's own settings have a schema of their own.
        if path[0] not in TOP_LEVEL:
            refuse_key(override.input_line or "", path[0], "the configuration", TOP_LEVEL)
        if path[:2] == ALSO.split("/"):
            _check_observable(override.input_line or "", path)
        elif path[0] in GROUPS and len(path) > 1:
            _check_key(override, path, _chosen(path[0], overrides))
        elif path[0] in GROUPS:
            _check_choice(override)


def _check_interval(override: Override, overrides: Sequence[Override]) -> None:
    """Refuse an interval, from which only other sweepers can draw values.

    Raises:
        ConfigError: no sweeper is chosen.
    """
    if override.key_or_group in GROUPS:
        return  # no option is a number, which is said
    if override.is_interval_sweep() and not any(other.key_or_group == "hydra/sweeper" for other in overrides):
        raise ConfigError(
            f"{override.input_line}: an interval has no values to train at; name them, such as "
            f"{override.key_or_group}=0.1,1,10, or choose a sweeper that draws from it: hydra/sweeper=…."
        )


def _check_key(override: Override, path: Sequence[str], chosen: Sequence[str]) -> None:
    """Refuse a key that no option of a group has, and list those of the chosen ones.

    Of an option that there is not Hydra says so, which is what to mend first.
    """
    known = options(path[0])
    if all(name in known for name in chosen):
        shown = tuple(known[name] for name in chosen)
        _check_path(override.input_line or "", path, 1, members(path[0]), shown)
        if len(path) == 2:
            _check_type(override, {f.type for made in shown for f in dataclasses.fields(made) if f.name == path[1]})


def _check_type(override: Override, wanted: set[Any]) -> None:
    """Refuse what is no number for a key that is one, or no whole one; Hydra says it in words of its own.

    Raises:
        ConfigError: such a value.
    """
    kind = next(iter(wanted)) if len(wanted) == 1 else None
    if kind not in NUMBERS or override.is_delete():
        return
    for value in _values(override):
        text = str(value)
        if isinstance(value, bool) or not (NUMBERS[kind][1].fullmatch(text) or "${" in text):
            raise ConfigError(f"{override.input_line}: must be {NUMBERS[kind][0]}; {text} is not.")


def _values(override: Override) -> list[Any]:
    """The values of an override, one after another; none of what is known only later."""
    if override.is_choice_sweep() and not _matches(override):
        return list(override.sweep_iterator(Transformer.identity))
    return [] if override.is_sweep_override() else [override.value()]


def _check_plugins(override: Override) -> None:
    """Refuse an option that may be one of a plug-in which could not be imported.

    Raises:
        ConfigError: it is not known, and there is such a plug-in.
    """
    group = override.key_or_group.removeprefix("+")
    if group in GROUPS and failures():
        for name in _names(override):
            if name not in options(group) and name not in presets(group):
                raise ConfigError(f"{override.input_line}: {absent(group, name)}")


def check_chosen(arguments: Sequence[str]) -> None:
    """Refuse a key of an option that is not the chosen one, and name the options that have it.

    Raises:
        ConfigError: such a key, or one that the chosen network does not read.
    """
    overrides = _parsed(arguments)
    _check_read(overrides)
    for override in overrides:
        group, _, key = override.key_or_group.removeprefix("+").partition(".")
        if group not in GROUPS or not key:
            continue
        if group == "observe" and key.startswith("also."):
            _check_chosen_observable(override.input_line or "", key.split(".")[1], _chosen(ALSO, overrides))
            continue
        chosen = _chosen(group, overrides)
        if any(name not in options(group) for name in chosen):
            continue  # Hydra says which there is not, which is what to mend first
        having = [name for name, made in options(group).items() if key.split(".")[0] in keys_of((made,))]
        if chosen and having and not set(chosen) & set(having):
            choices = " or ".join(f"{group}={name}" for name in having)
            passes = any("kwargs" in keys_of((options(group)[name],)) for name in chosen)
            own = f" An argument of your own target is {group}.kwargs.{key}." if passes else ""
            raise ConfigError(
                f"{override.input_line}: {group}={', '.join(chosen)} has no key {key!r}; choose it: {choices}.{own}"
            )


def _check_read(overrides: Sequence[Override]) -> None:
    """Refuse what a person has written for a network that does not read it: the id would be another, the numbers not.

    Of what is composed it is not known who wrote it; a stored run that has such a key is trained on as it was.

    Raises:
        ConfigError: a group, or a key in it, that none of the chosen architectures reads.
    """
    names = _chosen("architecture", overrides)
    made = [options("architecture")[name] for name in names if name in options("architecture")]
    if not made or len(made) < len(names):
        return
    for override in overrides:
        group = override.key_or_group.removeprefix("+").partition(".")[0]
        if all(group in architecture.unread for architecture in made) and not override.is_delete():
            raise ConfigError(made[0].ignores(override.input_line or "", group))
    if not any(override.key_or_group == "architecture" for override in overrides):
        for written, group in _in_experiments(overrides, made[0].unread):
            raise ConfigError(made[0].ignores(written, group))


def _in_experiments(overrides: Sequence[Override], groups: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What files of experiments, each of which chooses its network, say of some groups: as written, and the group."""
    named = [name for one in overrides if one.key_or_group.lstrip("+") == "experiment" for name in _names(one)]
    for name in named:
        path = config_dir() / "experiment" / f"{name}.yaml"
        for group in groups if path.is_file() else ():
            if option := _overridden(group, path):
                yield f"experiment={name}, {group}={option[0]}", group
            elif isinstance(keys := _plain(path).get(group), dict):
                yield f"experiment={name}, {', '.join(f'{group}.{key}' for key in keys)}", group


def _chosen(group: str, overrides: Sequence[Override]) -> list[str]:
    """Names of the options among which a command line chooses for a group; none where it cannot be told."""
    words = {override.key_or_group.removeprefix("+"): override for override in overrides}
    names: list[str] = []
    if group in words:
        names = _names(words[group])
    elif "experiment" in words:
        for experiment in _names(words["experiment"]):
            names += _overridden(group, config_dir() / "experiment" / f"{experiment}.yaml")
    if group not in words and not names:
        names = _flat(default_option(group))
    meant = presets(group)
    return [meant[name].of if name in meant else name for name in names]


def _names(override: Override) -> list[str]:
    if override.is_choice_sweep() and not _matches(override):
        return [name for value in override.sweep_iterator(Transformer.identity) for name in _flat(value)]
    return [] if override.is_sweep_override() else _flat(override.value())


def _matches(override: Override) -> bool:
    """Whether options are given by a glob: what it matches, only Hydra knows."""
    return override.value_type is ValueType.GLOB_CHOICE_SWEEP


def _flat(value: Any) -> list[str]:
    """Names of options: one, a list of them, or none."""
    return [str(name) for name in (value if isinstance(value, list) else [] if value is None else [value])]


def _overridden(group: str, path: Path) -> list[str]:
    """The option of a group that an experiment's file chooses, or a file that it goes on from; the last one counts."""
    if not path.is_file():
        return []
    chosen: list[str] = []
    for entry in _plain(path).get("defaults", []):
        if isinstance(entry, dict) and f"override /{group}" in entry:
            chosen = [str(entry[f"override /{group}"])]
        elif isinstance(entry, str) and entry != "_self_":
            base = config_dir() if entry.startswith("/") else path.parent
            chosen = _overridden(group, base / f"{entry.lstrip('/')}.yaml") or chosen
    return chosen


def _plain(path: Path) -> dict[str, Any]:
    """A file of an experiment as it is."""
    found = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def _parsed(arguments: Sequence[str]) -> list[Override]:
    """The overrides of a command line; none if Hydra cannot parse it, which reports it better when it does the same."""
    try:
        return OverridesParser.create().parse_overrides([a for a in arguments if not a.startswith("-")])
    except HydraException:
        return []


def _check_observable(line: str, path: Sequence[str]) -> None:
    """Refuse an observable that there is not, and keys that it does not have.

    Raises:
        ConfigError: such a one, or all of them at once.
    """
    if len(path) == 2:
        raise ConfigError(
            f"{line}: observables are chosen by name, {ALSO}=[{','.join(options(ALSO))}], and their keys set."
        )
    _check_path(line, path, 3, (find(ALSO, path[2]),))


def _check_chosen_observable(line: str, name: str, chosen: Sequence[str]) -> None:
    if name not in chosen:
        raise ConfigError(f"{line}: {name} is not observed; choose it: {ALSO}=[{','.join([*chosen, name])}].")


def _check_path(
    line: str, path: Sequence[str], start: int, types: tuple[type, ...], shown: tuple[type, ...] = ()
) -> None:
    """Refuse a key that no option has, from place ``start`` on, where one of the types is expected.

    The sentence lists the keys of the types ``shown``, if there are any: those of the options that are chosen.
    """
    for depth, key in enumerate(path[start:], start=start):
        keys = keys_of(types)
        if key not in keys:
            refuse_key(line, key, f"'{'.'.join(path[:depth])}'", keys_of(shown) if shown and depth == start else keys)
        if keys[key] is FREE:
            return
        types = keys[key]
        if depth + 1 < len(path) and not types:
            refuse_key(line, path[depth + 1], f"'{'.'.join(path[: depth + 1])}', which is a value", [])


def _check_choice(override: Override) -> None:
    """Refuse numbers and the like where the name of an option is wanted, and a group that is to have none.

    Raises:
        ConfigError: it is none; the message has the options, and the key that was meant.
    """
    if _matches(override):
        return
    if override.is_delete():
        group = override.key_or_group
        raise ConfigError(f"{override.input_line}: a run needs one of {group}: {', '.join(sorted(options(group)))}.")
    if override.is_choice_sweep() or override.is_range_sweep():
        values = list(override.sweep_iterator(Transformer.identity))
    elif override.is_interval_sweep():
        values = [0.0]
    else:
        values = [override.value()]
    if all(isinstance(value, (str, list, QuotedString)) for value in values):
        return
    group, line = override.key_or_group.removeprefix("+"), override.input_line or ""
    names = ", ".join(sorted([*options(group), *presets(group)]))
    number = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    meant = f" Did you mean {KNOBS[group]}={line.partition('=')[2]}?" if number and group in KNOBS else ""
    raise ConfigError(f"{line}: {group!r} is one of {names}.{meant}")
