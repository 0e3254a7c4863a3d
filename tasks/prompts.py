"""Improving a prompt before its request is written; the user's own prompt where that fails."""

from __future__ import annotations

import asyncio
import re
from unicodedata import category

import structlog

from db.refusal import Refusal, Refused
from providers.protocol import OptimizedPrompt, PromptProvider

IMAGE_COUNT = 4
LONGEST_USER_PROMPT = 2_000
LONGEST_IMPROVED_PROMPT = 10_000
NO_TEXT = re.compile("[\0\ud800-\udfff]")
UNSEEN = {"Cc", "Cf", "Mn", "Zl", "Zp", "Zs"}
"""Unicode's categories of characters that leave no mark of their own."""
FILLERS = set("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols to Unicode that are blank all the same."""

log = structlog.get_logger(__name__)


def is_text(text: str) -> bool:
    """Whether the database can keep it: people and language models send what they like, half of an emoji too."""
    return NO_TEXT.search(text) is None


def checked_prompt(text: str) -> str:
    """A user's prompt, trimmed; raises `Refused`."""
    prompt = text.strip()
    field = ("input", "prompt")
    if not 1 <= len(prompt) <= LONGEST_USER_PROMPT:
        message = f"The prompt has {len(prompt)} characters after trimming; it must have 1 to {LONGEST_USER_PROMPT}."
        raise Refused(Refusal.INVALID_INPUT, message, field)
    if all(category(character) in UNSEEN or character in FILLERS for character in prompt):
        raise Refused(Refusal.INVALID_INPUT, "The prompt has no character that can be seen; say what to draw.", field)
    if not is_text(prompt):
        raise Refused(Refusal.INVALID_INPUT, "The prompt has characters that no text has; remove them.", field)
    return prompt


def _is_usable(text: str) -> bool:
    return 0 < len(text) <= LONGEST_IMPROVED_PROMPT and is_text(text)


class Optimizer:
    """The prompt provider with a deadline, in seconds."""

    def __init__(self, provider: PromptProvider, seconds: float) -> None:
        self._provider = provider
        self._seconds = seconds

    async def improve(self, prompt: str, *, optimize: bool) -> OptimizedPrompt:
        """The prompt and the four images' own; never fails."""
        own = OptimizedPrompt(prompt, (prompt, prompt, prompt, prompt))
        if not optimize:
            return own
        try:
            async with asyncio.timeout(self._seconds):
                optimized = await self._provider.optimize(prompt)
        except Exception as error:  # whatever is wrong with the provider, the user's prompt will do
            log.warning(
                "the prompt provider failed; the user's prompt is used", error=str(error) or type(error).__name__
            )
            return own
        if len(optimized.variants) != IMAGE_COUNT or not all(map(_is_usable, (optimized.prompt, *optimized.variants))):
            log.warning("the prompt provider gave no prompt and four variants; the user's prompt is used")
            return own
        return optimized
