"""``python -m analysis DIR``: table and figures of a sweep; ``python -m analysis report DIR``: one HTML file of it."""

import argparse
import sys
from pathlib import Path

from analysis.summary import summarise
from feature_lazy.errors import FeatureLazyError


def main() -> None:
    """Summarise the results folder named on the command line, or write its report."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Table and figures of a sweep.")
    parser.epilog = "python -m analysis report DIR [--output FILE] writes one HTML file that needs no network."
    folder = {"type": Path, "help": "results folder, such as results/demo"}
    try:
        if sys.argv[1:2] == ["report"]:
            parser = argparse.ArgumentParser(prog="python -m analysis report", description="One HTML file of a sweep.")
            parser.add_argument("folder", **folder)
            parser.add_argument("--output", type=Path, help="the file to write (default: DIR/report.html)")
            _report(parser.parse_args(sys.argv[2:]))
        else:
            parser.add_argument("folder", **folder)
            summarise(parser.parse_args().folder)
    except FeatureLazyError as error:
        sys.exit(str(error))


def _report(options: argparse.Namespace) -> None:
    from analysis.report import write_report

    path = write_report(options.folder, options.output)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, for any browser, without a network")


if __name__ == "__main__":
    main()
