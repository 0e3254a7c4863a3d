from __future__ import annotations

import asyncio

import pytest

from events.outcome import FailureCode
from providers.protocol import OptimizedPrompt, ProviderError
from tasks.prompts import Optimizer

OWN = OptimizedPrompt("an owl", ("an owl", "an owl", "an owl", "an owl"))
GOOD = OptimizedPrompt("an owl, printable", ("one", "two", "three", "vier 🦉"))


class Provider:
    def __init__(self, answer: OptimizedPrompt | Exception | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def optimize(self, prompt: str) -> OptimizedPrompt:
        self.asked.append(prompt)
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]

    async def aclose(self) -> None:
        pass


async def test_a_good_answer_is_taken():
    assert await Optimizer(Provider(GOOD), 5).improve("an owl", optimize=True) == GOOD


async def test_nobody_is_asked_who_need_not_be():
    provider = Provider(GOOD)
    assert await Optimizer(provider, 5).improve("an owl", optimize=False) == OWN
    assert provider.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("broken"),
        ProviderError(FailureCode.PROVIDER_BUSY, "Too much to do.", True),
        TimeoutError(),
        None,
        OptimizedPrompt("", GOOD.variants),
        OptimizedPrompt("p", ("one", "two", "three", "")),
        OptimizedPrompt("p", ("one", "two", "three")),  # type: ignore[arg-type]
        OptimizedPrompt("p", ("one", "two", "three", "four", "five")),  # type: ignore[arg-type]
        OptimizedPrompt("half an emoji \ud83e", GOOD.variants),
        OptimizedPrompt("p", ("one", "two", "three", "nul\0")),
        OptimizedPrompt("p", ("one", "two", "three", "x" * 100_000)),
    ],
    ids=lambda answer: type(answer).__name__,
)
async def test_whatever_goes_wrong_the_users_prompt_is_used(answer: OptimizedPrompt | Exception | None):
    assert await Optimizer(Provider(answer), 0.01).improve("an owl", optimize=True) == OWN
