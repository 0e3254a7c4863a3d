"""The commands, as a user types them, with nothing set but where things lie."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trimesh

from tests.acceptance.conftest import Connect, servers
from tests.acceptance.program import ROOT, Client, Program, assert_whole, in_phase, running
from tests.servers import MariaDB, Redis, require

OFFLINE = {"PROMPT_PROVIDER": "", "IMAGE_PROVIDER": "", "MODEL_PROVIDER": ""}
BIN = Path(sys.executable).parent


@pytest.fixture
def embedded(tmp_path: Path) -> Program:
    return Program(tmp_path, OFFLINE, served=False)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--size-mm", "nan", "Invalid value for '--size-mm': nan is no number."),
        ("--size-mm", "0", "Invalid value for '--size-mm': 0.0 is not in the range"),
        ("--out", "a file", "maquette: --out: a file cannot be a folder: File exists; name another"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_drawn(embedded: Program, option: str, value: str, says: str) -> None:
    (embedded.folder / "a file").write_text("")
    done = embedded.run("generate", "a small owl", "--select", "2", option, value)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "Image" not in done.stdout


def test_the_whole_way_in_the_terminal(embedded: Program) -> None:
    owl = "a small owl with big eyes, standing on a book"
    done = embedded.run("generate", owl, "--select", "2", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Image 2: done.*Model: making.*Model: done", done.stdout, re.DOTALL)
    out = embedded.folder / "out"
    assert {path.name for path in out.iterdir()} == {
        "image.png",
        "preview.png",
        "model.glb",
        "model.obj",
        "model.stl",
        "model.3mf",
    }
    mesh = trimesh.load_mesh(out / "model.stl")
    assert mesh.is_watertight
    assert max(mesh.extents) == pytest.approx(100, abs=0.01)
    # Some builds of admesh print what was left in memory, too.
    checked = subprocess.run(
        [require("admesh"), out / "model.stl"], capture_output=True, text=True, errors="replace", check=True
    ).stdout
    for finding in ("Edges fixed", "Facets reversed", "Degenerate facets", "Facets added", "Facets removed"):
        assert re.search(rf"{finding}\s*:\s*0\b", checked), checked


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["serve", "--host", "0.0.0.0"], {}, "JWT_SECRET: is not set"),
        (["serve", "--no-worker"], {}, "REDIS_URL: is not set"),
        (["serve", "--reuse-port"], {}, "REDIS_URL: is not set"),
        (["worker"], {}, "REDIS_URL: is not set"),
        (["serve"], {"S3_BUCKET": "Not A Bucket"}, "S3_BUCKET: is no bucket name"),
        (["serve"], {"MODEL_PROVIDER": "tencent"}, "TENCENTCLOUD_SECRET_ID: is needed"),
        (["serve"], {"S3_BUCKET": "models", "AWS_ACCESS_KEY_ID": "only"}, "AWS_ACCESS_KEY_ID: no complete credentials"),
        (["migrate"], {"S3_BUCKET": "models", "AWS_ACCESS_KEY_ID": "only"}, "AWS_ACCESS_KEY_ID: no complete"),
        (["serve"], {"IMAGE_PROVIDER": "no.such:Class"}, "IMAGE_PROVIDER: no.such cannot be imported"),
        (["serve"], {"DATABASE_URL": "postgresql://x"}, "DATABASE_URL: must start with"),
        (["migrate"], {"IMAGE_CONCURRENCY": "none"}, "IMAGE_CONCURRENCY: "),
        (["generate", "an owl"], {}, "--select"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    embedded: Program, arguments: list[str], settings: dict[str, str], message: str
) -> None:
    if arguments == ["serve"]:
        arguments = ["serve", "--port", str(embedded.port)]
    done = embedded.run(*arguments, **settings)
    assert done.returncode in (1, 2)
    assert message in done.stderr.splitlines()[-1], done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(embedded: Program) -> None:
    embedded.start()
    try:
        done = embedded.run("serve", "--port", str(embedded.port))
        assert f"{embedded.port} cannot be listened on" in done.stderr
    finally:
        embedded.stop()


async def test_processes_that_share_a_port(request: pytest.FixtureRequest, tmp_path: Path, connect: Connect) -> None:
    with running(tmp_path, servers(request, "served"), served=True, reuse_port=True) as program:
        one = program.api
        program.start_api()
        by_process: dict[str, Client] = {}
        async with asyncio.timeout(60):
            while len(by_process) < 2:  # the kernel gives a connection to either
                client = connect(program)
                metrics = (await client.http.get("/metrics")).text
                by_process[re.search(r"process_start_time_seconds (\d.*)", metrics)[1]] = client
        creating, following = by_process.values()
        request_id = await creating.created("shared delay=0.5")
        events = await following.sse(f"/requests/{request_id}/events", in_phase("AWAITING_SELECTION"))
        assert_whole(events)
        done = program.run("serve", "--no-worker", "--port", str(program.port))
        assert f"{program.port} cannot be listened on" in done.stderr
        one.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(one.wait, 20) == 0
        for _ in range(8):
            assert (await connect(program).http.get("/readyz")).status_code == 200
        assert program.stop() == [0, 0]


def test_the_doctor(embedded: Program) -> None:
    embedded.start()
    try:
        well = embedded.run("doctor")
        assert well.returncode == 0, well.stdout + well.stderr
    finally:
        embedded.stop()
    ill = embedded.run("doctor", REDIS_URL="redis://127.0.0.1:1")
    assert ill.returncode == 1
    assert re.search("WRONG  redis: ", ill.stdout)
    assert re.search("WRONG  workers: .*start `maquette", ill.stdout)


async def until_ready(client: Client) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.http.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def test_the_ecosystems_own_commands(
    tmp_path: Path, mariadb: MariaDB, redis_server: Redis, connect: Connect
) -> None:
    """`alembic upgrade head`, `uvicorn server.app:app` and `dramatiq tasks` do what ours do."""
    settings = {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis_server.new_database()}
    program = Program(tmp_path, settings, served=True)

    def spawn(*arguments: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"{arguments[0]}.log").open("ab")
        with log:
            return subprocess.Popen(
                [BIN / arguments[0], *arguments[1:]], env=program.environment, cwd=ROOT, stdout=log, stderr=log
            )

    assert await asyncio.to_thread(spawn("alembic", "upgrade", "head").wait, 60) == 0, program.log
    processes = [
        spawn("uvicorn", "server.app:app", "--port", str(program.port), "--log-level", "warning"),
        spawn("dramatiq", "tasks", "--processes", "1"),
    ]
    try:
        client = connect(program)
        await until_ready(client)
        request_id = await client.created("by other commands")
        await client.follow(request_id, in_phase("AWAITING_SELECTION"))
        await client.select(request_id, 0)
        await client.follow(request_id, in_phase("COMPLETED"))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [await asyncio.to_thread(process.wait, 30) for process in processes]
    assert codes[1] == 0, program.log
    export = await asyncio.to_thread(
        subprocess.run, [BIN / "strawberry", "export-schema", "resolvers"], cwd=ROOT, capture_output=True, check=True
    )
    assert export.stdout.strip() == (ROOT / "schema" / "schema.graphql").read_bytes().strip()
