"""``python -m analysis``: figures and tables of the article, and the commands of ``feature-lazy`` on stored runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import any_terminal
from feature_lazy.launch.commands import add, modules

SHARED = ("figures", "laws", "report", "dashboard")
"""Commands of ``feature-lazy`` that are here too."""
PICTURES = ("pdf", "png", "pgf")
"""As ``study.figures.sheet`` has them, which is not imported for ``--help``."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; an error that the user can mend is one sentence."""
    any_terminal()
    given = list(sys.argv[1:] if arguments is None else arguments)
    known = (*SHARED, "figure", "list")
    if given and given[0] not in (*known, "-h", "--help"):
        if len(given) > 1 or not Path(given[0]).is_dir():
            say(f"{given[0]}: neither a results folder nor a command; the commands are {', '.join(known)}.", error=True)
            sys.exit(1)
        given = ["figures", *given]  # python -m analysis DIR
    options = _parser().parse_args(given)
    try:
        status = options.call(options)
    except FeatureLazyError as error:
        say(error, error=True)
        sys.exit(1)
    if status:
        sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Figures of sweeps.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    known = modules()
    for name in SHARED:
        add(commands, name, known[name])
    figure = commands.add_parser("figure", help="one figure or table of the article, with its data as CSV")
    figure.add_argument("name", help="such as fig3; 'python -m analysis list' shows all")
    figure.add_argument(
        "folders", type=Path, nargs="*", metavar="DIR", help="results folders, such as results/article/fig3"
    )
    figure.add_argument("--output", type=Path, help="folder to write to; default: DIR/figures")
    figure.add_argument(
        "--formats", nargs="+", choices=PICTURES, default=PICTURES, help="default: all that can be written"
    )
    figure.set_defaults(call=_figure)
    commands.add_parser("list", help="the article's figures and tables, and what each shows").set_defaults(call=_list)
    return parser


def _figure(options: argparse.Namespace) -> None:
    from analysis.figures.registry import NEEDS_NO_RUN, SHOWN, draw_article, readings
    from analysis.figures.source import open_runs
    from feature_lazy.study.table import kinds
    from feature_lazy.study.terminal import show_readings

    written, missing = draw_article(options.name, options.folders, options.output, options.formats)
    says, _ = SHOWN[options.name]
    say(f"The article: {says}")
    if options.name not in NEEDS_NO_RUN:
        tables = kinds(open_runs(options.folders).table, ("L", "P"))
        show_readings({"Here": readings(options.name, tables)})
    for sentence in missing:
        say(sentence)
    say("Written: " + ", ".join(str(path) for path in written))


def _list(options: argparse.Namespace) -> None:
    from analysis.figures.registry import described

    for name, text in described():
        say(f"{name:8}{text}")


if __name__ == "__main__":
    main()
