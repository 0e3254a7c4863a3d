"""The Tencent adapters with the SDK's own client over real HTTP, against a stand-in that checks signatures."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import random
import warnings
from contextlib import asynccontextmanager

import pytest
from PIL import Image
from tencentcloud.ai3d.v20250513 import models as ai3d
from tencentcloud.aiart.v20221229 import models as aiart

from events.outcome import FailureCode
from providers.fetch import fetch
from providers.images.tencent import TencentImages
from providers.media import MESHES, PICTURES
from providers.models.tencent import TencentModels
from providers.protocol import PollState, ProviderError, SourceImage
from settings import Settings
from tests.standins.faults import HTML, Fault
from tests.standins.server import running
from tests.standins.tencent import SECRET_ID, SECRET_KEY, Script, TencentStandIn
from tests.standins.tencent_rows import ROWS
from tests.standins.things import picture

F = FailureCode
SOURCE = SourceImage(picture(), "image/png")
PUBLIC = SourceImage(picture(), "image/png", "https://files.example.com/a.png")
SUBMIT, QUERY = "SubmitHunyuanTo3DProJob", "QueryHunyuanTo3DProJob"


@pytest.fixture(scope="module")
def served():
    standin = TencentStandIn()
    with running(standin.app) as url:
        standin.url = url
        yield standin


@pytest.fixture
def service(served):
    served.script = Script()
    served.fail()
    served.reset()
    return served


def settings(service, **changes):
    values = {
        "tencentcloud_endpoint": service.url,
        "tencentcloud_secret_id": SECRET_ID,
        "tencentcloud_secret_key": SECRET_KEY,
    }
    return Settings(_env_file=None, **(values | changes))


@asynccontextmanager
async def made(kind, service, **changes):
    provider = kind(settings(service, **changes))
    try:
        yield provider
    finally:
        await provider.aclose()


async def failure_of(awaitable):
    with pytest.raises(ProviderError) as caught:
        await awaitable
    return caught.value


async def polled(models, job_id):
    """All states up to the end."""
    polls = [await models.poll(job_id)]
    while polls[-1].state is not PollState.DONE:
        polls.append(await models.poll(job_id))
    return polls


def params(service, number=-1):
    return list(service.jobs.values())[number].params


# Submitting


async def test_a_job_from_submit_to_its_files(service, tmp_path):
    async with made(TencentModels, service) as models:
        polls = await polled(models, await models.submit(SOURCE))
        (file,) = polls[-1].files
        options = {"allowed_types": MESHES, "trusted_hosts": models.trusted_hosts}
        fetched = await fetch(file.url, tmp_path / "m", limit_bytes=1 << 20, timeout=5, **options)
    assert [poll.state for poll in polls] == [PollState.WAITING, PollState.RUNNING, PollState.DONE]
    assert [poll.progress for poll in polls] == [None, None, 100]
    assert (file.format, fetched.media_type) == ("GLB", "model/gltf-binary")
    assert "preview.png" in polls[-1].preview.url
    assert params(service) == {
        "Model": "3.0",
        "GenerateType": "Geometry",
        "ImageBase64": params(service)["ImageBase64"],
    }
    assert service.submits.total() == 1


async def test_the_settings_are_sent(service):
    changes = {"tencent_generate_type": "Normal", "tencent_face_count": 40_000, "tencent_model_version": "3.1"}
    async with made(TencentModels, service, **changes) as models:
        await models.submit(PUBLIC)
        assert models.max_concurrent == 3
    url = "https://files.example.com/a.png"
    assert params(service) == {"Model": "3.1", "GenerateType": "Normal", "FaceCount": 40_000, "ImageUrl": url}


async def test_the_rapid_edition(service):
    async with made(TencentModels, service, tencent_model_edition="rapid") as models:
        job_id = await models.submit(PUBLIC)
        assert models.max_concurrent == 1
        assert (await polled(models, job_id))[-1].files
    assert params(service) == {"EnableGeometry": True, "ImageUrl": PUBLIC.url}


async def test_another_process_asks_after_the_job_even_with_another_edition_set(service):
    async with made(TencentModels, service) as models:
        job_id = await models.submit(SOURCE)
    async with made(TencentModels, service, tencent_model_edition="rapid") as models:
        assert (await polled(models, job_id))[-1].files
    assert service.submits.total() == 1


async def test_a_picture_that_its_url_does_not_suit_is_sent_along_and_fitted(service):
    noise = Image.frombytes("RGB", (1800, 1800), random.Random(1).randbytes(1800 * 1800 * 3))
    content = io.BytesIO()
    noise.save(content, "PNG")
    large = content.getvalue()
    assert len(large) > 8_000_000
    async with made(TencentModels, service) as models:
        await models.submit(SourceImage(large, "image/png", "https://files.example.com/large.png"))
        await models.submit(
            SourceImage(picture(width=64, height=64), "image/png", "https://files.example.com/small.png")
        )
    assert "ImageBase64" in params(service, 0)
    assert "ImageBase64" in params(service, 1)


@pytest.mark.parametrize("url", [None, "https://files.example.com/large.png"])
async def test_a_picture_that_base64_makes_too_large_is_fitted(service, url):
    noise = Image.frombytes("RGB", (1300, 1300), random.Random(1).randbytes(1300 * 1300 * 3))
    content = io.BytesIO()
    noise.save(content, "PNG")
    assert 4_500_000 < len(content.getvalue()) < 6_000_000
    service.fail(*[Fault("error", SUBMIT, code="FailedOperation.DownloadError")] if url else ())
    async with made(TencentModels, service) as models:
        await models.submit(SourceImage(content.getvalue(), "image/png", url))
    assert service.submits.total() == 1


@pytest.mark.parametrize("code", ["FailedOperation.ImageDownloadError", "FailedOperation.DownloadError"])
async def test_a_url_that_the_service_cannot_fetch_is_sent_along_instead(service, code):
    service.fail(Fault("error", SUBMIT, code=code))
    async with made(TencentModels, service) as models:
        await models.submit(PUBLIC)
    assert "ImageBase64" in params(service)
    assert service.app.arrivals[SUBMIT] == 2
    assert service.submits.total() == 1


async def test_a_url_that_really_cannot_be_fetched(service):
    service.script.download = True
    with running(TencentStandIn().app) as gone:
        pass
    async with made(TencentModels, service) as models:
        await models.submit(SourceImage(picture(), "image/png", gone + "/files/a.png"))
        await models.submit(SourceImage(picture(), "image/png", service.url + "/files/a.png"))
    assert ["ImageBase64" in params(service, number) for number in (0, 1)] == [True, False]


async def test_a_job_that_failed_for_its_url_sends_the_picture_along_next_time(service):
    service.script = Script(timeline=["FAIL"], fail_code="FailedOperation.ImageDownloadError")
    async with made(TencentModels, service) as models:
        error = await failure_of(models.poll(await models.submit(PUBLIC)))
        assert (error.failure.retryable, error.job_ended) == (True, True)
        await models.submit(PUBLIC)
    assert ["ImageUrl" in params(service, number) for number in (0, 1)] == [True, False]


async def test_a_second_download_error_is_not_tried_for_ever(service):
    service.fail(Fault("error", SUBMIT, code="FailedOperation.ImageDownloadError", times=9))
    async with made(TencentModels, service) as models:
        error = await failure_of(models.submit(PUBLIC))
    assert error.failure.code is F.PROVIDER_UNAVAILABLE
    assert service.app.arrivals[SUBMIT] == 2


async def test_what_is_sent_is_what_the_sdk_knows(service):
    """Its request classes warn of a parameter that they do not know."""
    async with made(TencentModels, service, tencent_face_count=5000) as models:
        await models.submit(PUBLIC)
    async with made(TencentModels, service, tencent_model_edition="rapid") as models:
        await models.submit(PUBLIC)
    service.script.timeline = ["DONE"]
    async with made(TencentImages, service, tencent_image_action="SubmitTextToImageProJob") as images:
        await images.submit("a fox", 0)
    classes = [
        ai3d.SubmitHunyuanTo3DProJobRequest,
        ai3d.SubmitHunyuanTo3DRapidJobRequest,
        aiart.SubmitTextToImageProJobRequest,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, kind in enumerate(classes):
            kind()._deserialize(params(service, number))
        with pytest.raises(UserWarning):
            classes[0]()._deserialize({"Unknown": 1})


# Errors


@pytest.mark.parametrize(("code", "expected", "retryable"), ROWS)
async def test_each_error_code_at_submit(service, code, expected, retryable):
    service.fail(Fault("error", SUBMIT, code=code))
    async with made(TencentModels, service) as models:
        error = await failure_of(models.submit(SOURCE))
    assert (error.failure.code, error.failure.retryable) == (expected, retryable)
    assert (error.failure.provider_code, error.failure.provider_request_id) == (code, "req-scripted")
    assert service.submits.total() == 0


@pytest.mark.parametrize(("code", "expected", "retryable"), ROWS)
async def test_each_error_code_at_query_and_as_the_end_of_a_job(service, code, expected, retryable):
    service.script = Script(timeline=["FAIL"], fail_code=code)
    async with made(TencentModels, service) as models:
        job_id = await models.submit(SOURCE)
        service.fail(Fault("error", QUERY, code=code))
        asked = await failure_of(models.poll(job_id))
        ended = await failure_of(models.poll(job_id))
    for error in (asked, ended):
        assert (error.failure.code, error.failure.retryable, error.failure.provider_code) == (expected, retryable, code)
    assert ended.job_ended
    assert asked.job_ended == (code == "FailedOperation.JobNotExist")


def answered(**response):
    return Fault("answer", headers={"content-type": "application/json"}, body=json.dumps({"Response": response}))


@pytest.mark.parametrize("error", [{"Error": None}, {"Error": {}}, {"Error": "none"}, {}], ids=str)
@pytest.mark.parametrize("job_id", ["1300000007", 1300000007])
async def test_a_job_that_is_named_is_not_lost(service, job_id, error):
    service.fail(answered(JobId=job_id, RequestId="a", **error))
    async with made(TencentModels, service) as models:
        assert await models.submit(SOURCE) == "pro/1300000007"


@pytest.mark.parametrize("request_id", [None, 7, ["a"], {"a": 1}], ids=str)
async def test_a_request_id_that_is_no_text_is_not_passed_on(service, request_id):
    service.fail(
        answered(Error={"Code": "InvalidParameter", "Message": "no"}, RequestId=request_id),
        answered(Status="DONE", ResultFile3Ds=[], RequestId=request_id),
        answered(Status="FAIL", ErrorCode="InvalidParameter", RequestId=request_id),
        answered(Status="??", RequestId=request_id),
    )
    async with made(TencentModels, service) as models:
        errors = [await failure_of(models.submit(SOURCE))]
        errors += [await failure_of(models.poll("pro/1")) for _ in range(3)]
    assert [error.failure.code for error in errors] == [
        *(F.PROVIDER_REJECTED, F.BAD_OUTPUT, F.PROVIDER_REJECTED, F.PROVIDER_UNAVAILABLE)
    ]
    assert [error.failure.provider_request_id for error in errors] == [None] * 4


async def test_what_the_service_names_is_shown_short(service):
    service.fail(answered(Error={"Code": "A" * 9000, "Message": "no"}, RequestId="b" * 9000))
    async with made(TencentModels, service) as models:
        error = await failure_of(models.poll("pro/1"))
    assert len(str(error)) < 500
    assert (len(error.failure.provider_code), len(error.failure.provider_request_id)) == (100, 100)


async def test_a_charset_in_the_content_type_hides_no_error(service):
    """The SDK's own classes make an empty answer of it."""
    service.script.limits["Pro"] = 0
    service.fail(Fault("charset", SUBMIT))
    async with made(TencentModels, service) as models:
        error = await failure_of(models.submit(SOURCE))
    assert error.failure.code is F.PROVIDER_BUSY
    assert error.failure.provider_request_id


async def test_too_many_jobs_at_once_is_busy(service):
    async with made(TencentModels, service, tencent_model_edition="rapid") as models:
        job_id = await models.submit(SOURCE)
        assert (await failure_of(models.submit(SOURCE))).failure.code is F.PROVIDER_BUSY
        await polled(models, job_id)
        await models.submit(SOURCE)
    assert service.most_running["Rapid"] == 1


async def test_a_wrong_key_and_a_wrong_id(service, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = {"tencentcloud_secret_key": "wrong-secret-key"}, {"tencentcloud_secret_id": "AKIDwrong"}
    for changes, code in zip(wrong, ["SignatureFailure", "SecretIdNotFound"], strict=True):
        async with made(TencentModels, service, **changes) as models:
            error = await failure_of(models.submit(SOURCE))
            (secret,) = changes.values()
            shown = f"{error} {error!r} {error.failure} {models!r} {vars(models)} {settings(service, **changes)!r}"
            assert secret not in shown + caplog.text
        assert (error.failure.code, error.failure.retryable) == (F.PROVIDER_MISCONFIGURED, False)
        assert error.failure.provider_code == f"AuthFailure.{code}"
        assert error.__context__ is None


async def test_a_job_that_nobody_knows_has_ended(service):
    async with made(TencentModels, service) as models:
        for job_id in ("pro/1", "rapid/1", "local-7", ""):
            error = await failure_of(models.poll(job_id))
            assert (error.failure.code, error.failure.retryable, error.job_ended) == (F.PROVIDER_REJECTED, False, True)


# The network


UNKNOWN = [
    (Fault("drop_before", SUBMIT), 0),
    (Fault("drop_after", SUBMIT), 1),
    (Fault("drop_halfway", SUBMIT), 1),
    (Fault("hang", SUBMIT), 0),
    (Fault("answer", SUBMIT, headers=HTML.headers, body=HTML.body), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body="{"), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body="[]"), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {}}'), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {"JobId": true}}'), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {"JobId": [7]}}'), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {"JobId": 0}}'), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {"Error": null}}'), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {"Error": {}}}'), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "text/event-stream"}, body="data: {}\n\n"), 0),
    (Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body=" " * (2 << 20)), 0),
    (Fault("padded", SUBMIT, body=" " * (2 << 20)), 1),
    (Fault("padded", SUBMIT, body=" " * (2 << 20), headers={"content-encoding": "gzip"}), 1),
    (Fault("answer", SUBMIT, body="nothing"), 0),
    (Fault("answer", SUBMIT, status=502, body="<html>"), 0),
    (Fault("answer", SUBMIT, status=503), 0),
]


@pytest.mark.parametrize(("fault", "accepted"), UNKNOWN)
async def test_a_submit_without_a_clear_answer_is_unknown_and_not_repeated(service, fault, accepted):
    service.fail(fault)
    async with made(TencentModels, service, tencent_timeout_seconds=0.4 if fault.kind == "hang" else 10) as models:
        error = await failure_of(models.submit(PUBLIC))
    assert (error.failure.code, error.failure.retryable) == (F.OUTCOME_UNKNOWN, False), error.failure.message
    assert service.submits.total() == accepted
    assert service.app.arrivals[SUBMIT] == 1


async def test_a_submit_that_cannot_be_sent_is_tried_again(service):
    with running(TencentStandIn().app) as gone:
        pass
    async with made(TencentModels, service, tencentcloud_endpoint=gone) as models:
        error = await failure_of(models.submit(SOURCE))
    assert (error.failure.code, error.failure.retryable) == (F.PROVIDER_UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("status", "code"), [(302, F.PROVIDER_MISCONFIGURED), (404, F.PROVIDER_MISCONFIGURED), (429, F.PROVIDER_BUSY)]
)
async def test_an_endpoint_that_refuses_has_started_nothing(service, status, code):
    service.fail(Fault("answer", SUBMIT, status=status, headers={"retry-after": "3"}))
    async with made(TencentModels, service) as models:
        error = await failure_of(models.submit(SOURCE))
    assert error.failure.code is code
    assert error.retry_after == (3 if status == 429 else None)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop_before", QUERY),
        Fault("drop_after", QUERY),
        Fault("drop_halfway", QUERY),
        Fault("hang", QUERY),
        Fault("answer", QUERY, headers=HTML.headers, body=HTML.body),
        Fault("answer", QUERY, headers={"content-type": "application/json"}, body="{"),
        Fault("answer", QUERY, headers={"content-type": "application/json"}, body='{"Response": {"Status": "??"}}'),
        Fault("answer", QUERY, status=502),
    ],
)
async def test_a_query_that_goes_wrong_is_asked_again_for_the_same_job(service, fault):
    service.fail(fault)
    async with made(TencentModels, service, tencent_timeout_seconds=0.4 if fault.kind == "hang" else 10) as models:
        job_id = await models.submit(SOURCE)
        error = await failure_of(models.poll(job_id))
        assert (error.failure.code, error.failure.retryable) == (F.PROVIDER_UNAVAILABLE, True)
        assert not error.job_ended
        assert (await polled(models, job_id))[-1].files
    assert service.submits.total() == 1


@pytest.mark.parametrize("kind", ["trickle_head", "trickle_body"])
async def test_an_answer_that_never_ends_is_not_waited_for(service, kind):
    service.fail(Fault(kind, QUERY, seconds=0.1), Fault(kind, SUBMIT, seconds=0.1))
    async with made(TencentModels, service, tencent_timeout_seconds=0.4) as models, asyncio.timeout(10):
        assert (await failure_of(models.poll("pro/1"))).failure.code is F.PROVIDER_UNAVAILABLE
        assert (await failure_of(models.submit(SOURCE))).failure.code is F.OUTCOME_UNKNOWN
    assert service.app.arrivals[SUBMIT] == 1


async def test_an_answer_that_comes_packed_or_without_a_length_is_understood(service):
    service.fail(Fault("padded", SUBMIT, headers={"content-encoding": "gzip"}), Fault("padded", QUERY, body=" " * 9000))
    async with made(TencentModels, service) as models:
        assert (await models.poll(await models.submit(SOURCE))).state is PollState.WAITING


async def test_a_slow_answer_is_waited_for(service):
    service.fail(Fault("slow", SUBMIT, seconds=0.4))
    async with made(TencentModels, service) as models:
        assert await models.submit(SOURCE)


async def test_a_cancelled_submit_is_sent_once(service):
    service.fail(Fault("hang", SUBMIT))
    service.app.arrived.clear()
    async with made(TencentModels, service) as models:
        submit = asyncio.create_task(models.submit(SOURCE))
        assert await asyncio.to_thread(service.app.arrived.wait, 10)
        submit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submit
    assert service.app.arrivals[SUBMIT] == 1


async def test_no_more_than_twenty_calls_a_second_of_an_action(service):
    service.script.timeline = ["RUN"]
    async with made(TencentModels, service) as models:
        job_id = await models.submit(SOURCE)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.gather(*(models.poll(job_id) for _ in range(30)))
        assert loop.time() - start >= 29 / 20 - 0.01


# Results


@pytest.mark.parametrize(
    ("results", "formats"),
    [
        ([("OBJ", "box.zip"), ("GLB", "box.glb")], ["GLB", "OBJ"]),
        ([("STL", "box.stl"), ("obj", "box.zip")], ["OBJ", "STL"]),
        ([("GIF", "turn.gif"), ("ZIP", "box.zip"), ("IMAGE", "picture.png")], ["ZIP"]),
    ],
)
async def test_files_are_chosen_by_type_best_first(service, results, formats):
    service.script = Script(timeline=["DONE"], results=results)
    async with made(TencentModels, service) as models:
        poll = await models.poll(await models.submit(SOURCE))
    assert [file.format for file in poll.files] == formats
    assert poll.preview.format == "IMAGE"


async def test_a_picture_among_the_files_is_the_preview(service):
    service.script = Script(timeline=["DONE"], results=[("GLB", "box.glb"), ("PNG", "a.png")], preview="")
    async with made(TencentModels, service) as models:
        poll = await models.poll(await models.submit(SOURCE))
    assert poll.preview.format == "PNG"


@pytest.mark.parametrize("results", [[], [("GIF", "turn.gif")], [("", "box.glb")]])
async def test_a_job_without_a_usable_file(service, results):
    service.script = Script(timeline=["DONE"], results=results)
    async with made(TencentModels, service) as models:
        error = await failure_of(models.poll(await models.submit(SOURCE)))
    assert (error.failure.code, error.failure.retryable, error.job_ended) == (F.BAD_OUTPUT, False, True)


@pytest.mark.parametrize("name", ["page.html", "noise.bin"])
async def test_a_file_that_is_no_mesh_is_not_kept(service, name, tmp_path):
    service.script = Script(timeline=["DONE"], results=[("GLB", name)])
    async with made(TencentModels, service) as models:
        poll = await models.poll(await models.submit(SOURCE))
        options = {"allowed_types": MESHES, "trusted_hosts": models.trusted_hosts}
        error = await failure_of(fetch(poll.files[0].url, tmp_path / "m", limit_bytes=1 << 20, timeout=5, **options))
    assert error.failure.code is F.BAD_OUTPUT
    assert list(tmp_path.iterdir()) == []


def test_without_an_endpoint_of_ones_own_no_host_is_trusted(service):
    assert TencentModels(settings(service, tencentcloud_endpoint=None)).trusted_hosts == frozenset()


# Pictures


@pytest.mark.parametrize(("action", "longest"), [("SubmitTextToImageJob", 1024), ("SubmitTextToImageProJob", 100)])
async def test_a_picture_by_either_action(service, action, longest):
    async with made(TencentImages, service, tencent_image_action=action) as images:
        job_id = await images.submit("狐" * 2000, 2)
        answers = [await images.poll(job_id) for _ in range(3)]
        assert images.max_concurrent == 1
        options = {"allowed_types": PICTURES, "trusted_hosts": images.trusted_hosts}
        fetched = await fetch(answers[-1].url, None, limit_bytes=1 << 20, timeout=5, **options)
    assert answers[:-1] == [None, None]
    assert fetched.content == picture()
    expected = {"Prompt": "狐" * longest, "Resolution": "1024:1024", "LogoAdd": 0, "Revise": 0}
    assert params(service) == expected | ({"Seed": 3} if longest == 1024 else {})
    assert service.submits.total() == 1


async def test_another_process_asks_after_a_picture_even_with_another_action_set(service):
    service.script.timeline = ["DONE"]
    async with made(TencentImages, service, tencent_image_action="SubmitTextToImageProJob") as images:
        job_id = await images.submit("a fox", 0)
    async with made(TencentImages, service) as images:
        assert (await images.poll(job_id)).url.startswith(service.url)
    assert service.submits.total() == 1


@pytest.mark.parametrize("fault", [Fault("drop_after"), Fault("error", code="InternalError")], ids=lambda it: it.kind)
async def test_asking_after_a_picture_may_be_tried_again(service, fault):
    service.script.timeline = ["DONE"]
    async with made(TencentImages, service) as images:
        job_id = await images.submit("a fox", 0)
        service.fail(Fault(**vars(fault)))
        error = await failure_of(images.poll(job_id))
        assert (error.failure.retryable, error.job_ended) == (True, False)
        assert (await images.poll(job_id)).url


@pytest.mark.parametrize("job_id", ["SubmitTextToImageJob/7", "pro/7", "7", ""])
async def test_a_picture_of_which_the_service_knows_nothing(service, job_id):
    async with made(TencentImages, service) as images:
        error = await failure_of(images.poll(job_id))
    assert (error.failure.retryable, error.job_ended) == (False, True)


async def test_a_job_that_is_done_without_a_picture_is_not_paid_again(service):
    async with made(TencentImages, service) as images:
        job_id = await images.submit("a fox", 0)
        done = json.dumps({"Response": {"JobStatusCode": "5", "ResultImage": [], "RequestId": "req-1"}})
        service.fail(Fault("answer", headers={"content-type": "application/json"}, body=done))
        error = await failure_of(images.poll(job_id))
    assert (error.failure.code, error.failure.retryable, error.job_ended) == (F.BAD_OUTPUT, False, True)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("OperationDenied.TextIllegalDetected", F.CONTENT_REJECTED),
        ("FailedOperation.InnerError", F.PROVIDER_UNAVAILABLE),
    ],
)
async def test_a_picture_that_fails(service, code, expected):
    service.script = Script(timeline=["FAIL"], fail_code=code)
    async with made(TencentImages, service) as images:
        error = await failure_of(images.poll(await images.submit("a fox", 0)))
    assert (error.failure.code, error.job_ended) == (expected, True)


async def test_a_picture_whose_submit_is_lost_is_unknown(service):
    service.fail(Fault("drop_after", "SubmitTextToImageJob"))
    async with made(TencentImages, service) as images:
        assert (await failure_of(images.submit("a fox", 0))).failure.code is F.OUTCOME_UNKNOWN


async def test_a_signed_url_and_the_keys_are_logged_nowhere(service, caplog):
    caplog.set_level(logging.DEBUG)
    service.script.timeline = ["DONE"]
    async with made(TencentImages, service) as images:
        url = (await images.poll(await images.submit("a fox", 0))).url
        options = {"allowed_types": PICTURES, "trusted_hosts": images.trusted_hosts}
        await fetch(url, None, limit_bytes=1 << 20, timeout=5, **options)
    assert SECRET_KEY not in caplog.text
    assert SECRET_ID not in caplog.text
    assert "q-signature" not in caplog.text
    assert base64.b64encode(picture()).decode()[:40] not in caplog.text
