"""A funder in a thread: a real HTTP server that works, refuses, hangs and breaks as the test says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Scripted:
    """`mode`: works, refuses (503), hangs (takes the call in and answers nothing), breaks (500 in the middle),
    drips (its body, a byte at a time), drips_head."""

    def __init__(self) -> None:
        self.mode = "works"
        self.applications: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.authorizations: set[str | None] = set()
        self.released = threading.Event()
        self.url = ""


@contextmanager
def scripted_funder() -> Iterator[Scripted]:
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/health":
                self.act("probe", lambda: (200, {"state": "up"}))
                return
            reference = self.path.rpartition("/")[2]
            if reference not in script.applications:
                self.act("inquire", lambda: (404, {"code": "unknown_reference"}))
                return
            said = {"answer": script.answers.get(reference), "page_url": f"{script.url}/pages/{reference}"}
            self.act("inquire", lambda: (200, said))

        def do_PUT(self) -> None:
            reference = self.path.rpartition("/")[2]
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))

            def take() -> tuple[int, dict[str, Any]]:
                script.applications[reference] = body
                return 201, {"page_url": f"{script.url}/pages/{reference}"}

            self.act("start", take)

        def act(self, act: str, work: Any) -> None:
            script.calls[act] += 1
            script.authorizations.add(self.headers.get("Authorization"))
            if script.mode == "refuses":
                self.answer(503, {"code": "closed"})
                return
            status, said = work()
            if script.mode == "hangs":
                # It has done the work, and its answer never arrives: what nobody can tell from the outside.
                script.released.wait(20)
                self.close_connection = True
                return
            if script.mode == "drips_head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                self.drip()
                return
            if script.mode == "drips":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.drip()
                return
            self.answer(500 if script.mode == "breaks" else status, said)

        def drip(self) -> None:
            self.close_connection = True
            while not script.released.wait(0.1):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    break

        def answer(self, status: int, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
