"""Faults that a stand-in can be told to have, as an ASGI wrapper that has its hands on the connection itself."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Kind = Literal[
    "drop_before",
    "drop_after",
    "drop_halfway",
    "hang",
    "slow",
    "trickle_head",
    "trickle_body",
    "padded",
    "charset",
    "answer",
    "error",
]


@dataclass
class Fault:
    """What goes wrong, `times` times, with the requests called `where` (`*` for any).

    `drop_before` closes before the request is read, `drop_after` when the request is done but not answered,
    `drop_halfway` in the middle of the answer. `hang` never answers, `slow` answers after `seconds`; `trickle_head` and
    `trickle_body` answer for ever, a little every `seconds`. `padded` puts `body` before the answer and says no length.
    `charset` answers with a charset in the content type. `answer` answers `status`, `headers` and `body`; `error` a
    service's own `code`.
    """

    kind: Kind
    where: str = "*"
    times: int = 1
    seconds: float = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    code: str = ""
    message: str = "scripted"


HTML = Fault("answer", headers={"content-type": "text/html"}, body="<!doctype html><title>Welcome</title>")


class Faulty:
    """`app` with the `faults` it is told to have; `name_of` says what a request is called.

    `arrivals` counts the requests by name, the ones that come to grief included; `arrived` is set by each.
    """

    def __init__(
        self, app: ASGIApp, name_of: Callable[[Scope], str], error: Callable[[Fault], tuple[int, dict[str, Any]]]
    ) -> None:
        self.app = app
        self.name_of = name_of
        self.error = error
        self.faults: list[Fault] = []
        self.arrivals: Counter[str] = Counter()
        self.arrived = threading.Event()

    def take(self, name: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.where in {"*", name}:
                fault.times -= 1
                return fault
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = None
        if scope["type"] == "http" and not scope["path"].startswith("/_"):
            name = self.name_of(scope)
            self.arrivals[name] += 1
            self.arrived.set()
            fault = self.take(name)
        match fault.kind if fault else None:
            case None:
                await self.app(scope, receive, send)
            case "drop_before":
                await _drop(receive, send)
            case "drop_after":
                await _captured(self.app, scope, receive)
                await _drop(receive, send)
            case "drop_halfway":
                start, body = await _captured(self.app, scope, receive)
                await send(start)
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                await _drop(receive, send)
            case "hang":
                while (await receive())["type"] != "http.disconnect":
                    pass
            case "slow":
                await asyncio.sleep(fault.seconds)
                await self.app(scope, receive, send)
            case "trickle_head" | "trickle_body":
                await _trickle(fault, receive, send)
            case "padded" | "charset":
                start, body = await _captured(self.app, scope, receive)
                await _changed(fault, start, body, send)
            case "answer":
                await _answer(send, fault.status, fault.headers, fault.body.encode())
            case "error":
                status, content = self.error(fault)
                headers = {"content-type": "application/json"} | fault.headers
                await _answer(send, status, headers, json.dumps(content).encode())


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _drop(receive: Receive, send: Send) -> None:
    # ASGI has no word for closing a connection; `send` is a method of uvicorn's cycle, which holds the transport.
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass


async def _trickle(fault: Fault, receive: Receive, send: Send) -> None:
    if fault.kind == "trickle_head":
        transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
        transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        while not await _is_gone(receive, fault.seconds):
            transport.write(b"x-wait: a little\r\n")
        return
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while not await _is_gone(receive, fault.seconds):
        await send({"type": "http.response.body", "body": b" ", "more_body": True})


async def _changed(fault: Fault, start: Message, body: bytes, send: Send) -> None:
    headers = {name: value for name, value in start["headers"] if name != b"content-length"}
    headers |= {name.encode(): value.encode() for name, value in fault.headers.items()}
    if fault.kind == "charset":
        headers[b"content-type"] = b"application/json; charset=utf-8"
    whole = fault.body.encode() + body
    packed = gzip.compress(whole) if headers.get(b"content-encoding") == b"gzip" else whole
    await send({**start, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": packed})


async def _is_gone(receive: Receive, seconds: float) -> bool:
    """Whether the client goes away in so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    return False


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])
