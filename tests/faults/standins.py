"""The stand-ins of the providers as processes that can be killed: a file keeps what a service would keep.

`python -m tests.faults.standins tencent|openai PORT FILE`.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from PIL import Image, PngImagePlugin
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from tests.servers import Server
from tests.standins.openai import KEY, OpenAIStandIn
from tests.standins.tencent import SECRET_ID, SECRET_KEY, Job, Script, TencentStandIn

LIFE = re.compile(r"life-[\w-]+\w")
JOB_SECONDS = 1.0


def life_of(prompt: str) -> str:
    """What stands in the prompt for the request that it belongs to."""
    found = LIFE.search(prompt)
    return found[0] if found else ""


class Tencent(TencentStandIn):
    """Jobs outlive the process, as they outlive a fault of Tencent's: each takes a second, by the clock."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.script = Script(job_seconds=JOB_SECONDS)
        self._file = file
        for line in file.read_text().splitlines() if file.exists() else ():
            job = Job(**json.loads(line)["job"])
            self.jobs[job.id] = job

    async def _submit(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = await super()._submit(kind, params)
        with Image.open(io.BytesIO(base64.b64decode(params["ImageBase64"]))) as picture:
            prompt = str(picture.info["prompt"])
        with self._file.open("a") as file:
            file.write(json.dumps({"job": asdict(self.jobs[answer["JobId"]]), "life": life_of(prompt)}) + "\n")
        return answer


class OpenAI(OpenAIStandIn):
    """Pictures that carry their prompt."""

    async def _images(self, request: Request) -> Response:
        body = await self._admitted(request, "images")
        if isinstance(body, Response):
            return body
        about = PngImagePlugin.PngInfo()
        about.add_text("prompt", body["prompt"])
        shade = zlib.crc32(body["prompt"].encode())
        content = io.BytesIO()
        Image.new("RGB", (128, 128), (shade & 255, shade >> 8 & 255, shade >> 16 & 255)).save(
            content, "PNG", pnginfo=about
        )
        return self._answer({"created": 1, "data": [{"b64_json": base64.b64encode(content.getvalue()).decode()}]})


class _StandIn(Server):
    @property
    def _file(self) -> Path:
        return self.folder / "kept"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.faults.standins", self.name, str(self.port), str(self._file)]

    def answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/_stats").status_code == 200
        except httpx.TransportError:
            return False


class TencentProcess(_StandIn):
    name = "tencent"

    def settings(self, port: int) -> dict[str, str]:
        """By which a program finds it at a port."""
        keys = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
        return {"MODEL_PROVIDER": "tencent", "TENCENTCLOUD_ENDPOINT": f"http://127.0.0.1:{port}", **keys}

    def submits(self) -> Counter[str]:
        """The jobs that were taken, and would be billed, by life."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return Counter(json.loads(line)["life"] for line in lines)


class OpenAIProcess(_StandIn):
    name = "openai"

    def settings(self, port: int) -> dict[str, str]:
        return {
            "PROMPT_PROVIDER": "openai",
            "IMAGE_PROVIDER": "openai",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENAI_API_KEY": KEY,
        }


def _app(name: str, file: Path) -> ASGIApp:
    return Tencent(file).app if name == "tencent" else OpenAI().app


def main(name: str, port: int, file: Path) -> None:
    # A job's beginning is by the monotonic clock, which all processes of the machine share.
    assert time.get_clock_info("monotonic").monotonic
    uvicorn.run(_app(name, file), host="127.0.0.1", port=port, http="h11", ws="none", lifespan="off", log_level="error")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
