"""Pictures without a service: a figure modelled and drawn from the prompt, the same each time.

A stand-in until an image service is set: it knows some thirty things by their words, and gives a sculpture of its own
for anything else.
"""

from __future__ import annotations

import asyncio

from providers.protocol import ImageResult
from settings import Settings


class LocalImages:
    """An image provider that draws by itself; needs no key, costs nothing."""

    def __init__(self, settings: Settings) -> None:  # noqa: ARG002  # every provider is made with the settings
        self._at_once = asyncio.Semaphore(1)

    async def generate(self, prompt: str, index: int) -> ImageResult:
        # One at a time: drawing keeps a core busy, and the event loop wants its share of the interpreter.
        async with self._at_once:
            return ImageResult(content=await asyncio.to_thread(_draw, prompt, index))

    async def aclose(self) -> None:
        pass


def _draw(prompt: str, index: int) -> bytes:
    from providers.images.drawing import draw  # noqa: PLC0415  # scipy takes half a second that no start need wait for

    return draw(prompt, index)
