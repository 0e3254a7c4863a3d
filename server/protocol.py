"""What is said on a WebSocket by the subprotocol graphql-transport-ws: its messages, and how a connection is closed.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from server.parameters import Parameters

PROTOCOL = "graphql-transport-ws"
REASON_BYTES = 123
"""What a close frame has room for."""

Id = Annotated[str, Meta(min_length=1, max_length=256)]


class CloseCode(IntEnum):
    """Why a connection is closed: from IANA's registry for WebSockets, and the protocol's own from 4400 on."""

    GOING_AWAY = 1001
    TOO_BIG = 1009
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    CONNECTION_INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INITIALISATION_REQUESTS = 4429


class ConnectionInit(Struct, tag="connection_init"):
    payload: dict[str, Any] | None = None


class Ping(Struct, tag="ping"):
    payload: dict[str, Any] | None = None


class Pong(Struct, tag="pong"):
    payload: dict[str, Any] | None = None


class Subscribe(Struct, tag="subscribe"):
    id: Id
    payload: Parameters


class Complete(Struct, tag="complete"):
    id: Id


Message = ConnectionInit | Ping | Pong | Subscribe | Complete


class Close(Exception):
    """The connection is to be closed, with this code and for this reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        # A character cut in two is dropped.
        self.reason = reason.encode()[:REASON_BYTES].decode(errors="ignore")
