"""Trackers of a user's own."""

import threading

CALLS = []
RELEASE = threading.Event()


class Recorder:
    """Remembers its calls."""

    def __init__(self, name="own"):
        self.name = name

    def start(self, cell, rows):
        CALLS.append((self.name, "start", cell.run_id, len(rows)))

    def log(self, cell, step, row):
        CALLS.append((self.name, "log", cell.run_id, step, dict(row)))

    def finish(self, cell, summary):
        CALLS.append((self.name, "finish", cell.run_id, summary))


class Hanging(Recorder):
    """Never comes back from its first observation."""

    def log(self, cell, step, row):
        RELEASE.wait()


class Unmakeable:
    """Cannot be made."""

    def __init__(self):
        raise ValueError("no such laboratory")
