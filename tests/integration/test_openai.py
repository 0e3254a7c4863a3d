"""The OpenAI-compatible adapters over real HTTP, against a stand-in in both shapes."""

from __future__ import annotations

import base64
import logging
from contextlib import asynccontextmanager

import pytest

from events.outcome import FailureCode
from providers.images.openai import OpenAIImages
from providers.prompts.openai import OpenAIPrompts
from providers.protocol import ProviderError
from settings import Settings
from tasks.results import fetch_image
from tests.standins.faults import HTML, Fault
from tests.standins.openai import KEY, OpenAIStandIn, Script
from tests.standins.server import running
from tests.standins.things import picture

F = FailureCode


@pytest.fixture(scope="module")
def served():
    standin = OpenAIStandIn()
    with running(standin.app) as url:
        standin.url = url
        yield standin


@pytest.fixture
def service(served):
    served.script = Script()
    served.fail()
    return served


def settings(service, **changes):
    values = {"openai_base_url": service.url + "/v1", "openai_api_key": KEY, "openai_image_model": "picture-model"}
    return Settings(_env_file=None, **(values | changes))


@asynccontextmanager
async def made(kind, service, **changes):
    provider = kind(settings(service, **changes))
    try:
        yield provider
    finally:
        await provider.aclose()


async def draw(images, service, prompt="a fox", index=0):
    """A picture as a worker has it: from the answer, or from where that says."""
    result = await images.generate(prompt, index)
    return result.content or await fetch_image(settings(service), images, result.url)


async def failure(kind, service, **changes):
    async with made(kind, service, **changes) as provider:
        with pytest.raises(ProviderError) as caught:
            await (draw(provider, service) if kind is OpenAIImages else provider.optimize("a fox"))
    return caught.value


@pytest.mark.parametrize("prompt", ["a fox", "一只坐着的狐狸", "𓀀 ünï"])
async def test_a_prompt_becomes_four_in_its_language(service, prompt):
    async with made(OpenAIPrompts, service, openai_chat_model="chat-model") as prompts:
        found = await prompts.optimize(prompt)
    assert found.prompt == f"{prompt}, solid"
    assert len(set(found.variants)) == 4
    assert all(variant.startswith(prompt) for variant in found.variants)
    (body,) = service.script.bodies
    assert body["model"] == "chat-model"
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][1] == {"role": "user", "content": prompt}
    # OpenAI refuses JSON mode unless the messages speak of JSON.
    assert "JSON" in body["messages"][0]["content"]


async def test_a_model_that_refuses_the_options_is_asked_without_them_from_then_on(service):
    service.script.plain_only = True
    async with made(OpenAIPrompts, service) as prompts:
        await prompts.optimize("a fox")
        await prompts.optimize("a hen")
    assert [len(body) for body in service.script.bodies] == [5, 2, 2]


@pytest.mark.parametrize("text", ["", "I will not.", '{"prompt": "a", "variants": []}'])
async def test_an_odd_text_is_an_error_for_the_caller_to_fall_back_on(service, text):
    service.script.text = text
    assert (await failure(OpenAIPrompts, service)).failure.code is F.BAD_OUTPUT


@pytest.mark.parametrize("delivery", ["b64_json", "url"])
@pytest.mark.parametrize("shape", ["openai", "siliconflow"])
async def test_pictures_in_both_shapes_both_ways(service, shape, delivery):
    service.script = Script(shape=shape, delivery=delivery)
    async with made(OpenAIImages, service, openai_image_shape=shape) as images:
        pictures = [await draw(images, service, "一只狐狸", index) for index in range(2)]
    seeds = [body.get("seed", number + 1) for number, body in enumerate(service.script.bodies)]
    assert pictures == [picture(seed) for seed in seeds]
    body = service.script.bodies[0]
    assert (body["model"], body["prompt"]) == ("picture-model", "一只狐狸")
    assert body["size" if shape == "openai" else "image_size"] == "1024x1024"


async def test_a_picture_as_a_data_url(service):
    service.script.item = {"url": "data:image/png;base64," + base64.b64encode(picture()).decode()}
    async with made(OpenAIImages, service) as images:
        assert await draw(images, service) == picture()


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda plain: "\r\n".join(plain[start : start + 76] for start in range(0, len(plain), 76)) + "\n",
        lambda plain: " data:image/png;base64,\n" + plain,
        lambda plain: plain.rstrip("="),
    ],
    ids=["in lines", "a data URL", "unpadded"],
)
async def test_a_picture_that_is_paid_for_is_not_refused_for_its_wrapping(service, wrapped):
    content = next(found for found in map(picture, range(99)) if len(found) % 3)
    service.script.item = {"b64_json": wrapped(base64.b64encode(content).decode())}
    async with made(OpenAIImages, service) as images:
        assert await draw(images, service) == content


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"b64_json": "no base64!"}, F.BAD_OUTPUT),
        ({"b64_json": base64.b64encode(b"<html>").decode()}, F.BAD_OUTPUT),
        ({"b64_json": base64.b64encode(picture()).decode() + "A=AAA"}, F.BAD_OUTPUT),
        ({"b64_json": "狐"}, F.BAD_OUTPUT),
        ({"b64_json": None, "url": None}, F.BAD_OUTPUT),
        ({"url": "ftp://example.com/a.png"}, F.BAD_OUTPUT),
        ({"url": "http://127.0.0.1:9/a.png"}, F.BAD_OUTPUT),
        ({"url": "http://169.254.169.254/latest/meta-data"}, F.BAD_OUTPUT),
        ({"revised_prompt": "a fox"}, F.BAD_OUTPUT),
    ],
)
async def test_what_is_no_picture(service, item, code):
    service.script.item = item
    assert (await failure(OpenAIImages, service)).failure.code is code


async def test_a_picture_by_url_is_fetched_again_rather_than_drawn_again(service):
    service.script.delivery = "url"
    service.fail(Fault("drop_halfway", "file"), Fault("answer", "file", status=503))
    async with made(OpenAIImages, service) as images:
        assert await draw(images, service) == picture(1)
    assert service.script.calls == {"images": 1, "file": 1 + 1}


@pytest.mark.parametrize("kind", [OpenAIImages, OpenAIPrompts])
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault("drop_before"), F.PROVIDER_UNAVAILABLE, True),
        (Fault("drop_after"), F.PROVIDER_UNAVAILABLE, True),
        (Fault("drop_halfway"), F.PROVIDER_UNAVAILABLE, True),
        (HTML, F.PROVIDER_UNAVAILABLE, True),
        (Fault("answer", status=502, body="<html>"), F.PROVIDER_UNAVAILABLE, True),
        (Fault("answer", body="[1, 2]"), F.PROVIDER_UNAVAILABLE, True),
        (Fault("answer", body='{"object": "nothing"}'), F.BAD_OUTPUT, True),
        (Fault("answer", body='{"data": [], "choices": []}'), F.BAD_OUTPUT, True),
        (Fault("answer", body='{"data": 7, "choices": 7}'), F.BAD_OUTPUT, True),
        (Fault("answer", status=307, headers={"location": "https://example.com"}), F.PROVIDER_MISCONFIGURED, False),
        (Fault("error", status=429, code="rate_limit_exceeded"), F.PROVIDER_BUSY, True),
        (Fault("error", status=429, code="insufficient_quota"), F.PROVIDER_MISCONFIGURED, False),
        (Fault("error", status=400, code="moderation_blocked"), F.CONTENT_REJECTED, False),
        (Fault("error", status=503, code="overloaded"), F.PROVIDER_UNAVAILABLE, True),
        (Fault("error", status=400, code="invalid_size", times=2), F.PROVIDER_REJECTED, False),
    ],
)
async def test_each_fault_has_its_code(service, kind, fault, code, retryable):
    fault.times = 2 if fault.status == 400 else 1
    service.fail(fault)
    found = (await failure(kind, service)).failure
    assert (found.code, found.retryable) == (code, retryable), found.message


async def test_retry_after_and_the_ids_are_kept(service):
    service.fail(Fault("error", status=429, code="busy", headers={"retry-after": "7", "x-request-id": "req-7"}))
    error = await failure(OpenAIImages, service)
    assert (error.retry_after, error.failure.provider_request_id, error.failure.provider_code) == (7, "req-7", "busy")


async def test_the_id_of_an_odd_answer_is_kept(service):
    service.script = Script(shape="siliconflow", item={"nothing": 1})
    error = await failure(OpenAIImages, service, openai_image_shape="siliconflow")
    assert error.failure.provider_request_id.startswith("req-")


@pytest.mark.parametrize("kind", [OpenAIImages, OpenAIPrompts])
async def test_a_service_that_hangs_is_given_up(service, kind):
    service.fail(Fault("hang"))
    error = await failure(kind, service, prompt_timeout_seconds=0.3, image_timeout_seconds=0.3)
    assert error.failure.code is F.PROVIDER_UNAVAILABLE
    assert error.failure.retryable


async def test_a_slow_service_is_waited_for(service):
    service.fail(Fault("slow", seconds=0.4))
    async with made(OpenAIImages, service) as images:
        assert await draw(images, service)


async def test_nothing_listens(service):
    with running(OpenAIStandIn().app) as url:
        pass
    assert (await failure(OpenAIPrompts, service, openai_base_url=url)).failure.code is F.PROVIDER_UNAVAILABLE


async def test_an_answer_too_large_is_refused(service):
    service.fail(Fault("answer", body=" " * (2 << 20)))
    error = await failure(OpenAIPrompts, service)
    assert (error.failure.code, error.failure.retryable) == (F.BAD_OUTPUT, False)


@pytest.mark.parametrize("kind", [OpenAIImages, OpenAIPrompts])
async def test_a_wrong_key_is_named_nowhere(service, kind, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "sk-live-0123456789"
    error = await failure(kind, service, openai_api_key=wrong)
    assert error.failure.code is F.PROVIDER_MISCONFIGURED
    shown = f"{error} {error!r} {error.failure} {settings(service, openai_api_key=wrong)!r} {caplog.text}"
    assert wrong not in shown
    assert error.__cause__ is None


async def test_a_good_key_and_a_signed_url_are_logged_nowhere(service, caplog):
    caplog.set_level(logging.INFO)
    service.script.delivery = "url"
    async with made(OpenAIImages, service) as images:
        await draw(images, service)
        assert KEY not in repr(images) + str(vars(images))
    assert KEY not in caplog.text
    assert "signature" not in caplog.text
