"""A server that answers Weights & Biases' own client as far as a dashboard needs it, and keeps what it was sent."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.conftest import ROOT

VIEWER = {"id": "u", "entity": "team", "username": "user", "email": "", "flags": "{}", "teams": {"edges": []}}
LAST_PAGE = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}


def dashboard(home, *arguments, timeout=20, **environment):
    """Call ``feature-lazy dashboard`` as a user with this home folder does, without settings of the machine.

    ``timeout``: seconds to wait for an answer of the server, in place of the real ones.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "NETRC"))}
    code = f"""import sys
from feature_lazy.launch.commands import main
from feature_lazy.study.dashboard import account
account.TIMEOUT = {timeout}
sys.exit(main(["dashboard", *sys.argv[1:]]))"""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**inherited, "HOME": str(home), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


class WandbServer(ThreadingHTTPServer):
    """Knows the project ``team/laziness`` with runs in the group ``demo``.

    ``refusal``: what it says when something is to be saved; ``silent``: whether it answers at all.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.saved, self.refusal, self.silent, self.closed = [], None, False, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, query, variables):
        if "mutation" not in query:
            return {"data": self.found(query, variables)}
        if self.refusal:
            return {"data": None, "errors": [{"message": self.refusal, "path": ["upsertView"]}]}
        self.saved.append(variables)
        view = {"id": f"view{len(self.saved)}", "name": variables["name"], "spec": variables["spec"]}
        return {"data": {"upsertView": {"view": view | {"displayName": variables["displayName"]}, "inserted": True}}}

    def found(self, query, variables):
        there = (variables.get("entity") or variables.get("entityName")) == "team"
        if "viewer {" in query:
            return {"viewer": VIEWER}
        if "runCount(" in query:
            known = there and variables["project"] == "laziness"
            count = 3 if variables["filters"] in ("{}", '{"group": "demo"}') else 0
            page = {"edges": [], "pageInfo": LAST_PAGE}
            return {
                "project": {"internalId": "7", "runCount": count, "readOnly": False, "runs": page} if known else None
            }
        if "models(" in query:
            kind = {"__typename": "Project", "user": None}
            node = kind | {"id": "p", "name": "laziness", "entityName": "team", "createdAt": "", "isBenchmark": False}
            return {"models": {"edges": [{"node": node, "cursor": "c"}], "pageInfo": LAST_PAGE}}
        return {"project": {"internalId": "7"} if there else None}


class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.silent:
            self.server.closed.wait(60)
        if self.path != "/graphql":  # the client's reports on itself
            return self.send_error(404)
        call = json.loads(body)
        text = json.dumps(self.server.answer(call["query"], call.get("variables") or {})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        return None

    def log_message(self, *arguments):
        pass
