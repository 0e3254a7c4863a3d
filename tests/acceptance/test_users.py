"""With tokens on, one user never sees another's things."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed

from tests.acceptance.conftest import WAYS, Connect, servers
from tests.acceptance.program import Program, in_phase, running

SECRET = "a secret of thirty-two bytes and more"
COMPLETED = in_phase("COMPLETED")


def token(user: str, secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + 600, **claims}, secret, "HS256")


@pytest.fixture(scope="module", params=WAYS)
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    environment = {**servers(request, request.param), "JWT_SECRET": SECRET, "MAX_ACTIVE_REQUESTS": "2"}
    with running(folder, environment, served=request.param == "served") as program:
        yield program


async def test_to_another_user_nothing_exists(guarded: Program, connect: Connect) -> None:
    ada, bob = connect(guarded, token("ada")), connect(guarded, token("bob"))
    request_id = await ada.created("ada's owl")
    events = await ada.follow(request_id, in_phase("AWAITING_SELECTION"))
    await ada.select(request_id, 0)
    events += await ada.follow(request_id, COMPLETED, after=events[-1]["sequence"])
    request = await ada.request(request_id)
    image_id, model_id = request["images"][0]["id"], request["model"]["id"]

    assert await bob.request(request_id) is None
    for thing in (request_id, image_id, model_id):
        query = "query($id: ID!) { node(id: $id) { id } model(id: $id) { id } request(id: $id) { id } }"
        assert set((await bob.data(query, id=thing)).values()) == {None}
    lists = await bob.data("{ requests { totalCount edges { cursor } } models { totalCount edges { cursor } } }")
    assert lists == {"requests": {"totalCount": 0, "edges": []}, "models": {"totalCount": 0, "edges": []}}
    after = await bob.data("query($a: String) { requests(after: $a) { edges { cursor } } }", a=request_id[:-1] + "z")
    assert after["requests"]["edges"] == []
    for payload in (
        await bob.select(request_id, 1),
        await bob.retry(image_id),
        await bob.cancel(request_id),
        await bob.delete(request_id),
    ):
        assert payload["userErrors"][0]["code"] == "NOT_FOUND"
    with pytest.raises(AssertionError, match="NOT_FOUND"):
        await bob.follow(request_id, COMPLETED)
    assert (await bob.http.get(f"/requests/{request_id}/events")).status_code == 404
    body = {
        "query": "subscription($id: ID!) { requestEvents(requestId: $id) { sequence } }",
        "variables": {"id": request_id},
    }
    for accept in ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0"):
        stream = (await bob.http.post("/graphql", json=body, headers={"Accept": accept})).text
        assert '"code":"NOT_FOUND"' in stream
        assert "sequence" not in stream
    assert (await ada.request(request_id))["phase"] == "COMPLETED"


async def test_links_open_one_thing_only(guarded: Program, connect: Connect) -> None:
    ada, nobody = connect(guarded, token("ada links")), connect(guarded)
    first, second = await ada.created("one"), await ada.created("two")
    await ada.follow(first, in_phase("AWAITING_SELECTION"))
    await ada.follow(second, in_phase("AWAITING_SELECTION"))
    one, two = await ada.request(first), await ada.request(second)
    told = await nobody.sse(one["eventsUrl"], in_phase("AWAITING_SELECTION"))
    assert told[-1]["requestId"] == first
    query = one["eventsUrl"].partition("?")[2]
    refused = await nobody.http.get(f"/requests/{second}/events?{query}")
    assert (refused.status_code, "`eventsUrl`" in refused.text) == (401, True)
    assert (await nobody.http.get(f"/events?{query}")).status_code == 401
    assert (await nobody.http.get(f"/requests/{first}/events")).status_code == 401
    picture, other = one["images"][0]["imageUrl"], two["images"][0]["imageUrl"]
    assert (await nobody.http.get(picture)).status_code == 200
    assert (await nobody.http.get(picture.partition("?")[0])).status_code == 404
    assert (await nobody.http.get(other.partition("?")[0] + "?" + picture.partition("?")[2])).status_code == 404


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "nonsense",
        token("ada", secret="another secret of thirty-two bytes"),
        token("ada", exp=time.time() - 60),
        token(""),
        jwt.encode({"exp": time.time() + 600}, SECRET, "HS256"),
        jwt.encode({"sub": "ada"}, None, "none"),
    ],
)
async def test_without_a_good_token_nothing_is_done(guarded: Program, connect: Connect, bad: str | None) -> None:
    client = connect(guarded, bad)
    response = await client.http.post("/graphql", json={"query": "{ viewer { id } }"})
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await client.http.get("/events")).status_code == 401
    url = guarded.url.replace("http", "ws") + "/graphql"
    async with connect_socket(url, subprotocols=["graphql-transport-ws"], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": client.headers}))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


async def test_operators_see_the_queues(guarded: Program, connect: Connect) -> None:
    query = "{ queues { name concurrency workers } viewer { id isOperator activeRequestLimit } }"
    operator = await connect(guarded, token("olga", role="operator")).data(query)
    assert {queue["name"]: queue["concurrency"] for queue in operator["queues"]} == {"images": 5, "models": 3}
    assert operator["viewer"] == {"id": "olga", "isOperator": True, "activeRequestLimit": 2}
    refused = await connect(guarded, token("ada")).execute(query)
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    metrics = await connect(guarded, token("olga", role="operator")).http.get("/metrics")
    assert 'maquette_worker_slots{queue="images"} 5.0' in metrics.text
    assert (await connect(guarded, token("ada")).http.get("/metrics")).status_code == 403
    assert (await connect(guarded).http.get("/metrics")).status_code == 401


async def test_the_limit_on_active_requests_is_each_users_own(guarded: Program, connect: Connect) -> None:
    carl, dora = connect(guarded, token("carl")), connect(guarded, token("dora"))
    ids = [await carl.created(f"slow {number} delay=60") for number in range(2)]
    refused = await carl.create("one too many")
    assert refused["userErrors"][0]["code"] == "QUOTA_EXCEEDED"
    assert await dora.created("dora's own")
    for request_id in ids:
        await carl.cancel(request_id)
    assert await carl.created("room again")


async def test_case_and_trailing_spaces_make_another_user(guarded: Program, connect: Connect) -> None:
    request_id = await connect(guarded, token("eve")).created("eve's")
    for other in ("Eve", "eve ", "éve"):
        assert await connect(guarded, token(other)).request(request_id) is None
