"""``python -m analysis``: figures of sweeps, those of the article, and a report in one HTML file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from feature_lazy.core.errors import FeatureLazyError

COMMANDS = ("figures", "figure", "laws", "list", "report")
FORMATS = ("pdf", "png", "pgf")


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; an error that the user can mend is one sentence."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*COMMANDS, "-h", "--help"):
        given = ["figures", *given]  # python -m analysis DIR
    options = _parser().parse_args(given)
    try:
        options.call(options)
    except FeatureLazyError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Figures of sweeps.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    figures = commands.add_parser("figures", help="table and figures of any sweep; what 'python -m analysis DIR' does")
    figures.add_argument("folder", type=Path, help="results folder, such as results/demo")
    figures.set_defaults(call=_figures)
    figure = commands.add_parser("figure", help="one figure or table of the article, with its data as CSV")
    figure.add_argument("name", help="such as fig3; 'python -m analysis list' shows all")
    figure.add_argument(
        "folders", type=Path, nargs="*", metavar="DIR", help="results folders, such as results/article/fig3"
    )
    figure.add_argument("--output", type=Path, help="folder to write to; default: DIR/figures")
    figure.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=FORMATS, help="default: all that can be written"
    )
    figure.set_defaults(call=_figure)
    laws = commands.add_parser("laws", help="expected, measured ± error and verdict, of every kind of run in a folder")
    laws.add_argument("folder", type=Path, help="results folder, such as results/demo")
    laws.set_defaults(call=_laws)
    commands.add_parser("list", help="the article's figures and tables, and what each shows").set_defaults(call=_list)
    report = commands.add_parser("report", help="one HTML file of a sweep, for any browser, without a network")
    report.add_argument("folder", type=Path, help="results folder, such as results/demo")
    report.add_argument("--output", type=Path, help="the file to write; default: DIR/report.html")
    report.set_defaults(call=_report)
    return parser


def _figures(options: argparse.Namespace) -> None:
    from analysis.summary import summarise

    summarise(options.folder)


def _figure(options: argparse.Namespace) -> None:
    import pandas as pd

    from analysis.figures.claims import finding
    from analysis.figures.registry import draw_article

    written, missing = draw_article(options.name, options.folders, options.output, options.formats)
    says, found = finding(options.name, pd.read_csv(written[-1], dtype={"text": str}).fillna({"text": ""}))
    print(f"The article: {says}\nHere: {found.seen}.")
    for sentence in missing:
        print(sentence)
    print("Written: " + ", ".join(str(path) for path in written))


def _laws(options: argparse.Namespace) -> None:
    from analysis.table import show_laws

    show_laws(options.folder)


def _report(options: argparse.Namespace) -> None:
    from analysis.report import write_report

    path = write_report(options.folder, options.output)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, for any browser, without a network")


def _list(options: argparse.Namespace) -> None:
    from analysis.figures.registry import described

    for name, text in described():
        print(f"{name:8}{text}")


if __name__ == "__main__":
    main()
