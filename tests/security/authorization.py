"""An authorization server on loopback: the client-credentials grant of RFC 6749, section 4.4."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class AuthorizationServer:
    """``answers`` are given in turn, the last one again and again; ``asked`` is what came."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, Authorization header and body of each request."""

    def answer(self, status: int, body: Any) -> None:
        """What to say from now on; a dict as JSON."""
        self.answers = [(status, body)]

    def grant(self, token: str, life: object = 3600) -> None:
        self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": life})


@contextmanager
def authorization_server() -> Iterator[AuthorizationServer]:
    told = AuthorizationServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told.asked.append((self.path, self.headers["Authorization"] or "", body))
            status, answer = told.answers[0] if len(told.answers) == 1 else told.answers.pop(0)
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status in {302, 307}:
                self.send_header("Location", f"{told.url}/elsewhere")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def do_GET(self) -> None:
            told.asked.append((self.path, self.headers["Authorization"] or "", ""))
            self.send_error(405)

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
