"""Providers that take no time, or as long as the load driver says, so that what is measured is Maquette."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from providers.protocol import ImageResult, ModelPoll, OptimizedPrompt, PollState, ProviderFile, SourceImage
from settings import Settings

IMAGE_SECONDS = float(os.environ.get("IMAGE_DELAY_MS", "0")) / 1000
MODEL_SECONDS = float(os.environ.get("MODEL_DELAY_MS", "0")) / 1000
MODEL_POLLS = int(os.environ.get("MODEL_POLLS", "1"))


def _pixel() -> bytes:
    from PIL import Image  # noqa: PLC0415  # the API's process is measured as well, and needs none of it

    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


class Prompts:
    def __init__(self, settings: Settings) -> None:
        """Needs nothing."""

    async def optimize(self, prompt: str) -> OptimizedPrompt:
        return OptimizedPrompt(prompt, (prompt, prompt, prompt, prompt))

    async def aclose(self) -> None:
        """Holds nothing."""


class Images:
    def __init__(self, settings: Settings) -> None:  # noqa: ARG002  # the protocol's
        self._pixel = _pixel()

    async def generate(self, prompt: str, index: int) -> ImageResult:  # noqa: ARG002  # the protocol's
        if IMAGE_SECONDS:
            await asyncio.sleep(IMAGE_SECONDS)
        return ImageResult(content=self._pixel)

    async def aclose(self) -> None:
        """Holds nothing."""


class Models:
    """Reports MODEL_POLLS steps and then the model, each MODEL_DELAY_MS after the one before."""

    free = True

    def __init__(self, settings: Settings) -> None:  # noqa: ARG002  # the protocol's

        self._polls: dict[str, int] = {}
        self._mesh = Path(tempfile.mkdtemp()) / "box.stl"
        # In a process of its own: trimesh is no part of a worker's memory.
        box = "import sys, trimesh; trimesh.creation.box().export(sys.argv[1])"
        subprocess.run([sys.executable, "-c", box, str(self._mesh)], check=True)

    async def submit(self, image: SourceImage) -> str:  # noqa: ARG002  # the protocol's
        return os.urandom(8).hex()

    async def poll(self, job_id: str) -> ModelPoll:
        await asyncio.sleep(MODEL_SECONDS)
        done = self._polls.get(job_id, 0)
        if done >= MODEL_POLLS:
            return ModelPoll(PollState.DONE, 100, (ProviderFile("STL", path=self._mesh),))
        self._polls[job_id] = done + 1
        return ModelPoll(PollState.RUNNING, 100 * (done + 1) / MODEL_POLLS)

    async def aclose(self) -> None:
        """Holds nothing."""
