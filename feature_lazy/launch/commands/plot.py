"""Draw any column of any runs against any other, with means and errors over seeds.

Columns are those of ``feature-lazy export``, keys of the configuration such as dynamics.lr, and t for curves over time.
"""

import argparse
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import where_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "folders", nargs="+", metavar="DIR", help="results folders, each with a label if wanted: LABEL=DIR"
    )
    parser.add_argument("--x", default="sqrt_h_alpha", metavar="COLUMN", help="default: sqrt_h_alpha; t: over time")
    parser.add_argument("--y", default="test/error", metavar="COLUMN", help="default: test/error")
    parser.add_argument(
        "--by", action="append", default=[], metavar="COLUMN", help="a line for each value; may be repeated"
    )
    where_argument(parser)
    parser.add_argument("--log", choices=("x", "y", "xy", "none"), help="logarithmic axes (default: by what is drawn)")
    parser.add_argument(
        "--reduce", default="mean,sem", metavar="HOW", help="mean or median, with sem, sd or quartiles; or none"
    )
    parser.add_argument("--width", metavar="LENGTH", help="of the figure, such as 3.4in or 8.6cm")
    parser.add_argument(
        "--out",
        action="append",
        metavar="FILE",
        help=".pdf, .png, .svg, .pgf or .csv; may be repeated (default: plot.pdf)",
    )


def call(options: argparse.Namespace) -> int:
    """Draw, and say where.

    Raises:
        StoreError: what cannot be drawn; see ``study.figures.plot``.
    """
    from matplotlib.pyplot import close

    from feature_lazy.study.figures.plot import FORMATS, Wanted, draw, rows, save
    from feature_lazy.study.figures.style import inches

    paths = [Path(name) for name in options.out or ["plot.pdf"]]
    for path in paths:
        if path.suffix not in FORMATS:
            raise StoreError(f"--out {path}: the name must end in {', '.join(FORMATS)}.")
    chosen = {
        "x": options.x,
        "y": options.y,
        "by": tuple(options.by),
        "where": tuple(options.where),
        "log": options.log,
    }
    wanted, width = Wanted.reduced(options.reduce, **chosen), inches(options.width) if options.width else None
    folders = dict(_labelled(name) for name in options.folders)
    if len(folders) < len(options.folders):
        raise StoreError("Two folders have one label: write LABEL=DIR, with another one for each.")
    points, known = rows(folders, wanted)
    figure = draw(points, known, wanted, width)
    status = 0
    for path in paths:
        if why := save(figure, points, path, wanted):
            say(why, error=True)
            status = 1
        else:
            say(f"{counted(len(points), 'point')}, {points['n'].sum():g} values of {options.y}, in {path}")
    close(figure)
    return status


def _labelled(name: str) -> tuple[str, Path]:
    label, equals, folder = name.partition("=")
    return (label, Path(folder)) if equals and not Path(name).is_dir() else (Path(name).name, Path(name))
