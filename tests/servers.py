"""Real servers for tests, each on a free port of 127.0.0.1 with its files in a temporary folder.

    with MariaDB() as mariadb:
        url = mariadb.new_database()
        mariadb.kill9()
        mariadb.start()  # the same port and data

All calls block; within a coroutine, `asyncio.to_thread(mariadb.kill9)` keeps the loop turning.
"""

from __future__ import annotations

import atexit
import functools
import http.client
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import pymysql
import pytest
import redis

START_SECONDS = 60
STOP_SECONDS = 15
POLL_SECONDS = 0.01


def require(program: str) -> str:
    """The path of a program. Without it the test is skipped on a user's machine, and fails in CI."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    return found or missing(f"{program} is not installed")


def require_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        missing(f"the Python module {name} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip the test on a user's machine, and fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must run everything", pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition: Callable[[], bool], seconds: float, failure: Callable[[], str]) -> None:
    """Wait for the condition; raises TimeoutError with what `failure` then says."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failure())
        time.sleep(POLL_SECONDS)


class Server:
    """A process, its port and its folder. Leaving the context stops it and removes the folder."""

    name: ClassVar[str]

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"maquette-{self.name}-"))
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether a client gets an answer."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    @property
    def _log_path(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> None:
        """Start it, if it is not running, and wait until it answers."""
        if self._process is None or self._process.poll() is not None:
            with self._log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    self.command(),
                    cwd=self.folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C meant for the tests is not for the servers
                )
        wait_until(self._is_up, START_SECONDS, lambda: self._complaint(f"did not answer within {START_SECONDS} s"))

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(self._complaint(f"exited with {self._process.returncode}"))
        return self.answers()

    def _complaint(self, what: str) -> str:
        return f"{self.name} {what}; its log ends:\n{self.log[-2000:]}"

    def stop(self) -> None:
        """End it in good order; after a while, otherwise."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def kill9(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def pause(self) -> None:
        """Stop the process where it is: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


class MariaDB(Server):
    """A MariaDB server. What is committed survives `kill9`, as the log is written at each commit (and synced later)."""

    name = "mariadb"
    user = password = "maquette"

    def __init__(self, *options: str) -> None:
        self._mariadbd = require("mariadbd")
        super().__init__()
        self._options = options
        self._numbers = itertools.count(1)
        shutil.copytree(_mariadb_data(), self.folder / "data")
        (self.folder / "tmp").mkdir()
        (self.folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{self.user}'@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO '{self.user}'@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def command(self) -> Sequence[str]:
        return [
            self._mariadbd,
            "--no-defaults",
            *_as_user(),
            f"--datadir={self.folder / 'data'}",
            # A server that starts removes the temporary tables in its tmpdir, also those of another server that runs.
            f"--tmpdir={self.folder / 'tmp'}",
            f"--socket={self.folder / 'm.sock'}",
            f"--pid-file={self.folder / 'm.pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=128M",
            "--innodb-log-file-size=64M",
            "--innodb-flush-log-at-trx-commit=2",
            "--max-connections=400",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            "--default-time-zone=+00:00",
            *self._options,
        ]

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pymysql.err.MySQLError:
            return False
        return True

    def execute(self, sql: str, database: str | None = None) -> Sequence[tuple[Any, ...]]:
        """Run one statement, outside any database unless one is named; returns its rows."""
        with (
            pymysql.connect(
                host="127.0.0.1",
                port=self.port,
                user=self.user,
                password=self.password,
                database=database,
                connect_timeout=5,
                read_timeout=30,
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return cursor.fetchall()

    def new_database(self) -> str:
        """Make an empty database; returns its URL for SQLAlchemy."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"mysql+aiomysql://{self.user}:{self.password}@127.0.0.1:{self.port}/{name}"


@functools.cache
def _mariadb_data() -> Path:
    """An installed data folder, made once a session and copied for each server."""
    install = require("mariadb-install-db")
    folder = Path(tempfile.mkdtemp(prefix="maquette-mariadb-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "tmp").mkdir()
    installed = subprocess.run(
        [
            install,
            "--no-defaults",
            *_as_user(),
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder / 'tmp'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=64M",
        ],
        check=False,  # what it said is told below
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_SECONDS,
    )
    if installed.returncode:
        raise RuntimeError(f"mariadb-install-db exited with {installed.returncode} and said:\n{installed.stdout}")
    return folder / "data"


def _as_user() -> list[str]:
    # mariadbd refuses to run as root unless it is told to.
    return ["--user=root"] if os.geteuid() == 0 else []


class Redis(Server):
    """A Redis server; with `append_only`, what was answered survives `kill9`."""

    name = "redis"
    databases = 1024

    def __init__(self, *options: str, append_only: bool = False) -> None:
        self._redis_server = require("redis-server")
        super().__init__()
        self._numbers = itertools.count(1)
        self._append_only = append_only
        self._options = options

    @property
    def url(self) -> str:
        return self.database(0)

    def command(self) -> Sequence[str]:
        return [
            self._redis_server,
            *("--bind", "127.0.0.1"),
            *("--port", str(self.port)),
            *("--dir", str(self.folder)),
            *("--databases", str(self.databases)),
            *("--save", ""),
            *("--appendonly", "yes" if self._append_only else "no"),
            *self._options,
        ]

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=5, socket_connect_timeout=5, retry=None)

    def new_database(self) -> str:
        """The URL of an empty database."""
        return self.database(next(self._numbers))

    def database(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{number}"

    def flushall(self) -> None:
        with self.client() as client:
            client.flushall()


class Moto(Server):
    """moto's stand-in for S3. `environment` has what boto3 needs beside the endpoint."""

    name = "moto"
    environment: ClassVar[Mapping[str, str]] = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        require_module("moto.server")
        super().__init__({**self.environment, **(environment or {})})
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-W", "ignore", "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]

    def answers(self) -> bool:
        try:
            return self.request("GET", "/moto-api/data.json") == 200
        except OSError:
            return False

    def request(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()

    def new_bucket(self) -> str:
        name = f"bucket-{next(self._numbers)}"
        status = self.request("PUT", f"/{name}")
        assert status == 200, f"moto made no bucket: {status}"
        return name
