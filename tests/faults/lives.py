"""Users with requests under way while things go wrong, and what must hold of them afterwards."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.acceptance.program import EVENT, REQUEST
from tests.faults.system import System
from tests.waiting import until

ANSWER_SECONDS = 8.0
PATIENCE_SECONDS = 90.0
"""How long a request may take to get there once nothing goes wrong any more."""
UNDER_WAY = {"IMAGE_GENERATION", "MODEL_GENERATION"}
MAY_FAIL_WITH = {
    "PROVIDER_UNAVAILABLE",
    "PROVIDER_BUSY",
    "STORAGE_UNAVAILABLE",
    "TIMED_OUT",
    "OUTCOME_UNKNOWN",
    "BAD_OUTPUT",
}
"""What faults of the services look like; never INTERNAL."""

Event = dict[str, Any]


class Wrong(AssertionError):
    """The program answered what it must not, whatever goes wrong around it."""


class Client:
    """Somebody who asks again until there is an answer."""

    def __init__(self, system: System) -> None:
        self._url = system.api.url
        # Each life's streams last until the end, and there are many lives.
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(base_url=self._url, timeout=ANSWER_SECONDS, limits=limits)
        self.repeated = False
        """Whether what was asked last had to be asked more than once: an answer was lost."""

    async def aclose(self) -> None:
        await self._http.aclose()

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer. What is sent must do no harm when it comes twice."""
        self.repeated = False
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(httpx.TransportError):
                    answer = await self._http.post("/graphql", json={"query": query, "variables": variables})
                    told = answer.json()
                    if "errors" not in told:
                        return told["data"]
                    codes = {error["extensions"]["code"] for error in told["errors"]}
                    if codes != {"UNAVAILABLE"}:
                        raise Wrong(told)
                self.repeated = True
                await asyncio.sleep(0.1)

    async def mutate(self, name: str, gives: str, **given: Any) -> Any:
        kind = name[0].upper() + name[1:] + "Input"
        query = f"mutation($input: {kind}!) {{ it: {name}(input: $input) {{ {gives} userErrors {{ code }} }} }}"
        return (await self.ask(query, input=given))["it"]

    async def create(self, prompt: str) -> str:
        payload = await self.mutate("createRequest", "request { id }", prompt=prompt, idempotencyKey=prompt)
        assert payload["userErrors"] == [], payload
        return str(payload["request"]["id"])

    async def request(self, request_id: str) -> Any:
        return (await self.ask(f"query($id: ID!) {{ request(id: $id) {{ {REQUEST} }} }}", id=request_id))["request"]

    async def stored_events(self, request_id: str) -> list[Event]:
        fields = f"events(afterSequence: $after, first: 500) {{ {EVENT} }}"
        query = f"query($id: ID!, $after: Int!) {{ request(id: $id) {{ {fields} }} }}"
        events: list[Event] = []
        while page := (await self.ask(query, id=request_id, after=len(events)))["request"]["events"]:
            events += page
        return events

    async def websocket(self, request_id: str, after: int) -> AsyncIterator[Event]:
        """A stream as long as it lasts."""
        query = f"""subscription($id: ID!, $after: Int) {{
            requestEvents(requestId: $id, afterSequence: $after) {{ {EVENT} }} }}"""
        payload = {"query": query, "variables": {"id": request_id, "after": after}}
        url = self._url.replace("http", "ws") + "/graphql"
        async with connect(
            url, subprotocols=["graphql-transport-ws"], proxy=None, open_timeout=ANSWER_SECONDS, close_timeout=1
        ) as socket:  # type: ignore[list-item]  # a NewType of str
            await socket.send('{"type": "connection_init"}')
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            async for text in socket:
                message = json.loads(text)
                match message["type"]:
                    case "next":
                        yield message["payload"]["data"]["requestEvents"]
                    case "error" if {e["extensions"]["code"] for e in message["payload"]} != {"UNAVAILABLE"}:
                        raise Wrong(message)
                    case "error" | "complete":
                        return
                    case _:
                        pass

    async def sse(self, request_id: str, after: int) -> AsyncIterator[Event]:
        headers = {"Last-Event-ID": str(after)}
        timeout = httpx.Timeout(ANSWER_SECONDS, read=20)  # there is a comment every 15 seconds
        async with self._http.stream(
            "GET", f"/requests/{request_id}/events", headers=headers, timeout=timeout
        ) as response:
            if response.status_code in (500, 404):
                raise Wrong(response)
            name = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield {**json.loads(line.removeprefix("data: ")), "name": name}


Stream = Callable[[str, int], AsyncIterator[Event]]


class Follower:
    """Somebody who follows a request over one kind of stream, and comes back with the cursor whenever it ends.

    `restless` leaves by itself now and then.
    """

    def __init__(self, stream: Stream, request_id: str, restless: random.Random | None) -> None:
        self.told: list[Event] = []
        self._stream = stream
        self._request_id = request_id
        self._restless = restless
        self.task = asyncio.create_task(self._follow())

    @property
    def cursor(self) -> int:
        return self.told[-1]["sequence"] if self.told else 0

    async def _follow(self) -> None:
        while True:
            with suppress(httpx.TransportError, WebSocketException, OSError, TimeoutError):
                stream = self._stream(self._request_id, self.cursor)
                try:
                    async for event in stream:
                        if event["sequence"] != self.cursor + 1:
                            raise Wrong(f"after {self.cursor} came {event}")
                        self.told.append(event)
                        if self._restless is not None and self._restless.random() < 0.2:
                            break
                finally:
                    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


class Life:
    """One request, from its creation to a model, or to its end before."""

    def __init__(self, system: System, client: Client, name: str, chance: random.Random) -> None:
        self.prompt = f"{name}-x, a fox"
        self.name = f"{name}-x"
        self.id = ""
        self.ends = chance.choices(["completed", "cancelled", "deleted"], [8, 1, 1])[0]
        self.models: set[str] = set()
        self.followers: list[Follower] = []
        self._client = client
        self._chance = chance

    async def run(self) -> None:
        client = self._client
        self.id = await client.create(self.prompt)
        self.followers = [
            Follower(client.websocket, self.id, None),
            Follower(client.sse, self.id, None),
            Follower(client.websocket, self.id, self._chance),
            Follower(client.sse, self.id, self._chance),
        ]
        if self.ends == "cancelled":
            await asyncio.sleep(self._chance.uniform(0, 3))
            await self._end("cancelRequest", "request { id }", {"REQUEST_CANCELLED", "ALREADY_FINISHED"})
            return
        await self._complete()
        if self.ends == "deleted":
            for follower in self.followers:
                await follower.stop()
            await self._end("deleteRequest", "deletedRequestId", {"NOT_FOUND"})

    async def _end(self, name: str, gives: str, meant_already: set[str]) -> None:
        payload = await self._client.mutate(name, gives, requestId=self.id)
        codes = {error["code"] for error in payload["userErrors"]}
        if not codes <= meant_already:
            raise Wrong(payload)

    async def _complete(self) -> None:
        """Select whenever there is an image, and try again whatever failed, until there is a model."""
        async with asyncio.timeout(4 * PATIENCE_SECONDS):
            while True:
                request = await self._client.request(self.id)
                self.models |= {model["id"] for model in request["models"]}
                self._check_failures(request)
                if request["phase"] == "COMPLETED":
                    return
                if request["phase"] == "AWAITING_SELECTION":
                    await self._go_on(request)
                await asyncio.sleep(0.2)

    def _check_failures(self, request: Any) -> None:
        for part in (*request["images"], *request["models"]):
            if part["failure"] is not None and part["failure"]["code"] not in MAY_FAIL_WITH:
                raise Wrong(part)

    async def _go_on(self, request: Any) -> None:
        there = [image["index"] for image in request["images"] if image["imageStatus"] == "COMPLETED"]
        failed = [image["id"] for image in request["images"] if image["imageStatus"] == "FAILED"]
        if there:
            index = self._chance.choice(there)
            await self._client.mutate("selectImage", "model { id }", requestId=self.id, index=index)
        elif failed:
            await self._client.mutate("retryImage", "image { id }", imageId=self._chance.choice(failed))


async def tidy(system: System) -> None:
    """Nothing is in the log that should not be; each file that is stored is referred to, and the other way round."""
    odd = system.unexpected()
    assert not odd, "\n".join(odd)

    async def settled() -> bool:
        return not await asyncio.to_thread(system.rows, "SELECT prefix FROM file_deletions")

    await until(settled, PATIENCE_SECONDS)
    stored = await asyncio.to_thread(system.stored)
    referred = await asyncio.to_thread(system.referred)
    assert not stored - referred, f"orphaned: {stored - referred}"
    assert not referred - stored, f"missing: {referred - stored}"


class Lives:
    """So many users at once, each with one request after another."""

    def __init__(self, system: System, seed: int, users: int) -> None:
        self._system = system
        self._users = users
        self._seed = seed
        self._enough = asyncio.Event()
        self.client = Client(system)
        self.lives: list[Life] = []

    async def run_while(self, block: Awaitable[None]) -> None:
        """Have users at it until `block` is done and their last requests are where they should be."""
        users = [asyncio.create_task(self._user(number)) for number in range(self._users)]
        try:
            await block
            self._enough.set()
            await asyncio.gather(*users)
        finally:
            for user in users:
                user.cancel()
            await asyncio.gather(*users, return_exceptions=True)

    async def _user(self, number: int) -> None:
        count = 0
        while not self._enough.is_set():
            life = Life(
                self._system, self.client, f"life-{number}-{count}", random.Random(f"{self._seed} {number} {count}")
            )
            self.lives.append(life)
            await life.run()
            count += 1

    async def audit(self) -> None:
        """What must hold when nothing goes wrong any more, and all is done."""
        for life in self.lives:
            await self._audit(life)
        submits = self._system.tencent.submits()
        for life in self.lives:
            assert submits[life.name] <= len(life.models), f"{life.name} was paid twice: {submits[life.name]}"
        await tidy(self._system)

    async def _audit(self, life: Life) -> None:
        request = None

        async def at_rest() -> bool:
            nonlocal request
            request = await self.client.request(life.id)
            return request is None or request["phase"] not in UNDER_WAY

        await until(at_rest, PATIENCE_SECONDS)
        if life.ends == "deleted":
            assert request is None, request
            return
        assert request is not None
        life.models |= {model["id"] for model in request["models"]}
        life._check_failures(request)
        assert request["phase"] == ("CANCELLED" if life.ends == "cancelled" else "COMPLETED")
        jobs = [part["job"]["status"] for part in (*request["images"], *request["models"])]
        if life.ends == "completed":
            # The other images may still be under way.
            await until(lambda: self._all_ended(life.id), PATIENCE_SECONDS)
        else:
            assert not {"PENDING", "RUNNING"} & set(jobs)
        events = await self.client.stored_events(life.id)
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        for follower in life.followers:
            await until(lambda: follower.cursor == len(events) or follower.task.done(), PATIENCE_SECONDS)  # noqa: B023
            if follower.task.done():
                follower.task.result()
            assert [event["name"] for event in follower.told] == [event["name"] for event in events]
            assert [event["occurredAt"] for event in follower.told] == [event["occurredAt"] for event in events]
            await follower.stop()

    async def _all_ended(self, request_id: str) -> bool:
        request = await self.client.request(request_id)
        return not any(image["imageStatus"] in ("PENDING", "GENERATING") for image in request["images"])

    async def aclose(self) -> None:
        # What went wrong is told already, and not by whichever of them is stopped first.
        stops = [follower.stop() for life in self.lives for follower in life.followers]
        await asyncio.gather(*stops, return_exceptions=True)
        await self.client.aclose()
