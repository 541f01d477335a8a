"""One self-contained HTML file: text, figures, data and scripts, and a policy that lets it load nothing else."""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import matplotlib as mpl
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined

from feature_lazy.study.report.points import TINTS

LIGHT, DARK = (0.0, 0.86), (0.32, 1.0)
"""Parts of viridis that are seen on white and on black."""

MOST_LISTED = 24


def render(payload: dict[str, Any], content: dict[str, Any]) -> str:
    """The page.

    Args:
        payload: data and figures for the scripts.
        content: what the template writes; every text is escaped there.
    """
    # Vega, Vega-Lite and Vega-Embed as one script, which takes two seconds once.
    scripts = [_inline(script) for script in (vl_convert.javascript_bundle(), _text("page.js"))]
    environment = Environment(
        loader=PackageLoader("feature_lazy.study.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=number, numbers=numbers, percent=percent)
    return environment.get_template("page.html").render(
        scripts=scripts,
        policy=_policy(scripts),
        style=_text("style.css") + tints(),
        payload=as_json(payload),
        **content,
    )


def as_json(payload: object) -> str:
    """JSON that stands in a script element: nothing in it ends the element, and it holds no NaN."""
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def tints() -> str:
    """The steps of viridis as CSS variables, for a light and for a dark page."""
    light, dark = _steps(*LIGHT), _steps(*DARK)
    both = (f"--s{i}:light-dark({one},{other})" for i, (one, other) in enumerate(zip(light, dark, strict=True)))
    return f":root{{{';'.join(both)}}}"


def _steps(first: float, last: float) -> list[str]:
    colours = mpl.colormaps["viridis"]
    return [mpl.colors.to_hex(colours(first + (last - first) * step / (TINTS - 1))) for step in range(TINTS)]


def number(value: float | None) -> str:
    """Three digits; a dash for none."""
    return "–" if value is None else f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def numbers(values: Sequence[float]) -> str:
    """A list of numbers, the middle of a long one left out."""
    written = [number(value) for value in values]
    shown = written if len(written) <= MOST_LISTED else [*written[: MOST_LISTED - 2], "…", written[-1]]
    return ", ".join(shown) + (f" ({len(written)})" if len(written) > MOST_LISTED else "")


def percent(value: float | None) -> str:
    """A fraction in per cent; a dash for none."""
    return "–" if value is None else f"{value:.2%}"


def _inline(script: str) -> str:
    """A script that stands in a script element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is loaded from anywhere."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def _text(name: str) -> str:
    return (resources.files("feature_lazy.study.report") / "templates" / name).read_text(encoding="utf-8")
