"""Whether the process is ready, for many who ask at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from server import health
from tests.waiting import until


async def test_all_who_ask_at_the_same_time_share_a_look(monkeypatch: pytest.MonkeyPatch):
    asking, looks, go = 0, 0, asyncio.Event()

    def state_of(_request: object) -> SimpleNamespace:
        nonlocal asking
        asking += 1
        return SimpleNamespace(resources=SimpleNamespace(settings=SimpleNamespace(authenticates=False)))

    async def look(_resources: object) -> dict[str, str | None]:
        nonlocal looks
        looks += 1
        await go.wait()
        return {"database": "away" if looks > 1 else None}

    monkeypatch.setattr(health, "State", SimpleNamespace(of=state_of))
    monkeypatch.setattr(health, "check_all", look)
    transport = httpx.ASGITransport(Starlette(routes=[Route("/readyz", health.Readiness().readyz)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://maquette") as client:
        asked = [asyncio.create_task(client.get("/readyz")) for _ in range(20)]
        await until(lambda: asking == len(asked))
        asked[0].cancel()
        go.set()
        assert [(await one).status_code for one in asked[1:]] == [200] * 19
        assert looks == 1
        assert (await client.get("/readyz")).json() == {"status": "unavailable", "database": "away"}
