"""What goes wrong at Tencent Cloud, through the running worker: the code, the attempts, and the event."""

from __future__ import annotations

from datetime import timedelta

import pytest

from db.records import decode_failure
from events.clock import utc_now
from events.outcome import FailureCode as F
from events.status import JobStatus
from events.types import ImageCompleted, ImageFailed, ImageGenerating, ModelCompleted, ModelFailed, ModelGenerating
from tasks.submit import REFUSED_POLLS
from tests.standins.faults import HTML, Fault
from tests.standins.server import running
from tests.standins.tencent import SECRET_ID, SECRET_KEY, Script, TencentStandIn
from tests.standins.tencent_rows import ROWS
from tests.standins.things import picture
from tests.working import DRAWN, MADE, bench, kinds

SUBMIT, QUERY = "SubmitHunyuanTo3DProJob", "QueryHunyuanTo3DProJob"
DRAW, ASK = "SubmitTextToImageJob", "QueryTextToImageJob"
ATTEMPTS = 3
ONE_OF_EACH = {meaning: (code, meaning, retryable) for code, meaning, retryable in ROWS}.values()


@pytest.fixture(scope="module")
def served():
    standin = TencentStandIn()
    with running(standin.app) as url:
        standin.url = url
        yield standin


@pytest.fixture(scope="module")
def worker(served, tmp_path_factory):
    services = {"image_provider": "tencent", "model_provider": "tencent", "tencentcloud_endpoint": served.url}
    keys = {"tencentcloud_secret_id": SECRET_ID, "tencentcloud_secret_key": SECRET_KEY}
    with bench(tmp_path_factory.mktemp("tencent"), **services, **keys, tencent_timeout_seconds=0.5) as made:
        yield made


@pytest.fixture
def service(served):
    served.script = Script()
    served.fail()
    served.reset()
    return served


async def assert_given_back(worker, request_id, job_id, code):
    """The provider is busy: the job waits, no attempt is used, and nobody is told of a failure."""
    job = await worker.given_back(job_id)
    assert decode_failure(job.failure).code is F.PROVIDER_BUSY
    assert decode_failure(job.failure).provider_code == code
    assert job.attempts == 0
    assert timedelta(seconds=2) < job.available_at - utc_now() < timedelta(seconds=7)
    assert {ModelFailed, ImageFailed}.isdisjoint(kinds(await worker.events(request_id)))
    await worker.cancel(request_id)


async def assert_failed(worker, request_id, job_id, code, meaning, attempts):
    """The model has failed for good, is told of once, and has left nothing behind."""
    events = await worker.ended(request_id, MADE)
    assert kinds(events)[ModelGenerating] == 1
    await assert_told(worker, request_id, job_id, code, meaning, attempts, events[-1])
    # What is stored is the picture that the model was to be made of.
    assert [path.name for path in worker.stored(request_id)] == [await worker.picture(request_id)]


async def assert_not_drawn(worker, request_id, job_id, code, meaning, attempts):
    events = await worker.ended(request_id, DRAWN)
    assert kinds(events)[ImageGenerating] == 1
    await assert_told(worker, request_id, job_id, code, meaning, attempts, events[-1])
    assert worker.stored(request_id) == []


async def assert_told(worker, request_id, job_id, code, meaning, attempts, event):
    job = await worker.job(job_id)
    failure = decode_failure(job.failure)
    assert (failure.code, failure.provider_code) == (meaning, code)
    assert (job.status, job.attempts) == (JobStatus.FAILED, attempts)
    assert decode_failure(await worker.failure(request_id)) == failure
    assert isinstance(event, (ModelFailed, ImageFailed))
    assert event.error_message == failure.message


# The table of error codes: each row where a job is submitted, one of each meaning elsewhere


@pytest.mark.parametrize(("code", "meaning", "retryable"), ROWS)
async def test_a_submit_that_is_refused(worker, service, code, meaning, retryable):
    service.fail(Fault("error", SUBMIT, times=ATTEMPTS, code=code))
    request_id, job_id = await worker.make(picture())
    if meaning is F.PROVIDER_BUSY:
        await assert_given_back(worker, request_id, job_id, code)
        attempts = 1
    else:
        attempts = ATTEMPTS if retryable else 1
        await assert_failed(worker, request_id, job_id, code, meaning, attempts)
    assert service.app.arrivals[SUBMIT] == attempts
    assert service.submits.total() == 0


@pytest.mark.parametrize(("code", "meaning", "retryable"), ONE_OF_EACH)
async def test_a_job_that_fails_at_the_provider(worker, service, code, meaning, retryable):
    service.script = Script(timeline=["FAIL"], fail_code=code)
    request_id, job_id = await worker.make(picture())
    if meaning is F.PROVIDER_BUSY:
        await assert_given_back(worker, request_id, job_id, code)
        attempts = 1
    else:
        attempts = ATTEMPTS if retryable else 1
        await assert_failed(worker, request_id, job_id, code, meaning, attempts)
    assert service.submits.total() == attempts, "only a job that has ended is submitted anew"


@pytest.mark.parametrize(("code", "meaning"), [(code, meaning) for code, meaning, again in ONE_OF_EACH if not again])
async def test_a_query_that_is_refused(worker, service, code, meaning):
    service.fail(Fault("error", QUERY, code=code, times=REFUSED_POLLS))
    request_id, job_id = await worker.make(picture())
    await assert_failed(worker, request_id, job_id, code, meaning, 1)
    assert service.submits.total() == 1


@pytest.mark.parametrize(("code", "meaning", "retryable"), ONE_OF_EACH)
async def test_a_picture_that_is_refused(worker, service, code, meaning, retryable):
    service.fail(Fault("error", DRAW, times=ATTEMPTS, code=code))
    request_id, job_id = await worker.draw()
    if meaning is F.PROVIDER_BUSY:
        await assert_given_back(worker, request_id, job_id, code)
        return
    attempts = ATTEMPTS if retryable else 1
    await assert_not_drawn(worker, request_id, job_id, code, meaning, attempts)
    assert service.app.arrivals[DRAW] == attempts


@pytest.mark.parametrize(("code", "meaning", "retryable"), ONE_OF_EACH)
async def test_a_picture_that_fails_at_the_provider(worker, service, code, meaning, retryable):
    service.script = Script(timeline=["FAIL"], fail_code=code)
    request_id, job_id = await worker.draw()
    if meaning is F.PROVIDER_BUSY:
        await assert_given_back(worker, request_id, job_id, code)
        return
    attempts = ATTEMPTS if retryable else 1
    await assert_not_drawn(worker, request_id, job_id, code, meaning, attempts)
    assert service.submits.total() == attempts, "only a job that has ended is submitted anew"


@pytest.mark.parametrize(("code", "meaning"), [(code, meaning) for code, meaning, again in ONE_OF_EACH if not again])
async def test_asking_after_a_picture_that_is_refused(worker, service, code, meaning):
    service.fail(Fault("error", ASK, code=code, times=REFUSED_POLLS))
    request_id, job_id = await worker.draw()
    await assert_not_drawn(worker, request_id, job_id, code, meaning, 1)
    assert service.submits.total() == 1


# Connections


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop_before", SUBMIT),
        Fault("drop_after", SUBMIT),
        Fault("drop_halfway", SUBMIT),
        Fault("hang", SUBMIT),
        Fault("answer", SUBMIT, status=502, body="<html>"),
        Fault("answer", SUBMIT, headers=HTML.headers, body=HTML.body),
        Fault("answer", SUBMIT, headers={"content-type": "application/json"}, body='{"Response": {}}'),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status} {fault.body}",
)
async def test_a_submit_without_a_clear_answer_is_not_repeated(worker, service, fault):
    service.fail(Fault(**vars(fault)))
    request_id, job_id = await worker.make(picture())
    await assert_failed(worker, request_id, job_id, None, F.OUTCOME_UNKNOWN, 1)
    assert service.app.arrivals[SUBMIT] == 1
    # Asking once more is the user's decision.
    service.fail(Fault("error", SUBMIT, code="InvalidParameter"))
    again = await worker.select(request_id)
    await worker.ended(request_id, MADE, count=2)
    assert (await worker.job(again)).attempts == 1
    assert service.app.arrivals[SUBMIT] == 2


async def test_a_picture_whose_submit_has_no_clear_answer_is_not_asked_for_again(worker, service):
    service.fail(Fault("drop_after", DRAW))
    request_id, job_id = await worker.draw()
    await assert_not_drawn(worker, request_id, job_id, None, F.OUTCOME_UNKNOWN, 1)
    assert service.submits.total() == 1
    # Asking once more is the user's decision. The lost job is still under way.
    service.script.limits["Image"] = 2
    await worker.redraw(request_id)
    events = await worker.ended(request_id, DRAWN, count=2)
    assert kinds(events)[ImageCompleted] == 1
    assert service.submits.total() == 2


async def test_whatever_comes_between_a_job_is_submitted_once(worker, service):
    """A picture and a model, each with every fault on its way that does not end it."""
    service.fail(
        Fault("drop_before", QUERY),
        Fault("hang", QUERY),
        Fault(**vars(HTML) | {"where": QUERY}),
        Fault("error", QUERY, code="RequestLimitExceeded"),
        Fault("slow", QUERY, seconds=0.2),
        Fault("charset", QUERY),
        Fault("slow", SUBMIT, seconds=0.2),
        Fault("drop_halfway", ASK),
        Fault("answer", ASK, status=500),
        Fault("error", ASK, code="InternalError"),
        Fault("slow", DRAW, seconds=0.2),
    )
    drawn, drawn_job = await worker.draw()
    made, made_job = await worker.make(picture())
    assert kinds(await worker.ended(drawn, DRAWN))[ImageCompleted] == 1
    events = await worker.ended(made, MADE)
    assert (kinds(events)[ModelGenerating], kinds(events)[ModelCompleted]) == (1, 1)
    assert (await worker.job(made_job)).attempts == (await worker.job(drawn_job)).attempts == 1
    assert sorted(service.submits.values()) == [1, 1]
    assert not [fault for fault in service.app.faults if fault.times]


async def test_a_busy_provider_is_asked_again_by_itself(worker, service):
    service.fail(Fault("error", SUBMIT, code="RequestLimitExceeded.JobNumExceed"))
    request_id, job_id = await worker.make(picture())
    events = await worker.ended(request_id, MADE)
    assert (kinds(events)[ModelGenerating], kinds(events)[ModelCompleted]) == (1, 1)
    assert (await worker.job(job_id)).attempts == 1
    assert (service.app.arrivals[SUBMIT], service.submits.total()) == (2, 1)


async def test_a_job_is_asked_after_more_and_more_seldom(worker, service):
    service.script = Script(job_seconds=3)
    request_id, _ = await worker.make(picture())
    assert kinds(await worker.ended(request_id, MADE))[ModelCompleted] == 1
    (job,) = service.jobs.values()
    assert job.queries < 10, "every 0.2 s, as at first, it would be 15"


async def test_a_picture_is_asked_after_more_and_more_seldom(worker, service):
    service.script = Script(job_seconds=5)
    request_id, _ = await worker.draw()
    assert kinds(await worker.ended(request_id, DRAWN))[ImageCompleted] == 1
    (job,) = service.jobs.values()
    assert job.queries < 8, "every 0.5 s, as at first, it would be 10"


async def test_a_download_that_breaks_is_tried_again_without_another_submit(worker, service):
    service.fail(Fault("drop_halfway", "file"), Fault("answer", "file", status=503))
    request_id, job_id = await worker.make(picture())
    events = await worker.ended(request_id, MADE)
    assert kinds(events)[ModelCompleted] == 1
    assert (await worker.job(job_id)).attempts == 3
    assert service.submits.total() == 1


async def test_a_picture_whose_download_breaks_is_not_drawn_again(worker, service):
    service.fail(Fault("drop_halfway", "file"), Fault("answer", "file", status=503))
    request_id, job_id = await worker.draw()
    assert kinds(await worker.ended(request_id, DRAWN))[ImageCompleted] == 1
    assert (await worker.job(job_id)).attempts == 1
    assert service.submits.total() == 1


async def test_a_provider_that_is_away_for_a_while(worker, service):
    service.fail(Fault("drop_before", QUERY, times=6))
    request_id, job_id = await worker.make(picture())
    events = await worker.ended(request_id, MADE)
    assert kinds(events)[ModelCompleted] == 1
    assert (await worker.job(job_id)).attempts == 1
    assert service.submits.total() == 1, "the job is asked after, never submitted again"


@pytest.mark.parametrize("times", [REFUSED_POLLS - 1, REFUSED_POLLS])
async def test_a_key_that_is_refused_while_the_job_goes_on(worker, service, times):
    service.fail(Fault("error", QUERY, code="AuthFailure.SignatureExpire", times=times))
    request_id, job_id = await worker.make(picture())
    if times < REFUSED_POLLS:
        assert kinds(await worker.ended(request_id, MADE))[ModelCompleted] == 1
    else:
        code = "AuthFailure.SignatureExpire"
        await assert_failed(worker, request_id, job_id, code, F.PROVIDER_MISCONFIGURED, 1)
    assert service.submits.total() == 1


# Results


@pytest.mark.parametrize(
    "results",
    [[("GLB", "page.html")], [("GLB", "noise.bin")], [("ZIP", "noise.bin")], [("MP4", "box.glb")], []],
    ids=str,
)
async def test_a_result_that_is_no_mesh(worker, service, results):
    service.script = Script(timeline=["DONE"], results=results)
    request_id, job_id = await worker.make(picture())
    await assert_failed(worker, request_id, job_id, None, F.BAD_OUTPUT, 1)
    assert service.submits.total() == 1


async def test_a_result_that_only_begins_as_a_mesh(worker, service):
    service.script = Script(timeline=["DONE"], results=[("GLB", "broken.glb")])
    request_id, job_id = await worker.make(picture())
    await assert_failed(worker, request_id, job_id, None, F.BAD_OUTPUT, 1)


async def test_a_preview_that_is_no_picture_costs_no_model(worker, service):
    service.script = Script(timeline=["DONE"], results=[("GLB", "box.glb")], preview="page.html")
    request_id, _ = await worker.make(picture())
    assert kinds(await worker.ended(request_id, MADE))[ModelCompleted] == 1
    assert service.calls["file"] == 2


async def test_a_picture_that_is_none(worker, service):
    service.script = Script(timeline=["DONE"], results=[("IMAGE", "page.html")])
    request_id, job_id = await worker.draw()
    await assert_not_drawn(worker, request_id, job_id, None, F.BAD_OUTPUT, 1)
