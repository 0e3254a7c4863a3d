"""The servers that other tests stand on do what their names say."""

from __future__ import annotations

import os
import signal

import pymysql
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.servers import MariaDB, Moto, Redis, require


async def test_mariadb_gives_empty_databases(mariadb):
    first, second = mariadb.new_database(), mariadb.new_database()
    assert first != second
    engine = create_async_engine(first)
    async with engine.begin() as connection:
        assert (await connection.execute(text("SHOW TABLES"))).all() == []
        assert (await connection.execute(text("SELECT '猫', @@time_zone, @@character_set_database"))).one() == (
            "猫",
            "+00:00",
            "utf8mb4",
        )
    await engine.dispose()


def test_mariadb_keeps_what_was_committed_over_a_kill():
    with MariaDB("--max-connections=50") as mariadb:
        mariadb.execute("CREATE TABLE mysql.kept (n INT) ENGINE=InnoDB")
        mariadb.execute("INSERT INTO mysql.kept VALUES (1)")
        pid, folder = mariadb.pid, mariadb.folder
        mariadb.kill9()
        with pytest.raises(pymysql.err.OperationalError):
            mariadb.execute("SELECT 1")
        mariadb.start()
        assert mariadb.execute("SELECT n FROM mysql.kept") == ((1,),)
        assert mariadb.execute("SELECT @@max_connections") == ((50,),)
        assert mariadb.pid != pid
        last = mariadb.pid
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)
    assert not folder.exists()


@pytest.mark.parametrize("append_only", [True, False])
def test_redis_over_a_kill(append_only):
    with Redis(append_only=append_only) as server:
        with server.client() as client:
            client.set("a", "1")
        server.kill9()
        assert not server.answers()
        server.start()
        with server.client() as client:
            assert client.get("a") == (b"1" if append_only else None)


def test_redis_paused_resumed_flushed_and_stopped():
    with Redis() as server:
        server.pause()
        with (
            redis.Redis(port=server.port, socket_timeout=0.05, retry=None) as client,
            pytest.raises(redis.TimeoutError),
        ):
            client.ping()
        server.resume()
        with server.client() as client:
            client.set("a", "1")
            server.flushall()
            assert client.get("a") is None
        server.pause()
        server.stop()  # a paused server is stopped as well
        assert not server.answers()
        server.start()
        assert server.answers()


def test_moto_makes_buckets(moto):
    bucket = moto.new_bucket()
    assert moto.request("HEAD", f"/{bucket}") == 200
    assert moto.request("HEAD", "/nothing-here") == 404


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match=r"redis exited with 1; its log ends:\n(?s:.*)no-such-option"):
        Redis("--no-such-option", "1").__enter__()


def test_a_missing_program_skips_here_and_fails_in_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        require("no-such-program")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        require("no-such-program")


def test_a_moto_of_its_own_takes_an_environment():
    with Moto({"MOTO_S3_DEFAULT_MAX_KEYS": "7"}) as server:
        assert server.new_bucket() == "bucket-1"
        server.pause()
        os.kill(server.pid, signal.SIGCONT)
        assert server.answers()
