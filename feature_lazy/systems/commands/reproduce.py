"""Train the sweep of a system of the literature, and judge its claim: expected, measured ± error, verdict.

What is done is not trained again, and a sweep that was stopped goes on. Overrides are added to each sweep, such as
hydra/launcher=slurm_cpu; size=paper is the paper's own size. 'feature-lazy systems' lists the names.
"""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from feature_lazy.systems.table import System


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("words", nargs="+", metavar="NAME", help="systems, then size=SIZE and overrides of train.py")
    parser.add_argument("--replication", action="store_true", help="with other seeds and another split of the data")


def call(options: argparse.Namespace) -> int:
    """Train and judge each; 1 if a job failed, or a law differs or cannot be told.

    Raises:
        ConfigError: a system or a size that there is not, or an output folder for several systems.
        StoreError: no run is complete.
    """
    from feature_lazy.core.errors import ConfigError
    from feature_lazy.systems.table import LAPTOP, find

    names = [word for word in options.words if "=" not in word]
    sizes = [word.partition("=")[2] for word in options.words if word.startswith("size=")]
    more = [word for word in options.words if "=" in word and not word.startswith("size=")]
    if not names:
        raise ConfigError("Name a system, such as: feature-lazy reproduce ntk; 'feature-lazy systems' lists them.")
    if len(names) > 1 and any(word.startswith("output_dir=") for word in more):
        raise ConfigError("output_dir=…: several systems cannot share a folder; name one system.")
    chosen = [(find(name), sizes[-1] if sizes else LAPTOP) for name in names]
    for system, size in chosen:
        system.overrides(size)  # refused before anything starts
    good = [_one(system, size, more, replication=options.replication) for system, size in chosen]
    return 0 if all(good) else 1


def _one(system: "System", size: str, more: list[str], *, replication: bool) -> bool:
    """Whether the claim came out."""
    import shlex
    from pathlib import Path

    from feature_lazy.systems.reproduce import command_line, folder_of, train

    own = [word.partition("=")[2] for word in more if word.startswith("output_dir=")]
    folder = Path(own[-1]) if own else folder_of(system, size, replication=replication)
    given = command_line(
        system, size, folder, [word for word in more if "output_dir=" not in word], replication=replication
    )
    print(f"{system.folder} (arXiv:{system.paper}): {system.claim}\nfeature-lazy train {shlex.join(given)}", flush=True)
    if not train(given):
        print(f"{system.folder}: not all runs are done; repeat the command to go on.")
        return False
    return _judged(system, folder)


def _judged(system: "System", folder: "Path") -> bool:
    from rich.console import Console

    from feature_lazy.study.terminal import WIDE, law_table
    from feature_lazy.study.verdict import AGREES, unmeasured
    from feature_lazy.systems.reproduce import judge

    found, console = judge(system, folder), Console()
    console.print(law_table(found, f"{system.folder}: {folder}", narrow=console.width < WIDE))
    for sentence in unmeasured(found):
        console.print(sentence, highlight=False)
    return all(row.verdict == AGREES for row in found)
