"""The whole served system: an API, two workers, and the services that they lean on, each of which can come to grief."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from tests.acceptance.program import ROOT
from tests.faults.standins import OpenAIProcess, TencentProcess
from tests.faults.wire import Wire
from tests.servers import MariaDB, Moto, Redis, Server

LEASE_SECONDS = 2.0
IMPATIENT = {
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "SWEEP_SECONDS": "0.5",
    "RETRY_SECONDS": "0.2",
    "MAX_ATTEMPTS": "4",
    "IMAGE_TIMEOUT_SECONDS": "30",
    "MODEL_TIMEOUT_SECONDS": "60",
    "REQUEST_TIMEOUT_SECONDS": "5",
    "PROMPT_TIMEOUT_SECONDS": "2",
    "TENCENT_TIMEOUT_SECONDS": "5",
    "SHUTDOWN_SECONDS": "8",
    "MAX_ACTIVE_REQUESTS": "0",
    "SLOW_CLIENT_SECONDS": "5",
    "LOG_FORMAT": "json",
}


class _Maquette(Server):
    """A process of the program."""

    def command(self) -> Sequence[str]:
        return [str(Path(sys.executable).parent / "maquette"), *self.arguments()]

    def arguments(self) -> Sequence[str]:
        raise NotImplementedError


class Api(_Maquette):
    name = "api"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> Sequence[str]:
        return ["serve", "--port", str(self.port)]

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False


class Worker(_Maquette):
    name = "worker"

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self._before = 0

    def arguments(self) -> Sequence[str]:
        return ["worker"]

    def start(self) -> None:
        self._before = self.log.count("model worker running")
        super().start()

    def answers(self) -> bool:
        return self.log.count("model worker running") > self._before


class System:
    """Everything, started. The program reaches each service by a wire of its own."""

    def __init__(self, workers: int = 2, **settings: str) -> None:
        self._workers = workers
        self._settings = settings
        self._stack = ExitStack()
        self.wires: dict[str, Wire] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        here = {"PYTHONPATH": str(ROOT)}
        enter = self._stack.enter_context
        self.mariadb, self.redis, self.moto = enter(MariaDB()), enter(Redis()), enter(Moto())
        self.tencent, self.openai = enter(TencentProcess(here)), enter(OpenAIProcess(here))
        self.services = (self.mariadb, self.redis, self.moto, self.tencent, self.openai)
        for service in self.services:
            self.wires[service.name] = enter(Wire(service.port))
        self.bucket = self.moto.new_bucket()
        self.database_url = self.mariadb.new_database()
        environment = {
            **here,
            **IMPATIENT,
            "DATABASE_URL": self._wired("mariadb", self.database_url),
            "REDIS_URL": self._wired("redis", self.redis.url),
            "S3_BUCKET": self.bucket,
            "S3_ENDPOINT_URL": self._wired("moto", self.moto.url),
            **self.moto.environment,
            **self.tencent.settings(self.wires["tencent"].port),
            **self.openai.settings(self.wires["openai"].port),
            **self._settings,
        }
        migrate = _Migrate(environment)
        migrate.run()
        self.workers = [enter(Worker(environment)) for _ in range(self._workers)]
        self.api = enter(Api(environment))

    def _wired(self, name: str, url: str) -> str:
        server = next(service for service in self.services if service.name == name)
        return url.replace(f":{server.port}", f":{self.wires[name].port}")

    @property
    def log(self) -> str:
        return "".join(process.log for process in (self.api, *self.workers))

    @property
    def diagnostics(self) -> dict[str, list[str]]:
        return {process.name: process.log.splitlines() for process in (self.api, *self.workers)}

    def unexpected(self) -> list[str]:
        """What the program logs of its own faults, rather than of the services'."""
        odd = re.compile(r'Traceback|"level": ?"(error|critical)"')
        return [line for line in self.log.splitlines() if odd.search(line)]

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Asked past the wires."""
        return self.mariadb.execute(sql, self.database_url.rpartition("/")[2])

    def stored(self) -> set[str]:
        """The keys in the bucket, asked past the wires."""
        keys: list[str] = []
        token = ""
        while True:
            query = f"list-type=2{f'&continuation-token={token}' if token else ''}"
            listing = httpx.get(f"{self.moto.url}/{self.bucket}?{query}").text
            keys += re.findall(r"<Key>([^<]+)</Key>", listing)
            found = re.search(r"<NextContinuationToken>([^<]+)</NextContinuationToken>", listing)
            if found is None:
                return set(keys)
            token = found[1]

    def referred(self) -> set[str]:
        """The keys that rows refer to."""
        return {
            key
            for (key,) in self.rows(
                "SELECT `key` FROM generated_images WHERE `key` IS NOT NULL UNION SELECT `key` FROM model_files "
                "UNION SELECT preview_key FROM models WHERE preview_key IS NOT NULL"
            )
        }


class _Migrate(_Maquette):
    name = "migrate"

    def arguments(self) -> Sequence[str]:
        return ["migrate"]

    def run(self) -> None:
        subprocess.run(
            self.command(), env=self._environment, cwd=self.folder, check=True, capture_output=True, timeout=60
        )
        self.folder.rmdir()
