"""What goes wrong at an OpenAI-compatible service, through the running worker: the code, the attempts, the event."""

from __future__ import annotations

import pytest

from db.records import decode_failure
from events.outcome import FailureCode as F
from events.status import JobStatus
from events.types import ImageCompleted, ImageFailed, ImageGenerating
from tests.standins.faults import HTML, Fault
from tests.standins.openai import KEY, OpenAIStandIn, Script
from tests.standins.server import running
from tests.working import DRAWN, bench, kinds

ATTEMPTS = 3

ERRORS = [
    (400, "invalid_size", F.PROVIDER_REJECTED, False),
    (400, "moderation_blocked", F.CONTENT_REJECTED, False),
    (400, "content_policy_violation", F.CONTENT_REJECTED, False),
    (401, "invalid_api_key", F.PROVIDER_MISCONFIGURED, False),
    (402, "no_money", F.PROVIDER_MISCONFIGURED, False),
    (403, "forbidden", F.PROVIDER_MISCONFIGURED, False),
    (404, "model_not_found", F.PROVIDER_MISCONFIGURED, False),
    (422, "wrong", F.PROVIDER_REJECTED, False),
    (429, "insufficient_quota", F.PROVIDER_MISCONFIGURED, False),
    (451, "blocked", F.CONTENT_REJECTED, False),
    (408, "slow", F.PROVIDER_UNAVAILABLE, True),
    (500, "server_error", F.PROVIDER_UNAVAILABLE, True),
    (503, "overloaded", F.PROVIDER_UNAVAILABLE, True),
    (504, "timeout", F.PROVIDER_UNAVAILABLE, True),
]
FAULTS = [
    (Fault("drop_before"), F.PROVIDER_UNAVAILABLE),
    (Fault("drop_after"), F.PROVIDER_UNAVAILABLE),
    (Fault("drop_halfway"), F.PROVIDER_UNAVAILABLE),
    (HTML, F.PROVIDER_UNAVAILABLE),
    (Fault("answer", body='{"data": []}'), F.BAD_OUTPUT),
    (Fault("answer", body='{"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}'), F.BAD_OUTPUT),
]


@pytest.fixture(scope="module")
def served():
    standin = OpenAIStandIn()
    with running(standin.app) as url:
        standin.url = url
        yield standin


@pytest.fixture(scope="module")
def worker(served, tmp_path_factory):
    service = {"image_provider": "openai", "openai_base_url": f"{served.url}/v1", "openai_api_key": KEY}
    with bench(tmp_path_factory.mktemp("openai"), **service, image_timeout_seconds=2) as made:
        yield made


@pytest.fixture
def service(served):
    served.script = Script()
    served.fail()
    served.app.arrivals.clear()
    return served


async def assert_failed(worker, service, meaning, attempts, provider_code=None):
    request_id, job_id = await worker.draw()
    events = await worker.ended(request_id, DRAWN)
    assert (kinds(events)[ImageGenerating], kinds(events)[ImageFailed]) == (1, 1)
    job = await worker.job(job_id)
    failure = decode_failure(job.failure)
    assert (failure.code, failure.provider_code) == (meaning, provider_code)
    assert (job.status, job.attempts) == (JobStatus.FAILED, attempts)
    assert events[-1].error_message == failure.message
    assert service.app.arrivals["images"] == attempts
    assert worker.stored(request_id) == []


@pytest.mark.parametrize(("status", "code", "meaning", "retryable"), ERRORS)
async def test_each_error(worker, service, status, code, meaning, retryable):
    service.fail(Fault("error", "images", times=ATTEMPTS, status=status, code=code))
    await assert_failed(worker, service, meaning, ATTEMPTS if retryable else 1, code)


@pytest.mark.parametrize(("fault", "meaning"), FAULTS, ids=lambda value: getattr(value, "kind", None))
async def test_each_fault(worker, service, fault, meaning):
    service.fail(Fault(**vars(fault) | {"where": "images", "times": ATTEMPTS}))
    await assert_failed(worker, service, meaning, ATTEMPTS)


async def test_a_busy_service_is_waited_for(worker, service):
    service.fail(Fault("error", "images", status=429, code="rate_limit_exceeded", headers={"retry-after": "60"}))
    request_id, job_id = await worker.draw()
    job = await worker.given_back(job_id)
    assert (job.attempts, decode_failure(job.failure).code) == (0, F.PROVIDER_BUSY)
    assert ImageFailed not in kinds(await worker.events(request_id))
    await worker.cancel(request_id)


async def test_a_service_that_hangs_runs_into_the_deadline(worker, service):
    service.fail(Fault("hang", "images", times=1), Fault("error", "images", status=401, code="invalid_api_key"))
    request_id, job_id = await worker.draw()
    assert kinds(await worker.ended(request_id, DRAWN))[ImageFailed] == 1
    assert (await worker.job(job_id)).attempts == 2


async def test_what_passes_is_not_told_of(worker, service):
    service.script.delivery = "url"
    service.fail(
        Fault("drop_before", "images"), Fault("error", "images", status=500, code="oh"), Fault("drop_halfway", "file")
    )
    request_id, job_id = await worker.draw()
    events = await worker.ended(request_id, DRAWN)
    assert (kinds(events)[ImageGenerating], kinds(events)[ImageCompleted]) == (1, 1)
    assert (await worker.job(job_id)).attempts == ATTEMPTS
    assert len(worker.stored(request_id)) == 1
