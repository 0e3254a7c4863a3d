"""The user's prompt as it is."""

from __future__ import annotations

from providers.protocol import OptimizedPrompt
from settings import Settings


class NoPrompts:
    """A prompt provider that leaves prompts alone."""

    def __init__(self, settings: Settings) -> None:
        pass

    async def optimize(self, prompt: str) -> OptimizedPrompt:
        return OptimizedPrompt(prompt, (prompt, prompt, prompt, prompt))

    async def aclose(self) -> None:
        pass
