"""How long the program takes to import and to serve with nothing set, and what memory that needs.

python -m bench.startup [--times 5]: the best of so many starts, each in a folder of its own. The clients of services
that are not configured must not be imported.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.servers import free_port

ROOT = Path(__file__).parent.parent
NEEDLESS = ("boto3", "botocore", "tencentcloud", "aiomysql")
IMPORT = f"""
import json, sys, time
begun = time.perf_counter()
import server.app
print(json.dumps([time.perf_counter() - begun, [name for name in {NEEDLESS} if name in sys.modules]]))
"""


def environment(folder: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": str(ROOT)}


def import_once(folder: str) -> tuple[float, list[str]]:
    """Seconds to import the application, and the needless modules that came with it."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=folder, env=environment(folder), capture_output=True, check=True
    )
    seconds, needless = json.loads(done.stdout)
    return seconds, needless


def serve_once(folder: str) -> tuple[float, float]:
    """Seconds until `maquette serve` is ready, worker and all, and its resident memory in MiB (Linux only)."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "maquette"), "serve", "--port", str(port)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if process.poll() is not None:
                raise SystemExit(f"maquette serve ended with {process.returncode}")
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
        status = Path(f"/proc/{process.pid}/status")
        kilobytes = int(status.read_text().split("VmRSS:")[1].split()[0]) if status.exists() else 0
        return seconds, kilobytes / 1024
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        imports = [import_once(folder) for _ in range(times)]
    starts = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            starts.append(serve_once(folder))
    needless = imports[0][1]
    print(f"import server.app   {min(imports)[0]:5.2f} s")
    print(f"maquette serve      {min(starts)[0]:5.2f} s until ready, {min(starts)[1]:.0f} MiB resident")
    print(f"needless imports    {', '.join(needless) or 'none'}")
    if needless:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
