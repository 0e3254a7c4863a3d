from __future__ import annotations

import json

import pytest

from events.outcome import FailureCode
from providers.openai import Answer
from providers.prompts.openai import _parsed, _text
from providers.protocol import OptimizedPrompt, ProviderError

GOOD = {"prompt": "a fox", "variants": ["a", "b", "c", "d"]}
FOX = OptimizedPrompt("a fox", ("a", "b", "c", "d"))


def parsed(text):
    return _parsed(text, Answer({}, "req-1"))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD)}```",
        f"Here you are:\n{json.dumps(GOOD, indent=2)}\nEnjoy {{}}".removesuffix(" {}"),
        f"<think>an object {{with braces}}</think>\n{json.dumps(GOOD)}",
        json.dumps(GOOD | {"note": "more than asked for", "prompt": "  a fox \n"}),
    ],
)
def test_finds_the_object(text):
    assert parsed(text) == FOX


def test_chinese_stays_chinese():
    variants = ["一只狐狸", "坐着的狐狸", "站着的狐狸", "睡着的狐狸"]
    assert parsed(json.dumps({"prompt": "狐狸", "variants": variants}, ensure_ascii=False)).variants == tuple(variants)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot do that.",
        "{",
        "{}",
        '{"prompt": "a"}',
        '["a"]',
        "} {",
        json.dumps(GOOD | {"variants": ["a", "b", "c"]}),
        json.dumps(GOOD | {"variants": ["a", "b", "c", "d", "e"]}),
        json.dumps(GOOD | {"variants": ["a", "b", "c", ""]}),
        json.dumps(GOOD | {"variants": ["a", "b", "c", 4]}),
        json.dumps(GOOD | {"variants": "abcd"}),
        json.dumps(GOOD | {"prompt": None}),
        json.dumps(GOOD | {"prompt": "x" * 2001}),
        '{"a":' * 100_000 + "}",
    ],
)
def test_anything_odd_is_bad_output(text):
    with pytest.raises(ProviderError) as caught:
        parsed(text)
    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
    assert caught.value.failure.provider_request_id == "req-1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": ["text"]},
        {"choices": [{"message": {"content": None, "refusal": "no"}}]},
        {"choices": [{"message": {"content": ["text"]}}]},
    ],
)
def test_an_answer_without_text_is_bad_output(body):
    with pytest.raises(ProviderError) as caught:
        _text(Answer(body, None))
    assert caught.value.failure.code is FailureCode.BAD_OUTPUT


def test_filtered_content_is_rejected():
    with pytest.raises(ProviderError) as caught:
        _text(Answer({"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}, None))
    assert caught.value.failure.code is FailureCode.CONTENT_REJECTED
