"""Train the sweep of a system of the literature, and judge its claim: expected, measured ± error, verdict.

What is done is not trained again, and a sweep that was stopped goes on. size=paper is the paper's own size, and
replication=true has other seeds and another split of the data; overrides of train.py are added to each sweep, such as
hydra/launcher=slurm_cpu. 'feature-lazy systems' lists the names.
"""

import argparse
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console, say

if TYPE_CHECKING:
    from pathlib import Path

    from feature_lazy.systems.table import Sweep, System


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("words", nargs="+", metavar="NAME", help="systems, then KEY=VALUE as said above")


def call(options: argparse.Namespace) -> int:
    """Train and judge each; 1 if a job failed, or a law differs or cannot be told.

    Raises:
        ConfigError: a system or a size that there is not, or an output folder for several systems.
        StoreError: no run is complete.
    """
    from feature_lazy.core.errors import ConfigError
    from feature_lazy.systems.table import LAPTOP, Sweep, find

    names = [word for word in options.words if "=" not in word]
    given = [word for word in options.words if "=" in word]
    own = {key: _taken(given, key) for key in ("size", "replication", "output_dir")}
    if not names:
        raise ConfigError("Name a system, such as: feature-lazy reproduce ntk; 'feature-lazy systems' lists them.")
    if own["replication"] not in ("", "true", "false"):
        raise ConfigError(f"replication={own['replication']}: must be true or false.")
    if len(names) > 1 and own["output_dir"]:
        raise ConfigError("output_dir=…: several systems cannot share a folder; name one system.")
    chosen = [Sweep(find(name), own["size"] or LAPTOP, own["replication"] == "true") for name in names]
    for sweep in chosen:
        sweep.grids()  # a size that there is not is refused before anything starts
    good = [_one(sweep, own["output_dir"], given) for sweep in chosen]
    return 0 if all(good) else 1


def _taken(words: list[str], key: str) -> str:
    """The last value of a key, which is taken out of the words; empty if there is none."""
    found = [word for word in words if word.startswith(f"{key}=")]
    words[:] = [word for word in words if word not in found]
    return found[-1].partition("=")[2] if found else ""


def _one(sweep: "Sweep", output_dir: str, more: list[str]) -> bool:
    """Whether the claim came out."""
    import shlex
    from pathlib import Path

    from feature_lazy.systems.reproduce import train, unfinished

    system, folder = sweep.system, Path(output_dir or sweep.folder)
    say(f"{system.folder} (arXiv:{system.paper}): {system.claim}")
    trained, left = True, ""
    for where, words in sweep.stages(folder):
        given = ["-m", *words, *more]
        say(f"feature-lazy train {shlex.join(given)}")
        trained = train(given) and trained
        left = unfinished(where) if trained else "a job failed"
        if left and where != folder:  # others start from its runs
            break
    if left:
        say(f"{system.folder}: {left}; repeat the command to go on, and to judge what is done then.")
        return False
    return _judged(system, folder)


def _judged(system: "System", folder: "Path") -> bool:

    from feature_lazy.study.terminal import WIDE, law_table
    from feature_lazy.study.verdict import AGREES, unmeasured
    from feature_lazy.systems.reproduce import judge

    found, out = judge(system, folder), console()
    out.print(law_table(found, f"{system.folder}: {folder}", narrow=out.width < WIDE))
    for sentence in unmeasured(found):
        out.print(sentence, highlight=False)
    if system.note:
        out.print(system.note, highlight=False)
    return all(row.verdict == AGREES for row in found)
