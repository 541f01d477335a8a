"""Secrets stay out of everything that is written: values of secret environment variables become ``***``."""

import base64
import functools
import json
import logging
import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.words import any_terminal

SECRET = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PWD|SSHPASS|CREDENTIAL|AUTH|COOKIE|JWT|BEARER|WEBHOOK|PRIVATE|SIGNATURE"
    r"|DATABASE_UR[IL]|(^|_)(PAT|PASS|DSN)($|_)",
    re.IGNORECASE,
)
"""Names of environment variables whose values are secrets."""
KNOWN = ("PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY")
"""Names like theirs whose values are paths."""
SHORTEST = 6
"""Shorter values are no secrets, and would be found in any text."""
LINE = 12
"""Lines of a secret of several, such as a private key, are found one by one from this length on."""
USERINFO = re.compile(r"(?<=://)[^\s/@'\"<>]+(?=@)")
"""What a URL has before its host: a password, or a token."""
PARAMETER = re.compile(r"(?i)(?<=[?&])((?:[\w-]*(?:token|key|secret|password|signature|sig))=)[^&\s'\"<>]+")
"""Secrets in the query of a URL."""


def redact(text: str) -> str:
    """A text without the values of secret environment variables, however written, and without passwords in URLs."""
    values = frozenset(os.environ[name] for name in os.environ if SECRET.search(name) and name not in KNOWN)
    if (pattern := _pattern(values)) is not None:
        text = pattern.sub("***", text)
    if "://" in text:
        text = PARAMETER.sub(r"\1***", USERINFO.sub("***", text))
    return text


@functools.lru_cache(maxsize=8)
def _pattern(values: frozenset[str]) -> re.Pattern[str] | None:
    """What finds secrets in any of the ways in which text has them; None if there are none."""
    whole = {value.strip() for value in values if len(value.strip()) >= SHORTEST}
    lines = {line.strip() for value in whole for line in value.splitlines() if len(line.strip()) >= LINE}
    # Twice: an error quotes a message in which the secret stands quoted.
    once = {written for value in whole | lines for written in _written(value)}
    found = {again for written in once for again in _written(written) if len(again) >= SHORTEST}
    return re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True)))) if found else None


def _written(value: str) -> set[str]:
    """A value as it is, in JSON, in Python, in a URL, and in base64."""
    in_json = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    in_python = {repr(value)[1:-1], ascii(value)[1:-1], repr(value.encode(errors="surrogateescape"))[2:-1]}
    in_url = {quote(value, safe=safe, errors="replace") for safe in ("", "/")} | {quote_plus(value, errors="replace")}
    in_url |= {word.replace("%2F", "%2f").replace("%3D", "%3d") for word in in_url}
    raw = value.encode(errors="surrogateescape")
    return {value, *in_json, *in_python, *in_url, base64.b64encode(raw).decode().rstrip("=")}


@contextmanager
def secret_errors() -> Iterator[None]:
    """Keep secrets in errors from whoever writes errors down, tracebacks and all: pickles, logs, a parent process.

    Raises:
        FeatureLazyError: in place of an error that would tell a secret, with its traceback as text.
    """
    try:
        yield
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        if redact(text) == text:
            raise
        raise FeatureLazyError(redact(text)) from None


def printable(text: str) -> str:
    """A text without what would command a terminal: control characters, and those that turn the writing around."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _shown(char) for char in text.expandtabs(4))


def _shown(char: str) -> str:
    """A character that is not printable, for people: a space of any width is one, all else a sign of its own."""
    return " " if unicodedata.category(char) == "Zs" else "�"


def clean(text: str) -> str:
    """A text as a terminal or a log may have it: ``printable``, without secrets."""
    return printable(redact(text))


def log_lines() -> None:
    """Log to standard output, dated, for processes that Hydra has not set up."""
    any_terminal()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class RedactingFormatter(logging.Formatter):
    """A log formatter that lets no secret and no control character through, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))
