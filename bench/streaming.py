"""How much a worker grows, and how fast it is, while a large result goes from the provider to the bucket.

    python -m bench.streaming [--megabytes 500]

The provider and moto's bucket are processes of their own. What is stored is fetched once more and its SHA-256 compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import httpx

from bench.storage import ALLOWED_MIB, peak
from providers.load import model_provider
from settings import Settings
from storage import open_storage
from tasks.results import fetch_model
from tests.servers import Moto
from tests.standins.tencent import SECRET_ID, SECRET_KEY


async def stream(settings: Settings, service: str, size: int, folder: Path) -> tuple[float, float]:
    """From the service to the bucket, as a worker does it; raises SystemExit where something else arrived."""
    provider, storage = model_provider(settings), open_storage(settings)
    told: list[str] = []

    async def pass_on(count: int, key: str) -> None:
        into = folder / "source"
        await fetch_model(settings, provider, f"{service}/big?bytes={count}", into)
        told.append((await storage.put(key, into, "model/gltf-binary")).sha256)
        into.unlink()

    try:
        await pass_on(1 << 20, "requests/bench/warm-up.glb")
        figures = await peak(lambda: pass_on(size, "requests/bench/model.glb"))
        url = await storage.url("requests/bench/model.glb")
    finally:
        await provider.aclose()
        await storage.aclose()
    if (size, told[-1]) != fetched(url):
        raise SystemExit("what is stored is not what was sent")
    return figures


def fetched(url: str) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with httpx.stream("GET", url, timeout=600) as answer:
        for chunk in answer.iter_bytes():
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


@click.command()
@click.option("--megabytes", default=500, show_default=True)
def main(megabytes: int) -> None:
    os.environ.update(Moto.environment)
    server = subprocess.Popen([sys.executable, "-m", "tests.standins.tencent"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        service = server.stdout.readline().strip()
        with Moto() as moto, tempfile.TemporaryDirectory() as folder:
            settings = Settings.model_validate(
                {
                    "model_provider": "tencent",
                    "tencentcloud_endpoint": service,
                    "tencentcloud_secret_id": SECRET_ID,
                    "tencentcloud_secret_key": SECRET_KEY,
                    "s3_bucket": moto.new_bucket(),
                    "s3_endpoint_url": moto.url,
                    "work_dir": folder,
                }
            )
            seconds, growth = asyncio.run(stream(settings, service, megabytes * 1_000_000, Path(folder)))
    finally:
        server.terminate()
        server.wait()
    click.echo(f"{megabytes} MB in {seconds:.1f} s; the worker grew by {growth:.1f} MiB at the peak, SHA-256 kept")
    if growth >= ALLOWED_MIB:
        raise SystemExit(f"at most {ALLOWED_MIB} MiB are allowed")


if __name__ == "__main__":
    main()
