"""The program as a user starts it, and clients that speak to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.scripted import entries
from tests.servers import free_port

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
FOLLOW_SECONDS = 150
SECONDS = 60
SCRIPTED = {
    "PROMPT_PROVIDER": "tests.scripted:Prompts",
    "IMAGE_PROVIDER": "tests.scripted:Images",
    "MODEL_PROVIDER": "tests.scripted:Models",
}


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "maquette"), *arguments]


class Program:
    """`maquette serve`, and beside it, where it is served, `maquette worker`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, served: bool, reuse_port: bool = False) -> None:
        self.folder = folder
        self.served = served
        self.options = [*(["--no-worker"] if served else []), *(["--reuse-port"] if reuse_port else [])]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.journal = folder / "journal"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "STORAGE_DIR": str(folder / "files"),
            "WORK_DIR": str(folder / "work"),
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/maquette.db",
            "SCRIPTED_JOURNAL": str(self.journal),
            "RETRY_SECONDS": "0.1",
            "LEASE_SECONDS": "3",
            "SWEEP_SECONDS": "1",
            "SHUTDOWN_SECONDS": "10",
            **SCRIPTED,
            **environment,
        }
        self.api: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[bytes] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    @property
    def diagnostics(self) -> dict[str, list[str]]:
        """What its processes have logged, and asked of their providers."""
        paths = [*sorted(self.folder.glob("*.log")), self.journal]
        return {path.name: path.read_text(errors="replace").splitlines() for path in paths if path.exists()}

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """One of the program's other commands."""
        return subprocess.run(
            command(*arguments),
            env={**self.environment, **extra},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> None:
        if not self.environment["DATABASE_URL"].startswith("sqlite"):
            migrated = self.run("migrate")
            assert migrated.returncode == 0, migrated.stderr
        if self.served:
            self.start_worker()
        self.start_api()

    def start_api(self) -> None:
        self.api = self._spawn("api", "serve", "--port", str(self.port), *self.options)
        self._wait("the API", lambda: httpx.get(f"{self.url}/readyz").status_code == 200, self.api)

    def start_worker(self) -> None:
        before = self.log.count("model worker running")
        self.worker = self._spawn("worker", "worker")
        self._wait("the worker", lambda: self.log.count("model worker running") > before, self.worker)

    def kill_worker(self) -> None:
        """Kill what does the jobs with -9: the worker, or the embedded program."""
        if self.served:
            _end(self.worker, signal.SIGKILL)
        else:
            _end(self.api, signal.SIGKILL)

    def start_again(self) -> None:
        """Start what `kill_worker` has killed."""
        if self.served:
            self.start_worker()
        else:
            self.start_api()

    def stop(self) -> list[int]:
        """Ask everything to stop; returns the exit codes."""
        return [_end(process, signal.SIGTERM) for process in (self.api, self.worker) if process is not None]

    def calls(self, call: str) -> list[dict[str, Any]]:
        """The provider calls of one kind that were made so far."""
        return [entry for entry in entries(self.journal) if entry["call"] == call]

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command(*arguments), env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def _wait(self, what: str, ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, f"{what} ended with {process.returncode}:\n{self.log}"
            try:
                if ready():
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{what} did not start:\n{self.log}")


def _end(process: subprocess.Popen[bytes] | None, number: int) -> int:
    assert process is not None
    process.send_signal(number)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
        raise AssertionError("the program did not stop") from None


@contextmanager
def running(
    folder: Path, environment: Mapping[str, str], *, served: bool, reuse_port: bool = False
) -> Iterator[Program]:
    program = Program(folder, environment, served=served, reuse_port=reuse_port)
    try:
        program.start()
        yield program
    finally:
        for process in program.processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)


REQUEST = """
  id status phase prompt originalPrompt selectedImageIndex lastEventSequence eventsUrl
  images { id index prompt imageStatus imageUrl completedAt
           failure { code message retryable providerCode providerRequestId }
           job { id status attempts maxAttempts nextAttemptAt failure { code } } }
  model { id }
  models { id name status progress stage previewImageUrl completedAt failure { code message retryable }
           job { id status attempts } sourceImage { index }
           files { format url byteSize sha256 }
           printReport { printable watertight widthMm depthMm heightMm volumeCm3 triangleCount bodyCount
                         issues { code message } } }
"""
EVENT = """
  __typename id sequence name requestId occurredAt
  ... on ImageGenerating { imageId index prompt }
  ... on ImageCompleted { imageId index imageUrl completedAt }
  ... on ImageFailed { imageId index errorMessage }
  ... on TaskUpdated { status phase }
  ... on ModelGenerating { modelId imageIndex }
  ... on ModelProgress { modelId progress stage estimated }
  ... on ModelCompleted { modelId modelUrl previewImageUrl completedAt }
  ... on ModelFailed { modelId errorMessage }
"""
ERRORS = "userErrors { code message field }"


class Client:
    """A user with a GraphQL client."""

    def __init__(self, program: Program, token: str | None = None) -> None:
        self.program = program
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.AsyncClient(base_url=program.url, headers=self.headers, timeout=30)

    async def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        return response.json()

    async def data(self, query: str, **variables: Any) -> Any:
        result = await self.execute(query, **variables)
        assert "errors" not in result, result
        return result["data"]

    async def mutate(self, name: str, gives: str, **given: Any) -> Any:
        """The payload of a mutation."""
        kind = name[0].upper() + name[1:] + "Input"
        query = f"mutation($input: {kind}!) {{ it: {name}(input: $input) {{ {gives} {ERRORS} }} }}"
        return (await self.data(query, input=given))["it"]

    async def create(self, prompt: str, **more: Any) -> Any:
        return await self.mutate("createRequest", f"request {{ {REQUEST} }}", prompt=prompt, **more)

    async def created(self, prompt: str, **more: Any) -> str:
        payload = await self.create(prompt, **more)
        assert payload["userErrors"] == []
        return payload["request"]["id"]

    async def select(self, request_id: str, index: int, **more: Any) -> Any:
        gives = "request { id status } model { id status }"
        return await self.mutate("selectImage", gives, requestId=request_id, index=index, **more)

    async def retry(self, image_id: str) -> Any:
        return await self.mutate("retryImage", "image { id imageStatus }", imageId=image_id)

    async def cancel(self, request_id: str) -> Any:
        return await self.mutate("cancelRequest", f"request {{ {REQUEST} }}", requestId=request_id)

    async def delete(self, request_id: str) -> Any:
        return await self.mutate("deleteRequest", "deletedRequestId", requestId=request_id)

    async def request(self, request_id: str) -> Any:
        return (await self.data(f"query($id: ID!) {{ request(id: $id) {{ {REQUEST} }} }}", id=request_id))["request"]

    async def stored_events(self, request_id: str) -> list[dict[str, Any]]:
        query = f"query($id: ID!) {{ request(id: $id) {{ events(first: 500) {{ {EVENT} }} }} }}"
        return (await self.data(query, id=request_id))["request"]["events"]

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        url = self.program.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"], proxy=None) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": self.headers}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            yield socket

    async def follow(
        self, request_id: str, until: Callable[[dict[str, Any]], bool], after: int = 0
    ) -> list[dict[str, Any]]:
        """The events of a request over WebSocket up to the first that fits."""
        field = f"requestEvents(requestId: $id, afterSequence: $after) {{ {EVENT} }}"
        query = f"subscription($id: ID!, $after: Int) {{ {field} }}"
        payload = {"query": query, "variables": {"id": request_id, "after": after}}
        events = []
        async with asyncio.timeout(FOLLOW_SECONDS), self.socket() as socket:
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            async for text in socket:
                message = json.loads(text)
                assert message["type"] == "next", (message, events)
                events.append(message["payload"]["data"]["requestEvents"])
                if until(events[-1]):
                    return events
        raise AssertionError(f"the stream ended early: {events}")

    async def sse(
        self,
        path: str,
        until: Callable[[dict[str, Any]], bool],
        headers: Mapping[str, str] | None = None,
        opened: Callable[[], Awaitable[None]] | None = None,
    ) -> list[dict[str, Any]]:
        """The events of an SSE stream up to the first that fits, each as its data with `id` and `name`.

        `opened` is awaited once the stream has begun.
        """
        events: list[dict[str, Any]] = []
        fields: dict[str, str] = {}
        async with self.http.stream("GET", path, headers=headers, timeout=SECONDS) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                if line.startswith("retry:") and opened is not None:
                    await opened()
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    event = {**json.loads(fields["data"]), "name": fields["event"], "id": fields.get("id")}
                    fields = {}
                    events.append(event)
                    if until(event):
                        return events
        raise AssertionError(f"the stream ended early: {events}")


def in_phase(*phases: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["name"] == "task:updated" and event["phase"] in phases


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["name"] for event in events]


def assert_whole(events: list[dict[str, Any]], first: int = 1) -> None:
    """Every event is there, once and in order."""
    assert [event["sequence"] for event in events] == list(range(first, first + len(events)))
