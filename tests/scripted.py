"""Providers that do as the prompt says, so that a test can script delays and faults from outside the program.

Directives stand in the prompt, for one image `kind:index=value` or, without an index, for all:
`delay=SECONDS`, `fail` (for good), `flaky=N` (the first N calls fail, and may be retried), `busy=N`, `hang`.
For the prompt: `prompt-delay=SECONDS`, `optimizer-fails`.
For the model: `model-delay=SECONDS`, `model-fail`, `model-flaky=N`, `model-no-mesh`, `model-vague` (submit raises).
Every call is noted in the file JOURNAL, one JSON line each.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import trimesh
from PIL import Image, PngImagePlugin

from events.outcome import FailureCode
from providers.protocol import (
    ImageResult,
    ModelPoll,
    OptimizedPrompt,
    PollState,
    ProviderError,
    ProviderFile,
    SourceImage,
)
from settings import Settings

JOURNAL = Path(os.environ.get("SCRIPTED_JOURNAL", "/dev/null"))


def note(**entry: Any) -> None:
    line = json.dumps({**entry, "pid": os.getpid(), "time": time.time()}) + "\n"
    with JOURNAL.open("a") as journal:
        journal.write(line)


def entries(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def calls_before(**like: Any) -> int:
    """How many calls like this one the journal has, this one included."""
    return sum(all(entry.get(key) == value for key, value in like.items()) for entry in entries(JOURNAL))


class Directives:
    def __init__(self, prompt: str, index: int | None = None) -> None:
        self._found: dict[str, float] = {}
        for name, at, value in re.findall(r"([a-z-]+)(?::(\d))?(?:=([\d.]+))?", prompt):
            if at == "" or index is None or int(at) == index:
                self._found[name] = float(value or 1)

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __getitem__(self, name: str) -> float:
        return self._found.get(name, 0)


class Prompts:
    def __init__(self, settings: Settings) -> None:
        pass

    async def optimize(self, prompt: str) -> OptimizedPrompt:
        if "optimizer-fails" in prompt:
            raise RuntimeError("the optimiser is away")
        note(call="prompt", prompt=prompt)
        await asyncio.sleep(Directives(prompt)["prompt-delay"])
        one, two, three, four = (f"{prompt}, view {view}" for view in range(4))
        return OptimizedPrompt(f"{prompt}, printable", (one, two, three, four))

    async def aclose(self) -> None:
        pass


class Images:
    def __init__(self, settings: Settings) -> None:
        pass

    async def generate(self, prompt: str, index: int) -> ImageResult:
        note(call="image", prompt=prompt, index=index)
        script = Directives(prompt, index)
        await asyncio.sleep(script["delay"])
        if "hang" in script:
            await asyncio.Event().wait()
        if "fail" in script:
            raise ProviderError(
                FailureCode.CONTENT_REJECTED, "The picture was refused.", False, "Scripted.Refused", "req-1"
            )
        if calls_before(call="image", prompt=prompt, index=index) <= script["flaky"]:
            raise ProviderError(FailureCode.PROVIDER_UNAVAILABLE, "The painter is out.", True)
        if calls_before(call="image", prompt=prompt, index=index) <= script["busy"]:
            raise ProviderError(FailureCode.PROVIDER_BUSY, "The painter has too much to do.", True, retry_after=0.1)
        return ImageResult(content=picture(prompt, index))

    async def aclose(self) -> None:
        pass


def picture(prompt: str, index: int) -> bytes:
    """A PNG that carries its prompt, for the model's directives."""
    about = PngImagePlugin.PngInfo()
    about.add_text("prompt", prompt)
    shade = hashlib.sha256(f"{prompt}{index}".encode()).digest()
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128), (shade[0], shade[1], shade[2])).save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


class Models:
    """A job's id carries its picture's prompt and the time of its submit, so that any process can go on polling."""

    def __init__(self, settings: Settings) -> None:
        pass

    async def submit(self, image: SourceImage) -> str:
        with Image.open(io.BytesIO(image.content)) as opened:
            prompt = str(opened.info.get("prompt", ""))
        note(call="submit", prompt=prompt)
        script = Directives(prompt)
        await asyncio.sleep(script["submit-delay"])
        if "model-vague" in script:
            raise ConnectionResetError("the line went dead")
        if calls_before(call="submit", prompt=prompt) <= script["model-flaky"]:
            raise ProviderError(FailureCode.PROVIDER_UNAVAILABLE, "The sculptor is out.", True)
        return json.dumps([prompt[:150], time.time()])

    async def poll(self, job_id: str) -> ModelPoll:
        prompt, begun = json.loads(job_id)
        script = Directives(prompt)
        elapsed = time.time() - begun
        if "model-fail" in script:
            raise ProviderError(
                FailureCode.PROVIDER_REJECTED, "The sculptor will not.", False, "Scripted.No", job_ended=True
            )
        if elapsed < script["model-delay"]:
            progress = None if "model-silent" in script else 100 * elapsed / script["model-delay"]
            return ModelPoll(PollState.RUNNING, progress)
        path = Path(tempfile.gettempdir()) / f"scripted-{os.getpid()}.glb"
        if "model-no-mesh" in script:
            path.write_text("<html>no mesh</html>")
        else:
            trimesh.creation.icosphere(subdivisions=2).export(path)
        return ModelPoll(PollState.DONE, None, (ProviderFile("GLB", path=path),))

    async def aclose(self) -> None:
        pass
