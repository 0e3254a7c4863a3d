"""`maquette serve`: uvicorn with streams that end when it stops."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import signal
import socket

import structlog
import uvicorn
from starlette.applications import Starlette

from server.app import make_app, wind_down
from server.connections import HttpProtocol
from server.signals import NUMBERS, be_out_within
from server.upgraded import WebSocketProtocol
from settings import SettingsError
from tasks.actors import configured
from tasks.worker import GRACE

BACKLOG = 2048
HS256_BYTES = 32
"""RFC 7518, section 3.2."""

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """Ends the streams before it waits for connections to close: it would wait for them for ever.

    It enters the application's lifespan itself, so that what stops the start is raised and not only logged.
    """

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(*_: object) -> None:
            # uvicorn raises the signal again once it has stopped serving; the rest is to end too.
            if not self.started:
                loop.call_soon_threadsafe(task.cancel)

        for number in NUMBERS:
            signal.signal(number, stop)
        async with self._app.router.lifespan_context(self._app):
            await super().serve(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        be_out_within(configured.shutdown_seconds)
        await wind_down(self._app)
        await super().shutdown(sockets)


def serve(host: str, port: int, *, work: bool, reuse_port: bool) -> int:
    """Serve until told to stop; returns the exit code. Raises `SettingsError`.

    Of processes that are to reuse a port, the kernel gives each its share of the connections.
    """
    if not configured.authenticates and not _is_loopback(host):
        raise SettingsError(
            f"JWT_SECRET: is not set, so that everyone would be the operator; without it or JWT_JWKS_URL "
            f"only loopback addresses are served, and {host} is none"
        )
    if not work and configured.redis_url is None:
        raise SettingsError("REDIS_URL: is not set; without it no other process could do the jobs, so drop --no-worker")
    if reuse_port and configured.redis_url is None:
        raise SettingsError("REDIS_URL: is not set; without it there can be one process only, so drop --reuse-port")
    if configured.jwt_secret is not None and len(configured.jwt_secret.get_secret_value().encode()) < HS256_BYTES:
        log.warning("JWT_SECRET is short, and can be guessed; make one with `openssl rand -hex 32`", least=HS256_BYTES)
    listener = _listen(host, port, reuse_port=reuse_port)
    app = make_app(work=work)
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        log_config=None,
        access_log=False,
        ws_per_message_deflate=False,
        ws_max_size=configured.max_message_bytes,
        timeout_graceful_shutdown=math.ceil(GRACE * configured.shutdown_seconds),
        lifespan="off",
    )
    address, bound = listener.getsockname()[:2]
    log.info("serving", url=f"http://{f'[{address}]' if ':' in address else address}:{bound}")
    server = Server(config, app)
    try:
        server.run(sockets=[listener])
    except asyncio.CancelledError:  # told to stop while it started
        return 0
    return 0 if server.started else 1


def _is_loopback(host: str) -> bool:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise SettingsError(f"--host: {host} is no address of this machine: {error.strerror}") from None
    return all(ipaddress.ip_address(str(address)).is_loopback for address in found)


def _listen(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(f"--port: {host}:{port} cannot be listened on: {error.strerror}; choose another") from None
    listener.listen(BACKLOG)
    return listener
