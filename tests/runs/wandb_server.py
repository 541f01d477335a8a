"""A double of the W&B server on the loopback interface, as far as a client needs one to log runs.

Served: who is logged in, a run begun, resumed and given its configuration and group, its history and summary as they
stream in, its end, its artifacts (tests/wandb_artifacts.py says how far); and failures on demand (a status for every
request, with how many of them, or no answer at all; the button that stops a run).
History is kept by line number, as the client's offsets say, so that a line sent twice is one line, and a step sent
under two lines is two.

Left out: files of a run (their upload is agreed to and leads nowhere), sweeps, reports, the public API for
reading, console logs, any check of permissions beyond the key, quotas, and whatever the real server does to data that
it has taken.
"""

import json
import re
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from tests.runs.wandb_artifacts import Artifacts

KEY = "0123456789abcdef" * 2 + "01234567"
ENTITY = "lab"


class Failure:
    """What the server does instead of answering: a status for the next ``times`` requests, or silence for a while."""

    def __init__(self, status=0, times=10**9, silent=0.0, message="refused by the double"):
        self.status, self.times, self.silent, self.message = status, times, silent, message


class StoredRun:
    """What the server has of one run."""

    def __init__(self):
        self.about, self.config, self.lines, self.summary = {}, {}, {}, {}
        self.complete, self.exitcode = False, None

    @property
    def history(self):
        """Its rows in the order of their lines."""
        return [json.loads(self.lines[number]) for number in sorted(self.lines)]


class WandbServer:
    """Begin with ``with WandbServer() as server``; ``server.runs`` has what came, by (project, run id)."""

    def __init__(self):
        self.runs: dict[tuple[str, str], StoredRun] = {}
        self.artifacts = Artifacts()
        self.requests: Counter[str] = Counter()
        self.failure: dict[str, Failure] = {}
        self.stopped = False
        self.lock = threading.RLock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: Handler(self, *arguments))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.artifacts.url = self.url
        self.ending = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ending.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def fails(self, *kinds):
        """The failure that a request meets now: that of its kind (``graphql``, ``stream`` or ``storage``) or of its
        operation; None if it is answered.
        """
        with self.lock:
            for failure in (self.failure.get(kind) for kind in kinds):
                if failure is not None and failure.times > 0:
                    failure.times -= 1
                    return failure
        return None

    def graphql(self, name, variables):
        """Answer an operation."""
        with self.lock:
            match name:
                case "Viewer":
                    viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}"}
                    return {"viewer": {**viewer, "teams": {"edges": []}}}
                case "RunResumeStatus":
                    return {"model": self._resume(variables)}
                case "UpsertBucket":
                    return {"upsertBucket": self._upsert(variables)}
                case "ServerFeaturesQuery":
                    return {"serverInfo": {"features": []}}
                case "CreateRunFiles":
                    return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": []}}
            return self.artifacts.answer(name, variables)

    def _resume(self, variables):
        project, entity = variables["project"], variables.get("entity") or ENTITY
        model = {"id": project, "name": project, "entity": {"id": entity, "name": entity}, "bucket": None}
        run = self.runs.get((project, variables["name"]))
        if run is not None:
            history = run.history
            model["bucket"] = {
                "id": variables["name"],
                "name": variables["name"],
                "displayName": run.about.get("displayName"),
                "summaryMetrics": json.dumps(run.summary),
                "config": json.dumps(run.config),
                "historyLineCount": len(run.lines),
                "eventsLineCount": 0,
                "logLineCount": 0,
                "historyTail": json.dumps([json.dumps(row) for row in history[-1:]]),
                "eventsTail": "[]",
                "tags": run.about.get("tags") or [],
                "notes": "",
                "wandbConfig": json.dumps({"t": 1}),
            }
        return model

    def _upsert(self, variables):
        project, name, entity = variables["project"], variables["name"], variables.get("entity") or ENTITY
        inserted = (project, name) not in self.runs
        run = self.runs.setdefault((project, name), StoredRun())
        run.about |= {key: value for key, value in variables.items() if value is not None}
        if variables.get("config"):
            run.config = json.loads(variables["config"])
        bucket = {
            "id": name,
            "name": name,
            "displayName": run.about.get("displayName"),
            "description": "",
            "config": json.dumps(run.config),
            "sweepName": None,
            "project": {"id": project, "name": project, "entity": {"id": entity, "name": entity}},
            "historyLineCount": len(run.lines),
        }
        return {"bucket": bucket, "inserted": inserted}

    def stream(self, project, name, body):
        """Take lines of a run."""
        with self.lock:
            run = self.runs[project, name]
            for file, chunk in body.get("files", {}).items():
                if file == "wandb-history.jsonl":
                    for number, line in enumerate(chunk["content"], chunk["offset"]):
                        run.lines[number] = line
                elif file == "wandb-summary.json":
                    run.summary = json.loads(chunk["content"][-1])
            run.complete = run.complete or bool(body.get("complete"))
            run.exitcode = body.get("exitcode", run.exitcode)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def __init__(self, server, *arguments):
        self.double = server
        super().__init__(*arguments)

    def handle(self):
        with suppress(ConnectionError):  # a client that is killed
            super().handle()

    def do_POST(self):
        data = self._read()
        parts = self.path.strip("/").split("/")  # files/ENTITY/PROJECT/RUN/file_stream
        kind = {"graphql": "graphql", "file_stream": "stream"}.get(parts[-1])
        if kind is None:  # telemetry
            self._answer({}, 404)
            return
        body = json.loads(data)
        name = kind if kind == "stream" else re.findall(r"(?:query|mutation) (\w+)", body["query"])[0]
        if self._fails(kind, name):
            return
        if kind == "stream":
            self.double.stream(parts[-3], parts[-2], body)
            self._answer({"exitcode": None, "limits": {}, "stopped": self.double.stopped})
        elif (found := self.double.graphql(name, body.get("variables") or {})) is not None:
            self._answer({"data": found})
        else:
            self._answer({"errors": [{"message": f"the double has no {name}"}]})

    def do_PUT(self):
        data = self._read()
        if not self._fails("storage", "storage"):
            with self.double.lock:
                self.double.artifacts.put(unquote(self.path).removeprefix("/storage/"), data)
            self._answer({})

    def do_GET(self):
        self._answer({})

    def _read(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _fails(self, kind, name):
        with self.double.lock:
            self.double.requests[name] += 1
        failure = self.double.fails(kind, name)
        if failure is not None and failure.silent:
            self.double.ending.wait(failure.silent)
            self.close_connection = True
        elif failure is not None:
            self._answer({"errors": [{"message": failure.message}]}, failure.status)
        return failure is not None

    def _answer(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        """Say nothing."""
