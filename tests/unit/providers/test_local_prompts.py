"""The rules that make a prompt printable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.images.things import monument
from providers.images.vocabulary import understand
from providers.prompts.local import MAX_CHARACTERS, LocalPrompts, clean
from providers.prompts.none import NoPrompts
from settings import Settings


@pytest.fixture
def local() -> LocalPrompts:
    return LocalPrompts(Settings())


async def test_the_users_words_stay_and_the_four_variants_differ(local: LocalPrompts) -> None:
    result = await local.optimize("  a small owl\n with big\teyes ")

    assert result.prompt.startswith("a small owl with big eyes. ")
    assert "3D printing" in result.prompt
    assert len(set(result.variants)) == 4
    assert all(one.startswith("a small owl with big eyes. ") for one in result.variants)


async def test_a_chinese_prompt_gets_chinese_rules(local: LocalPrompts) -> None:
    result = await local.optimize("一只站在书上的猫头鹰")

    assert result.prompt.startswith("一只站在书上的猫头鹰。")
    assert "3D打印" in result.prompt
    assert "printing" not in result.prompt


async def test_a_japanese_prompt_keeps_its_words(local: LocalPrompts) -> None:
    assert (await local.optimize("小さな猫")).prompt.startswith("小さな猫. ")


@given(prompt=st.text(min_size=1, max_size=2000))
async def test_any_prompt_stays_within_bounds_and_on_one_line(prompt: str) -> None:
    result = await LocalPrompts(Settings()).optimize(prompt)

    for one in (result.prompt, *result.variants):
        assert len(one) <= MAX_CHARACTERS
        assert "\n" not in one
        assert "\0" not in one
        assert one.startswith(clean(prompt)[:400])


async def test_the_rules_name_nothing_that_could_be_drawn_instead(local: LocalPrompts) -> None:
    for words in ("something nameless", "某种无名之物"):
        result = await local.optimize(words)
        assert {understand(one).figure for one in (result.prompt, *result.variants)} == {monument}
        assert {understand(one).width for one in result.variants} == {1}


async def test_none_leaves_the_prompt_alone() -> None:
    assert (await NoPrompts(Settings()).optimize("  as it is ")).variants == ("  as it is ",) * 4
