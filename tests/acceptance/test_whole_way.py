"""From a prompt to files, and what a user may do on the way."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from tests.acceptance.program import Client, assert_whole, in_phase, names

AWAITING = in_phase("AWAITING_SELECTION")
COMPLETED = in_phase("COMPLETED")


async def awaiting(client: Client, prompt: str) -> tuple[str, list[dict[str, Any]]]:
    request_id = await client.created(prompt)
    return request_id, await client.follow(request_id, AWAITING)


async def finished(client: Client, prompt: str, index: int = 0) -> tuple[str, list[dict[str, Any]]]:
    request_id, events = await awaiting(client, prompt)
    assert (await client.select(request_id, index))["userErrors"] == []
    events += await client.follow(request_id, COMPLETED, after=events[-1]["sequence"])
    return request_id, events


async def test_a_prompt_becomes_printable_files(client: Client) -> None:
    request_id, events = await finished(client, "an owl", index=2)
    assert_whole(events)
    assert names(events)[9:11] == ["task:updated", "model:generating"]
    assert set(names(events)[11:-2]) <= {"model:progress"}
    assert names(events)[-2:] == ["model:completed", "task:updated"]
    request = await client.request(request_id)
    assert (request["status"], request["phase"]) == ("MODEL_COMPLETED", "COMPLETED")
    assert request["selectedImageIndex"] == 2
    assert request["lastEventSequence"] == len(events)
    assert request["prompt"] == "an owl, printable"
    [model] = request["models"]
    assert request["model"]["id"] == model["id"]
    assert (model["status"], model["progress"], model["sourceImage"]["index"]) == ("COMPLETED", 100, 2)
    assert model["printReport"]["printable"] is True
    sides = [model["printReport"][side] for side in ("widthMm", "depthMm", "heightMm")]
    assert max(sides) == pytest.approx(100, abs=0.01)
    assert [file["format"] for file in model["files"]] == ["GLB", "OBJ", "STL", "THREE_MF"]
    for file in model["files"]:
        content = (await client.http.get(file["url"])).content
        assert len(content) == file["byteSize"]
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    preview = await client.http.get(model["previewImageUrl"])
    assert preview.headers["content-type"] == "image/png"


async def test_images_are_four_with_prompts_of_their_own(client: Client) -> None:
    request_id, events = await awaiting(client, "four views")
    request = await client.request(request_id)
    assert [image["prompt"] for image in request["images"]] == [f"four views, view {view}" for view in range(4)]
    generating = [event for event in events if event["name"] == "image:generating"]
    assert sorted(event["prompt"] for event in generating) == [image["prompt"] for image in request["images"]]
    for image in request["images"]:
        order = names([event for event in events if event.get("imageId") == image["id"]])
        assert order == ["image:generating", "image:completed"]
        assert (await client.http.get(image["imageUrl"])).content.startswith(b"\x89PNG")


async def test_an_optimiser_that_fails_leaves_the_users_prompt(client: Client) -> None:
    request = (await client.create("a cat optimizer-fails"))["request"]
    assert request["prompt"] == request["originalPrompt"] == "a cat optimizer-fails"
    plain = (await client.create("a dog", optimizePrompt=False))["request"]
    assert plain["prompt"] == "a dog"
    assert {image["prompt"] for image in plain["images"]} == {"a dog"}


async def test_one_failed_image_does_not_hold_up_the_rest(client: Client) -> None:
    request_id, events = await awaiting(client, "one fails fail:1")
    assert sorted(names(events)) == ["image:completed"] * 3 + ["image:failed"] + ["image:generating"] * 4 + [
        "task:updated"
    ]
    assert events[-1]["status"] == "IMAGE_COMPLETED"
    image = (await client.request(request_id))["images"][1]
    assert image["imageStatus"] == "FAILED"
    assert image["failure"] == {
        "code": "CONTENT_REJECTED",
        "message": "The picture was refused.",
        "retryable": False,
        "providerCode": "Scripted.Refused",
        "providerRequestId": "req-1",
    }
    assert (await client.select(request_id, 1))["userErrors"][0]["code"] == "IMAGE_NOT_READY"
    assert (await client.select(request_id, 0))["userErrors"] == []
    events += await client.follow(request_id, COMPLETED, after=events[-1]["sequence"])
    assert_whole(events)


async def test_all_four_failing_is_told_and_each_can_be_retried(client: Client) -> None:
    request_id, events = await awaiting(client, "all four fail")
    assert names(events).count("image:failed") == 4
    assert events[-1]["status"] == "IMAGE_FAILED"
    image = (await client.request(request_id))["images"][3]
    assert (await client.retry(image["id"]))["userErrors"] == []
    again = await client.follow(request_id, AWAITING, after=events[-1]["sequence"])
    assert names(again) == ["task:updated", "image:generating", "image:failed", "task:updated"]
    assert again[0]["phase"] == "IMAGE_GENERATION"


async def test_a_failed_image_is_retried_and_then_works(client: Client) -> None:
    request_id, events = await awaiting(client, "a retry that works flaky:0=3")
    request = await client.request(request_id)
    image = request["images"][0]
    assert (image["imageStatus"], image["job"]["attempts"]) == ("FAILED", 3)
    assert image["failure"]["code"] == "PROVIDER_UNAVAILABLE"
    assert (await client.retry(request["images"][1]["id"]))["userErrors"][0]["code"] == "IMAGE_NOT_FAILED"
    assert (await client.retry(image["id"]))["userErrors"] == []
    again = await client.follow(request_id, AWAITING, after=events[-1]["sequence"])
    assert names(again) == ["task:updated", "image:generating", "image:completed", "task:updated"]
    assert_whole(again, first=events[-1]["sequence"] + 1)
    assert len([call for call in client.program.calls("image") if call["prompt"].startswith("a retry that works")]) == 7


async def test_an_attempt_that_is_retried_tells_no_event(client: Client) -> None:
    request_id, events = await awaiting(client, "two attempts flaky:2=1")
    assert names(events).count("image:failed") == 0
    assert (await client.request(request_id))["images"][2]["job"]["attempts"] == 2


async def test_a_busy_provider_uses_no_attempt_up(client: Client) -> None:
    request_id, _ = await awaiting(client, "busy for a while busy:1=4")
    image = (await client.request(request_id))["images"][1]
    assert (image["imageStatus"], image["job"]["attempts"]) == ("COMPLETED", 1)


async def test_an_image_is_selected_early(client: Client) -> None:
    request_id = await client.created("early delay:3=2")
    await client.follow(request_id, lambda event: event["name"] == "image:completed" and event["index"] == 0)
    assert (await client.select(request_id, 0))["userErrors"] == []
    late = lambda event: event["name"] == "image:completed" and event["index"] == 3  # noqa: E731
    seen: list[str] = []

    def both(event: dict[str, Any]) -> bool:
        seen.extend(["late"] if late(event) else ["done"] if COMPLETED(event) else [])
        return len(seen) == 2

    events = await client.follow(request_id, both)
    assert_whole(events)
    phases = [event["phase"] for event in events if event["name"] == "task:updated"]
    assert phases == ["MODEL_GENERATION", "COMPLETED"]
    assert (await client.request(request_id))["status"] == "MODEL_COMPLETED"


async def test_two_selections_at_once_make_one_model(client: Client) -> None:
    request_id, _ = await awaiting(client, "two at once")
    answers = await asyncio.gather(*(client.select(request_id, index) for index in range(4)))
    refused = [answer["userErrors"][0]["code"] for answer in answers if answer["userErrors"]]
    assert refused == ["MODEL_IN_PROGRESS"] * 3
    await client.follow(request_id, COMPLETED)
    assert len((await client.request(request_id))["models"]) == 1


async def test_another_image_is_selected_after_a_model(client: Client) -> None:
    request_id, events = await finished(client, "another one", index=0)
    assert (await client.select(request_id, 3, sizeMm=42))["userErrors"] == []
    events += await client.follow(request_id, COMPLETED, after=events[-1]["sequence"])
    assert_whole(events)
    request = await client.request(request_id)
    assert [model["sourceImage"]["index"] for model in request["models"]] == [3, 0]
    assert request["selectedImageIndex"] == 3
    newest, oldest = request["models"]
    assert {file["url"] for file in newest["files"]}.isdisjoint(file["url"] for file in oldest["files"])
    assert newest["printReport"]["widthMm"] == pytest.approx(42, abs=0.5)


async def test_a_failed_model_gives_the_choice_back(client: Client) -> None:
    request_id, events = await awaiting(client, "no model model-fail")
    await client.select(request_id, 0)
    after = await client.follow(request_id, AWAITING, after=events[-1]["sequence"])
    assert names(after)[-2:] == ["model:failed", "task:updated"]
    request = await client.request(request_id)
    assert (request["status"], request["phase"]) == ("MODEL_FAILED", "AWAITING_SELECTION")
    assert request["models"][0]["failure"]["code"] == "PROVIDER_REJECTED"
    assert (await client.select(request_id, 1))["userErrors"] == []


async def test_a_submit_with_unknown_outcome_is_not_repeated(client: Client) -> None:
    request_id, events = await awaiting(client, "vague model-vague")
    await client.select(request_id, 0)
    await client.follow(request_id, AWAITING, after=events[-1]["sequence"])
    [model] = (await client.request(request_id))["models"]
    assert model["failure"]["code"] == "OUTCOME_UNKNOWN"
    assert len([call for call in client.program.calls("submit") if call["prompt"].startswith("vague")]) == 1


async def test_a_result_that_is_no_mesh_is_bad_output(client: Client) -> None:
    request_id, events = await awaiting(client, "no mesh model-no-mesh")
    await client.select(request_id, 0)
    await client.follow(request_id, AWAITING, after=events[-1]["sequence"])
    [model] = (await client.request(request_id))["models"]
    assert (model["failure"]["code"], model["files"]) == ("BAD_OUTPUT", [])


async def test_cancel_while_images_are_drawn(client: Client) -> None:
    request_id = await client.created("cancelled early delay:1=30 delay:2=30")
    await client.follow(request_id, lambda event: event["name"] == "image:completed" and event["index"] == 3)
    request = (await client.cancel(request_id))["request"]
    assert (request["status"], request["phase"]) == ("CANCELLED", "CANCELLED")
    assert [image["imageStatus"] for image in request["images"]].count("CANCELLED") >= 2
    events = await client.follow(request_id, in_phase("CANCELLED"))
    assert_whole(events)
    assert (await client.cancel(request_id))["userErrors"][0]["code"] == "REQUEST_CANCELLED"
    assert (await client.select(request_id, 3))["userErrors"][0]["code"] == "REQUEST_CANCELLED"
    assert (await client.retry(request["images"][1]["id"]))["userErrors"][0]["code"] == "REQUEST_CANCELLED"


async def test_cancel_while_awaiting_a_selection(client: Client) -> None:
    request_id, _ = await awaiting(client, "cancelled in between")
    assert (await client.cancel(request_id))["request"]["phase"] == "CANCELLED"


async def test_cancel_while_the_model_is_made(client: Client) -> None:
    request_id, _ = await awaiting(client, "cancelled late model-delay=30")
    await client.select(request_id, 0)
    await client.follow(request_id, lambda event: event["name"] == "model:progress")
    request = (await client.cancel(request_id))["request"]
    assert (request["phase"], request["models"][0]["status"]) == ("CANCELLED", "CANCELLED")
    events = await client.follow(request_id, in_phase("CANCELLED"))
    assert_whole(events)


async def test_a_finished_request_cannot_be_cancelled(client: Client) -> None:
    request_id, _ = await finished(client, "finished")
    assert (await client.cancel(request_id))["userErrors"][0]["code"] == "ALREADY_FINISHED"


async def test_delete_takes_everything_away(client: Client) -> None:
    request_id, _ = await finished(client, "deleted")
    request = await client.request(request_id)
    urls = [image["imageUrl"] for image in request["images"]] + [file["url"] for file in request["models"][0]["files"]]
    async with client.http.stream("GET", request["eventsUrl"]) as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        assert (await client.delete(request_id))["deletedRequestId"] == request_id
        async with asyncio.timeout(10):
            assert [line async for line in lines][-1] == ""
    assert await client.request(request_id) is None
    assert (await client.data("query($id: ID!) { node(id: $id) { id } }", id=request["models"][0]["id"]))[
        "node"
    ] is None
    for url in urls:
        assert (await client.http.get(url)).status_code == 404
    assert not list((client.program.folder / "files").glob(f"requests/{request_id}/**/*"))
    assert (await client.delete(request_id))["userErrors"][0]["code"] == "NOT_FOUND"
    assert (await client.http.get(request["eventsUrl"])).status_code == 404


async def test_resume_by_cursor_on_every_transport(client: Client) -> None:
    request_id, events = await finished(client, "resumed")
    whole = await client.follow(request_id, COMPLETED)
    assert whole == events
    later = await client.follow(request_id, COMPLETED, after=7)
    assert later == events[7:]
    path = f"/requests/{request_id}/events"
    by_header = await client.sse(path, COMPLETED, headers={"Last-Event-ID": "7"})
    assert [event["sequence"] for event in by_header] == [event["sequence"] for event in later]
    assert [event["id"] for event in by_header] == [str(event["sequence"]) for event in later]
    assert await client.sse(f"{path}?after=7", COMPLETED) == by_header
    assert_whole(await client.sse(path, COMPLETED))
    for cursor in ("seven", "-1", "1.5", "9" * 30):
        assert (await client.http.get(path, headers={"Last-Event-ID": cursor})).status_code == 400


async def test_sse_tells_the_same_as_graphql(client: Client) -> None:
    request_id, events = await finished(client, "the same")
    told = await client.sse(f"/requests/{request_id}/events", COMPLETED)
    for event, other in zip(events, told, strict=True):
        assert {key: value for key, value in event.items() if key not in ("__typename", "id")} == {
            key: value for key, value in other.items() if key != "id"
        }


async def test_the_feed_of_all_requests(client: Client) -> None:
    seen: dict[str, list[dict[str, Any]]] = {}

    def both_await(event: dict[str, Any]) -> bool:
        assert event["id"] is None, "the numbers of many requests are no cursor"
        seen.setdefault(event["requestId"], []).append(event)
        return len(seen) == 2 and all(AWAITING(events[-1]) for events in seen.values())

    async def create_both() -> None:
        await client.created("feed one")
        await client.created("feed two")

    await client.sse("/events", both_await, opened=create_both)
    for events in seen.values():
        assert_whole(events)


async def test_a_key_makes_one_request(client: Client) -> None:
    answers = await asyncio.gather(*(client.create("once", idempotencyKey="key 1") for _ in range(6)))
    assert len({answer["request"]["id"] for answer in answers}) == 1
    other = await client.create("something else", idempotencyKey="key 1")
    assert (other["request"], other["userErrors"][0]["code"]) == (None, "IDEMPOTENCY_CONFLICT")
    assert (await client.create("once", idempotencyKey="key 1 "))["request"]["id"] != answers[0]["request"]["id"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   \n"}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"prompt": "\u200b\u3164"}, "prompt"),
        ({"prompt": "x", "idempotencyKey": ""}, "idempotencyKey"),
        ({"prompt": "x", "idempotencyKey": "k" * 129}, "idempotencyKey"),
    ],
)
async def test_bad_input_is_named(client: Client, given: dict[str, Any], field: str) -> None:
    payload = await client.create(**given)
    assert payload["request"] is None
    [error] = payload["userErrors"]
    assert (error["code"], error["field"]) == ("INVALID_INPUT", ["input", field])


@pytest.mark.parametrize(
    "given", [{"index": 4}, {"index": -1}, {"index": 0, "sizeMm": 0.5}, {"index": 0, "sizeMm": 2001}]
)
async def test_bad_selections_are_named(client: Client, given: dict[str, Any]) -> None:
    request_id, _ = await awaiting(client, "bad selections")
    [error] = (await client.select(request_id, **given))["userErrors"]
    assert error["code"] == "INVALID_INPUT"


async def test_a_subscription_to_nothing_is_not_found(client: Client) -> None:
    async with client.socket() as socket:
        query = 'subscription { requestEvents(requestId: "req_nothing") { id } }'
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        message = json.loads(await socket.recv())
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "NOT_FOUND"
