"""The running worker with a bucket that is public: pictures by URL, and nothing left of what failed."""

from __future__ import annotations

import hashlib
import os
import re

import httpx
import pytest

from db.records import decode_failure
from events.outcome import FailureCode as F
from events.types import ModelCompleted
from tests.servers import Moto
from tests.standins.server import running
from tests.standins.tencent import SECRET_ID, SECRET_KEY, Script, TencentStandIn
from tests.standins.things import picture
from tests.working import MADE, bench, kinds

SUBMIT = "SubmitHunyuanTo3DProJob"
# A name that looks public and that nobody resolves, so that the service cannot fetch from it.
PUBLIC = "http://files.example.invalid"


@pytest.fixture(scope="module")
def service():
    standin = TencentStandIn()
    with running(standin.app) as url:
        standin.url = url
        yield standin


@pytest.fixture(scope="module")
def bucket(moto):
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in Moto.environment.items():
            patch.setenv(name, value)
        yield moto.new_bucket()


@pytest.fixture(scope="module")
def worker(service, moto, bucket, tmp_path_factory):
    s3 = {"s3_bucket": bucket, "s3_endpoint_url": moto.url, "s3_public_url": PUBLIC}
    keys = {"tencentcloud_secret_id": SECRET_ID, "tencentcloud_secret_key": SECRET_KEY}
    folder = tmp_path_factory.mktemp("bucket")
    with bench(folder, model_provider="tencent", tencentcloud_endpoint=service.url, **keys, **s3) as made:
        yield made


@pytest.fixture(autouse=True)
def reset(service):
    service.reset()


def stored(moto, bucket, request_id):
    listing = httpx.get(f"{moto.url}/{bucket}?list-type=2&prefix=requests/{request_id}/").text
    return [key.rpartition("/")[2] for key in re.findall("<Key>([^<]+)</Key>", listing)]


async def test_a_picture_goes_by_its_url(worker, service):
    service.script = Script(timeline=["DONE"])
    request_id, _ = await worker.make(picture(seed=1))
    assert kinds(await worker.ended(request_id, MADE))[ModelCompleted] == 1
    (job,) = service.jobs.values()
    assert job.params["ImageUrl"].startswith(f"{PUBLIC}/requests/{request_id}/")


async def test_a_picture_that_cannot_be_fetched_is_sent_along_at_once(worker, service):
    """The service refuses the job for the URL, and the same attempt asks once more with base64."""
    service.script = Script(timeline=["DONE"], download=True)
    request_id, job_id = await worker.make(picture(seed=2))
    assert kinds(await worker.ended(request_id, MADE))[ModelCompleted] == 1
    assert service.refusals == {"FailedOperation.ImageDownloadError": 1}
    assert service.app.arrivals[SUBMIT] == 2
    assert service.submits == {hashlib.sha256(picture(seed=2)).hexdigest(): 1}
    assert (await worker.job(job_id)).attempts == 1


@pytest.mark.parametrize("name", ["page.html", "broken.glb"])
async def test_of_what_is_no_mesh_nothing_is_stored(worker, service, moto, bucket, name):
    service.script = Script(timeline=["DONE"], results=[("GLB", name)])
    request_id, job_id = await worker.make(picture())
    await worker.ended(request_id, MADE)
    job = await worker.job(job_id)
    assert (decode_failure(job.failure).code, job.attempts) == (F.BAD_OUTPUT, 1)
    assert stored(moto, bucket, request_id) == [await worker.picture(request_id)]


async def test_a_job_that_fails_for_the_url_is_submitted_anew_with_the_picture(worker, service):
    """Last, as the provider remembers that its URLs do not work."""
    service.script = Script(timeline=["FAIL"], fail_code="FailedOperation.DownloadError")
    request_id, _ = await worker.make(picture(seed=3))
    await worker.ended(request_id, MADE)
    first, *others = service.jobs.values()
    assert "ImageUrl" in first.params
    assert [set(job.params) & {"ImageUrl", "ImageBase64"} for job in others] == [{"ImageBase64"}] * 2
