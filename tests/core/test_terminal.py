"""The one door to a terminal: no control characters, no secrets, and no markup of somebody else's."""

import io
import itertools
import logging
import sys
import unicodedata

import pytest
from rich.table import Table
from rich.text import Text

from feature_lazy.core.redaction import clean, printable
from feature_lazy.core.terminal import SentenceFormatter, console, say, wrapped

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp.exe\u200b\udc80[red]x[/red][/]:smile:"


def commands(text):
    """What of a text is neither to be seen nor the end of a line."""
    return {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn")} - {"\n"}


def test_no_character_passes_that_is_not_to_be_seen():
    for code in range(sys.maxunicode + 1):
        assert not commands(printable(chr(code))), hex(code)


def test_what_people_read_passes():
    for text in ("√h·α = 1.5e-3 ± 2 %", "ΔΘ/Θ₀ ‖w‖", "两行\n中文", "naïve – café"):
        assert printable(text) == text
    assert printable("a\tb\u00a0c") == "a   b c"


@pytest.mark.parametrize("show", [say, lambda text: console().print(text), lambda text: console().print(Text(text))])
def test_nothing_commands_the_terminal(capsys, show):
    show(HOSTILE)
    said = capsys.readouterr().out
    assert "gnp.exe" in said
    assert "[red]x[/red][/]:smile:" in said  # markup would raise, and hide
    assert not commands(said)


def test_nor_does_a_cell_of_a_table_or_its_title(capsys):
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    console().print(table)
    said = capsys.readouterr().out
    assert said.count("gnp") == 4
    assert not commands(said)


def test_no_secret_is_said(capsys, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2-hunter2")
    say("with hunter2-hunter2, as", "given")
    console().print("with " + "long words " * 6 + "hunter2-hunter2")  # wrapped in the middle of the secret
    assert "hunter2" not in capsys.readouterr().out.replace("\n", "")
    assert clean("hunter2-hunter2\x1b") == "***�"


def test_errors_go_to_standard_error(capsys):
    say("no", error=True)
    assert capsys.readouterr() == ("", "no\n")


QUOTED = "The file '/a folder/with spaces and a name of many letters/x.csv' isn't one; a person's data are elsewhere."
COMMAND = "It is not known: feature-lazy status '/a folder/results of mine' --watch, and then whatever you like to do."
LONG = "  Failed: " + "alpha.value=1e-3 " * 8 + "\n  why it failed, in a line that fits"


@pytest.mark.parametrize("text", [QUOTED, COMMAND, LONG, "x" * 200, "", "a  b", "two\n\nlines"])
@pytest.mark.parametrize("width", [1, 40, 80, 300])
def test_sentences_are_broken_between_words(text, width):
    rows = wrapped(text, width).split("\n")
    assert " ".join(" ".join(rows).split()) == " ".join(text.split())  # nothing lost, and nothing added
    for whole in ("'/a folder/with spaces and a name of many letters/x.csv'", "'/a folder/results of mine' --watch"):
        assert any(whole in row for row in rows) == (whole in text)
    for row, following in itertools.pairwise(rows):
        if len(row) > width:  # one word, a quoted text or a command
            assert len(row.split()) == 1 or "'" in row
        assert following[:2].isspace() == text.startswith("  ") or not following
    if width >= 80:
        assert max(map(len, rows)) <= max(width, 200 * text.startswith("x"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_terminal_is_not_wider_than_it_is_and_a_pipe_has_whole_lines(monkeypatch, stream):
    """Errors and lines of a log, by the same piece; what is said otherwise may be a table."""
    monkeypatch.setenv("COLUMNS", "40")

    def said(file):
        monkeypatch.setattr(sys, stream, file)
        if stream == "stderr":
            say(QUOTED, error=True)
        else:
            file.write(SentenceFormatter("%(message)s").format(logging.makeLogRecord({"msg": QUOTED})))
        return file.getvalue().rstrip("\n")

    assert said(Terminal()) == wrapped(QUOTED, 40) != QUOTED
    assert said(io.StringIO()) == QUOTED
    monkeypatch.setattr(sys, "stdout", Terminal())
    say(QUOTED)
    assert sys.stdout.getvalue() == f"{QUOTED}\n"
