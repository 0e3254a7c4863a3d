"""How long a page of a user's requests takes when he has few, and when he has many.

python -m bench.listing [--many 100000] [--url mysql+aiomysql://…]: the time of `requests(first: 20)` with images, by
HTTP, with 100 requests and with so many. Without `--url`, in a SQLite file of its own; a database that is named must
be empty.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy import update

from bench.startup import environment, is_ready
from db import creation
from db.creation import NewRequest
from db.session import Database
from db.tables import generated_images, generation_requests, image_generation_jobs
from events.status import ImageStatus, JobStatus, RequestStatus
from tests.servers import free_port

FEW = 100
BATCH = 250
TIMES = 200
QUERY = """{
  requests(first: 20) {
    edges { cursor node { id status images { id index imageUrl job { status } } } }
    pageInfo { hasNextPage }
  }
}"""
NEW = partial(NewRequest, "local", "a small owl", False, None, "a small owl", ("front", "side", "back", "top"))


async def fill(url: str, count: int) -> None:
    """Write so many requests whose images are made."""
    database = Database(url, lambda _: None)
    for start in range(0, count, BATCH):
        await creation.create_together(database, [NEW() for _ in range(min(BATCH, count - start))], 0, 3)
    # Straight, as it may take longer than the program holds a connection.
    async with database.engine.begin() as connection:
        for table, status in (
            (generation_requests, RequestStatus.IMAGE_COMPLETED),
            (generated_images, ImageStatus.COMPLETED),
            (image_generation_jobs, JobStatus.COMPLETED),
        ):
            await connection.execute(update(table).values(status=status))
    await database.aclose()


def measure(url: str, folder: str) -> float:
    """The median time of the query in milliseconds."""
    port = free_port()
    maquette = str(Path(sys.executable).parent / "maquette")
    variables = environment(folder) | {"DATABASE_URL": url, "LOG_LEVEL": "WARNING"}
    process = subprocess.Popen([maquette, "serve", "--port", str(port)], cwd=folder, env=variables)
    try:
        while not is_ready(port):
            if process.poll() is not None:
                raise SystemExit(f"maquette serve ended with {process.returncode}")
            time.sleep(0.05)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            return statistics.median(once(client) for _ in range(TIMES))
    finally:
        process.terminate()
        process.wait(30)


def once(client: httpx.Client) -> float:
    begun = time.perf_counter()
    answer = client.post("/graphql", json={"query": QUERY}).raise_for_status().json()
    taken = time.perf_counter() - begun
    assert len(answer["data"]["requests"]["edges"]) == 20  # the page that is measured
    return 1000 * taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--url")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite+aiosqlite:///{folder}/listing.db"
        subprocess.run(
            [str(Path(sys.executable).parent / "maquette"), "migrate"],
            cwd=folder,
            env=os.environ | environment(folder) | {"DATABASE_URL": url},
            check=True,
        )
        asyncio.run(fill(url, FEW))
        few = measure(url, folder)
        asyncio.run(fill(url, given.many - FEW))
        many = measure(url, folder)
        print(f"{FEW} requests: {few:.1f} ms; {given.many}: {many:.1f} ms; ratio {many / few:.2f}")


if __name__ == "__main__":
    main()
