"""Whatever users, workers and mishaps do to a request, in any order: what must always hold, holds.

A simple model of one request stands beside the database; after every step the two are compared.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from db import images, jobs, lost, models, requests
from db.images import Drawn, ImageClaim
from db.jobs import LeaseLost
from db.models import ModelClaim
from db.refusal import Refusal, Refused
from db.session import Database
from db.tables import generated_images, metadata
from db.tables import models as models_table
from events.clock import utc_now
from events.status import ImageStatus, JobStatus, ModelStage, ModelStatus, RequestPhase, RequestStatus
from events.types import (
    ImageCompleted,
    ImageFailed,
    ImageGenerating,
    ModelCompleted,
    ModelFailed,
    ModelGenerating,
    ModelProgress,
    RequestEvent,
    TaskUpdated,
)
from tests.rows import (
    FAILURE,
    IMAGE_JOBS,
    LEASE_SECONDS,
    MODEL_JOBS,
    TERMS,
    Told,
    create,
    expire,
    finish_model,
    history,
    request_of,
    row,
    rows,
    sqlite_url,
)

T = TypeVar("T")
indexes = st.integers(0, 3)
ENDED = (ImageStatus.COMPLETED, ImageStatus.FAILED, ImageStatus.CANCELLED)


class Lives(RuleBasedStateMachine):
    """One request from its creation to wherever the steps lead; claims are kept after they are stale."""

    @initialize()
    def created(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="maquette-lives-"))
        self.loop = asyncio.Runner()
        self.heard = Told()
        self.database = Database(sqlite_url(self.folder), self.heard.append)
        self.request_id, self.image_jobs = self.run(create(self.database))
        self.images = [ImageStatus.PENDING] * 4
        self.models: list[ModelStatus] = []
        self.model_jobs: list[str] = []
        self.chosen = self.cancelled = self.removed = False
        self.claims: dict[int, ImageClaim] = {}
        self.stale: list[ImageClaim] = []
        self.model_claim: ModelClaim | None = None
        self.stale_models: list[ModelClaim] = []
        self.progress = 0
        self.status = RequestStatus.IMAGE_PENDING
        self.age = 0

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(step)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.database.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)

    def refused(self, step: Coroutine[Any, Any, object]) -> Refusal | None:
        try:
            self.run(step)
        except Refused as error:
            return error.refusal
        return None

    def lost(self, step: Coroutine[Any, Any, object]) -> None:
        before = self.run(self.everything())
        with pytest.raises(LeaseLost):
            self.run(step)
        assert self.run(self.everything()) == before

    async def everything(self) -> list[object]:
        return [sorted(map(tuple, await rows(self.database, table)), key=repr) for table in metadata.sorted_tables]

    # What the model knows of the request's status

    @property
    def under_way(self) -> bool:
        return any(status not in ENDED for status in self.images)

    # Users

    @precondition(lambda self: not self.removed)
    @rule(index=indexes)
    def select(self, index: int) -> None:
        job: list[str] = []

        async def select() -> None:
            job.append((await models.select_image(self.database, "ann", self.request_id, index, 100, 0, 3))[2])

        refusal = self.refused(select())
        if self.cancelled:
            assert refusal is Refusal.REQUEST_CANCELLED
        elif self.models and self.models[-1] in (ModelStatus.PENDING, ModelStatus.GENERATING):
            assert refusal is Refusal.MODEL_IN_PROGRESS
        elif self.images[index] is not ImageStatus.COMPLETED:
            assert refusal is Refusal.IMAGE_NOT_READY
        else:
            assert refusal is None
            self.models.append(ModelStatus.PENDING)
            self.model_jobs += job
            self.chosen, self.progress = True, 0
            self.status = RequestStatus.MODEL_PENDING

    # Rules that go on, so that lives are long and have everything in them

    @precondition(lambda self: not self.removed and self.under_way)
    @rule(succeed=st.lists(st.booleans(), min_size=4, max_size=4))
    def end_all_images(self, succeed: list[bool]) -> None:
        for index in range(4):
            if self.images[index] not in ENDED:
                if index not in self.claims:
                    self.claim(index)
                self.end_image(index, succeeds=succeed[index])

    @precondition(lambda self: not self.removed and ImageStatus.COMPLETED in self.images)
    @rule()
    def select_a_good_one(self) -> None:
        self.select(self.images.index(ImageStatus.COMPLETED))

    @precondition(lambda self: not self.removed and ImageStatus.FAILED in self.images)
    @rule()
    def retry_a_failed_one(self) -> None:
        self.retry(self.images.index(ImageStatus.FAILED))

    @precondition(lambda self: not self.removed)
    @rule(index=indexes)
    def retry(self, index: int) -> None:
        image = self.run(row(self.database, generated_images, request_id=self.request_id, index=index))
        refusal = self.refused(images.retry(self.database, "ann", image.id, 0))
        if self.cancelled:
            assert refusal is Refusal.REQUEST_CANCELLED
        elif self.images[index] is not ImageStatus.FAILED:
            assert refusal is Refusal.IMAGE_NOT_FAILED
        else:
            assert refusal is None
            if not self.chosen and not self.under_way:
                self.status = RequestStatus.IMAGE_PENDING
            self.images[index] = ImageStatus.PENDING

    @precondition(lambda self: not self.removed and self.age > 15)
    @rule()
    def cancel(self) -> None:
        refusal = self.refused(requests.cancel(self.database, "ann", self.request_id))
        if self.cancelled:
            assert refusal is Refusal.REQUEST_CANCELLED
        elif self.status is RequestStatus.MODEL_COMPLETED:
            assert refusal is Refusal.ALREADY_FINISHED
        else:
            assert refusal is None
            self.cancelled, self.status = True, RequestStatus.CANCELLED
            self.images = [status if status in ENDED else ImageStatus.CANCELLED for status in self.images]
            if self.models and self.models[-1] in (ModelStatus.PENDING, ModelStatus.GENERATING):
                self.models[-1] = ModelStatus.CANCELLED
            self.drop_claims()

    # Rarely, or no life would be long.
    @precondition(lambda self: self.age > 20)
    @rule()
    def remove(self) -> None:
        refusal = self.refused(requests.remove(self.database, "ann", self.request_id))
        assert refusal is (Refusal.NOT_FOUND if self.removed else None)
        self.removed = True
        self.drop_claims()

    def drop_claims(self) -> None:
        self.stale += self.claims.values()
        self.claims = {}
        if self.model_claim:
            self.stale_models.append(self.model_claim)
            self.model_claim = None

    # Workers of images

    @rule(index=indexes)
    def claim(self, index: int) -> None:
        claim = self.run(images.claim(self.database, self.image_jobs[index], TERMS))
        free = not self.removed and self.images[index] not in ENDED and index not in self.claims
        assert (claim is not None) == free
        if claim is not None:
            self.claims[index] = claim
            if self.status is RequestStatus.IMAGE_PENDING and self.images[index] is ImageStatus.PENDING:
                self.status = RequestStatus.IMAGE_GENERATING
            self.images[index] = ImageStatus.GENERATING

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), succeeds=st.booleans())
    def end_some_image(self, data: st.DataObject, succeeds: bool) -> None:
        self.end_image(data.draw(st.sampled_from(sorted(self.claims))), succeeds=succeeds)

    def end_image(self, index: int, *, succeeds: bool) -> None:
        if succeeds:
            key = f"{self.claims[index].lease.prefix}.png"
            self.run(images.complete(self.database, Drawn(self.claims[index], key)))
        else:
            self.run(images.fail(self.database, self.claims[index], FAILURE))
        self.images[index] = ImageStatus.COMPLETED if succeeds else ImageStatus.FAILED
        self.stale.append(self.claims.pop(index))
        if not self.chosen and not self.under_way:
            some = ImageStatus.COMPLETED in self.images
            self.status = RequestStatus.IMAGE_COMPLETED if some else RequestStatus.IMAGE_FAILED

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), counts=st.booleans(), given_back=st.booleans())
    def put_down(self, data: st.DataObject, counts: bool, given_back: bool) -> None:
        index = data.draw(st.sampled_from(sorted(self.claims)))
        lease = self.claims[index].lease
        if given_back:
            self.run(jobs.give_back(self.database, lease))
        else:
            self.run(jobs.back_off(self.database, lease, FAILURE, 0, counts=counts))
        job = self.run(row(self.database, IMAGE_JOBS, id=lease.job_id))
        assert job.attempts == lease.attempt - (0 if counts and not given_back else 1)
        self.stale.append(self.claims.pop(index))

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def take_over(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(sorted(self.claims)))
        self.run(expire(self.database, IMAGE_JOBS, self.image_jobs[index]))
        assert self.image_jobs[index] in self.run(lost.recover(self.database, IMAGE_JOBS, 1_000, 5, utc_now()))
        old = self.claims.pop(index)
        self.stale.append(old)
        self.claim(index)
        assert self.claims[index].lease.attempt == old.lease.attempt

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), late=st.integers(0, 4))
    def come_late(self, data: st.DataObject, late: int) -> None:
        claim = data.draw(st.sampled_from(self.stale))
        writes = [
            lambda: images.complete(self.database, Drawn(claim, "late.png")),
            lambda: images.fail(self.database, claim, FAILURE),
            lambda: jobs.renew(self.database, claim.lease, LEASE_SECONDS),
            lambda: jobs.give_back(self.database, claim.lease),
            lambda: jobs.back_off(self.database, claim.lease, FAILURE, 0, counts=True),
        ]
        self.lost(writes[late]())

    # Workers of models

    @precondition(lambda self: self.model_jobs)
    @rule()
    def claim_model(self) -> None:
        claim = self.run(models.claim(self.database, self.model_jobs[-1], TERMS))
        free = (
            not self.removed
            and self.model_claim is None
            and self.models[-1] in (ModelStatus.PENDING, ModelStatus.GENERATING)
        )
        assert (claim is not None) == free
        if claim is not None:
            assert claim.progress == self.progress
            self.model_claim, self.models[-1] = claim, ModelStatus.GENERATING
            self.status = RequestStatus.MODEL_GENERATING

    @precondition(lambda self: self.model_claim)
    @rule(more=st.integers(0, 20))
    def report_progress(self, more: int) -> None:
        assert self.model_claim
        self.progress = min(99, self.progress + more)
        self.run(
            models.report_progress(self.database, self.model_claim, self.progress, ModelStage.GENERATING, more > 9)
        )

    @precondition(lambda self: self.model_claim or self.status is RequestStatus.MODEL_PENDING)
    @rule(succeeds=st.booleans())
    def end_model(self, succeeds: bool) -> None:
        if self.model_claim is None:
            self.claim_model()
        if self.model_claim is None:
            assert self.removed
            return
        if succeeds:
            self.run(finish_model(self.database, self.model_claim))
        else:
            self.run(models.fail(self.database, self.model_claim, FAILURE))
        self.models[-1] = ModelStatus.COMPLETED if succeeds else ModelStatus.FAILED
        self.status = RequestStatus.MODEL_COMPLETED if succeeds else RequestStatus.MODEL_FAILED
        self.stale_models.append(self.model_claim)
        self.model_claim = None

    @precondition(lambda self: self.model_claim)
    @rule(how=st.sampled_from(["give back", "back off", "expire"]))
    def put_model_down(self, how: str) -> None:
        assert self.model_claim
        match how:
            case "give back":
                self.run(jobs.give_back(self.database, self.model_claim.lease))
            case "back off":
                self.run(jobs.back_off(self.database, self.model_claim.lease, FAILURE, 0, counts=True))
            case "expire":
                self.run(expire(self.database, MODEL_JOBS, self.model_jobs[-1]))
                assert self.run(lost.recover(self.database, MODEL_JOBS, 1_000, 5, utc_now())) == [self.model_jobs[-1]]
        self.stale_models.append(self.model_claim)
        self.model_claim = None
        self.claim_model()

    @precondition(lambda self: self.stale_models)
    @rule(data=st.data(), late=st.integers(0, 3))
    def come_late_with_a_model(self, data: st.DataObject, late: int) -> None:
        claim = data.draw(st.sampled_from(self.stale_models))
        writes = [
            lambda: finish_model(self.database, claim),
            lambda: models.fail(self.database, claim, FAILURE),
            lambda: models.report_progress(self.database, claim, 99, ModelStage.GENERATING, True),
            lambda: jobs.note_submitted(self.database, claim.lease, "theirs"),
        ]
        self.lost(writes[late]())

    # What must always hold

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "loop"):
            self.age += 1
            self.run(self.check())

    async def check(self) -> None:
        told = await history(self.database, self.request_id)
        if self.removed:
            assert told == []
            return
        request = await request_of(self.database, self.request_id)
        assert request.status is self.status
        found = sorted(await rows(self.database, generated_images), key=lambda image: image.index)
        assert [image.status for image in found] == self.images
        jobs_by_id = {job.id: job for table in (IMAGE_JOBS, MODEL_JOBS) for job in await rows(self.database, table)}
        for image, job_id in zip(found, self.image_jobs, strict=True):
            assert (image.key is not None) == (image.status is ImageStatus.COMPLETED)
            assert (image.failure is not None) == (image.status is ImageStatus.FAILED)
            job = jobs_by_id[job_id]
            assert agree(image.status.value, job.status), (image.status, job.status)
        made = sorted(await rows(self.database, models_table), key=lambda model: model.id)
        assert [model.status for model in made] == self.models
        for model, job_id in zip(made, self.model_jobs, strict=True):
            job = jobs_by_id[job_id]
            assert agree(model.status.value, job.status), (model.status, job.status)
        assert [event.sequence for event in told] == list(range(1, request.last_event_sequence + 1))
        assert self.heard.events == told
        check_story(told, self.status)


def agree(status: str, job: JobStatus) -> bool:
    if job in (JobStatus.PENDING, JobStatus.RUNNING):
        return status in ("PENDING", "GENERATING") and (job is JobStatus.PENDING or status == "GENERATING")
    return job.value == status


def check_story(told: list[RequestEvent], status: RequestStatus) -> None:
    """The order of events within a request, as the contract has it."""
    drawing: set[str] = set()
    ended: dict[str, str] = {}
    making, progress, chosen = "", -1, False
    phase = RequestPhase.IMAGE_GENERATION
    for number, event in enumerate(told):
        match event.data:
            case ImageGenerating(image_id):
                assert image_id not in drawing
                assert ended.pop(image_id, "failed") == "failed"
                drawing.add(image_id)
            case ImageCompleted(image_id):
                drawing.remove(image_id)
                ended[image_id] = "completed"
            case ImageFailed(image_id):
                drawing.remove(image_id)
                ended[image_id] = "failed"
            case ModelGenerating(model_id):
                assert making == ""
                assert phase is RequestPhase.MODEL_GENERATION
                making, progress = model_id, 0
            case ModelProgress(model_id, percent):
                assert model_id == making
                assert progress <= percent <= 100
                progress = percent
            case ModelCompleted(model_id) | ModelFailed(model_id):
                assert model_id == making
                making = ""
                assert isinstance(told[number + 1].data, TaskUpdated), "followed by its task:updated"
            case TaskUpdated(new, phase):
                assert phase is new.phase
                if new in (RequestStatus.IMAGE_COMPLETED, RequestStatus.IMAGE_FAILED):
                    assert not chosen, "late images do not set a request back"
                    assert not drawing
                    assert len(ended) == 4
                    assert isinstance(told[number - 1].data, ImageCompleted | ImageFailed), "after the last of the four"
                    assert ("completed" in ended.values()) == (new is RequestStatus.IMAGE_COMPLETED)
                chosen = chosen or new is RequestStatus.MODEL_PENDING
                if new is RequestStatus.CANCELLED:
                    assert number == len(told) - 1, "nothing follows the cancellation"
    assert phase is status.phase, "the last task:updated tells the phase"


Lives.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    # Shrinking would take minutes; forty steps can be read.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestLives = pytest.mark.timeout(120)(Lives.TestCase)
