"""How much the process grows, and how fast it is, while a large result is streamed to a file.

`python -m bench.fetch [--megabytes 500]`: needs a loopback address only. The server is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.storage import ALLOWED_MIB, peak
from providers.addresses import authority
from providers.fetch import fetch
from providers.media import MESHES


async def measure(url: str, size: int, folder: Path) -> tuple[float, float]:
    """Seconds, and how many MiB the process grew at most, after a small result has warmed everything up."""

    async def get(count: int) -> None:
        fetched = await fetch(
            f"{url}/big?bytes={count}",
            folder / "result",
            limit_bytes=1 << 30,
            timeout=600,
            allowed_types=MESHES,
            trusted_hosts={authority(url)},
        )
        if fetched.size != count:
            raise SystemExit(f"{fetched.size} bytes came instead of {count}")

    await get(1 << 20)
    return await peak(lambda: get(size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    size = parser.parse_args().megabytes * 1_000_000
    server = subprocess.Popen([sys.executable, "-m", "tests.standins.tencent"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            seconds, growth = asyncio.run(measure(url, size, Path(folder)))
    finally:
        server.terminate()
        server.wait()
    print(f"{size / 1e6:g} MB in {seconds:.1f} s, {growth:+.1f} MiB at the peak; at most {ALLOWED_MIB} are allowed")
    if growth >= ALLOWED_MIB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
