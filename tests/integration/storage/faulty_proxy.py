"""A proxy before an HTTP server that can answer in its place, lose its answers, or hold a request."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

from botocore.awsrequest import HeadersDict


@dataclass(frozen=True)
class Answer:
    status: int
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class LoseAnswer:
    """Pass the request on, then close the connection without a word."""


class BreakAnswerOff:
    """Pass the request on, then close the connection in the middle of the answer's body."""


Fault = Answer | type[LoseAnswer] | type[BreakAnswerOff] | None


class FaultyProxy:
    """`fault(method, path, headers)` decides on each request; None passes it on."""

    def __init__(self, target_port: int, fault: Callable[[str, str, HeadersDict], Fault]) -> None:
        self.seen: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_expect_100(self) -> bool:
                return True  # the body is asked for below, once it is known that it is wanted

            def _handle(self) -> None:
                proxy.seen.append((self.command, self.path))
                headers = HeadersDict(dict(self.headers.items()))
                if headers.pop("Expect", None):
                    self.send_response_only(100)
                    self.end_headers()
                body = self.rfile.read(int(headers.get("Content-Length", 0)))
                what = fault(self.command, self.path, headers)
                if isinstance(what, Answer):
                    text = f"<Error><Code>{what.code}</Code><Message>x</Message></Error>".encode() if what.code else b""
                    self._answer(what.status, list(what.headers.items()), text)
                    return
                connection = http.client.HTTPConnection("127.0.0.1", target_port, timeout=20)
                try:
                    connection.request(self.command, self.path, body, dict(headers.items()))
                    answer = connection.getresponse()
                    content = answer.read()
                finally:
                    connection.close()
                if what is LoseAnswer:
                    self.close_connection = True
                    return
                dropped = {"transfer-encoding", "connection"} | (
                    set() if self.command == "HEAD" else {"content-length"}
                )
                kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in dropped]
                self.close_connection = what is BreakAnswerOff
                self._answer(answer.status, kept, content, len(content) // 2 if self.close_connection else None)

            def _answer(
                self, status: int, headers: list[tuple[str, str]], content: bytes, sent: int | None = None
            ) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[:sent])

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _handle  # noqa: N815  # http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
