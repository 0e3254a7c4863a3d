"""Scripts in `tests/clients`, run by Node with the packages of their lock file."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.servers import missing, require

FOLDER = Path(__file__).parent.parent / "clients"
LOCK = "package-lock.json"
INSTALL_SECONDS = 180
SECONDS = 60


def prepare() -> None:
    """Install the packages, unless they are there already as the lock file has them."""
    require("node")
    npm = require("npm")
    modules = FOLDER / "node_modules"
    with (FOLDER / "package.json").open() as turn:
        # Several test processes may come here at once.
        fcntl.flock(turn, fcntl.LOCK_EX)
        installed = modules / ".installed"
        if installed.exists() and installed.read_bytes() == (FOLDER / LOCK).read_bytes():
            return
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            missing(f"npm could not install the clients: {done.stderr.strip().splitlines()[-1:]}")
        shutil.copy(FOLDER / LOCK, installed)


async def run(script: str, *arguments: str) -> Any:
    """What the script prints, which is JSON."""
    process = await asyncio.create_subprocess_exec(
        require("node"),
        script,
        *arguments,
        cwd=FOLDER,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            printed, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode()
    return json.loads(printed)
