"""Secrets of the environment, under any of their names and however written, in no text that leaves this process."""

import base64
import json
import logging
import pickle
import traceback
from urllib.parse import quote, quote_plus

import pytest

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.redaction import RedactingFormatter, redact, secret_errors
from feature_lazy.core.terminal import say

NAMES = (
    *("WANDB_API_KEY", "GITHUB_TOKEN", "CLIENT_SECRET", "DB_PASSWORD", "PGPASSWORD", "SSHPASS", "MYSQL_PWD", "GH_PAT"),
    *("AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "SENTRY_DSN", "SESSION_COOKIE", "CI_JOB_JWT", "SLACK_WEBHOOK"),
    *("SMTP_PASS", "GPG_PASSPHRASE", "PROXY_CREDENTIALS", "BASIC_AUTH"),
)
CANARY = 'c4n4ry "quoted" \\ päss/w+rd=&\tend'
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
WRITTEN = {
    "plain": str,
    "json": json.dumps,
    "json, unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "python": repr,
    "python, bytes": lambda text: repr(text.encode()),
    "url": lambda text: quote(text, safe=""),
    "path of a url": quote,
    "form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "a traceback": lambda text: f"ValueError: {text}\n  at {text!r}",
}


def remains(text):
    """What of a secret would be of use: any eight of its characters in a row, however they were written."""
    pieces = {CANARY[i : i + 8] for i in range(len(CANARY) - 7)} | {line for line in KEY.splitlines() if "M" in line}
    written = {write(piece).strip("'\"") for piece in pieces for write in (str, json.dumps, repr, quote)}
    return [piece for piece in written if piece in text]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", WRITTEN)
def test_no_secret_passes_under_any_name_in_any_writing(monkeypatch, name, how):
    monkeypatch.setenv(name, CANARY)
    assert not remains(redact(f"before {WRITTEN[how](CANARY)} after"))


@pytest.mark.parametrize("write", [str, lambda key: key.replace("\n", "\n    "), json.dumps, lambda key: key[30:]])
def test_no_line_of_a_key_passes(monkeypatch, write):
    monkeypatch.setenv("SERVICE_PRIVATE_KEY", KEY)
    assert "MIIEvQIBADANBgkq" not in redact(write(KEY))
    assert "hkiG9w0BAQEFAASC" not in redact(write(KEY))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://user:hunter2@db/x", "postgres://***@db/x"),
        ("git clone https://ghp_abc@github.com/a/b", "git clone https://***@github.com/a/b"),
        ("https://h/x?a=1&api_key=abc&b=2", "https://h/x?a=1&api_key=***&b=2"),
        ("https://h/x?token=abc", "https://h/x?token=***"),
        ("https://host/path@2x.png and mail@host", "https://host/path@2x.png and mail@host"),
    ],
)
def test_urls_have_no_passwords(url, shown):
    assert redact(url) == shown


def test_what_is_no_secret_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setenv("SHORT_KEY", "on")
    monkeypatch.setenv("EMPTY_TOKEN", "")
    text = f"{tmp_path}: on and off, PATH and HOME, h = 100"
    assert redact(text) == text


def test_terminal_and_log_have_none(monkeypatch, capsys):
    monkeypatch.setenv("GH_PAT", CANARY)
    say(CANARY, "and", json.dumps(CANARY))
    try:
        raise ValueError(CANARY)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s", (CANARY,), None)
        record.exc_info = __import__("sys").exc_info()
        print(RedactingFormatter("%(message)s").format(record))
    assert not remains(capsys.readouterr().out)


def test_error_is_pickled_without_its_secret(monkeypatch):
    """submitit pickles what a job raises, and writes its traceback to a log."""
    monkeypatch.setenv("GH_PAT", CANARY)

    def job():
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise RuntimeError(f"login failed: {CANARY!r}") from error

    with pytest.raises(FeatureLazyError, match="RuntimeError: login failed") as caught, secret_errors():
        job()
    text = "".join(traceback.format_exception(caught.value))
    assert not remains(text)
    assert not remains(pickle.dumps(caught.value).decode("latin-1"))
    assert "job()" in text  # where it was is told all the same


def test_errors_without_secrets_stay_what_they_are(monkeypatch):
    monkeypatch.setenv("GH_PAT", CANARY)
    with pytest.raises(ZeroDivisionError), secret_errors():
        print(1 // 0)
