"""The verbs of a model and its job: select, claim, progress, complete, fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from db.jobs import Lease, LeaseLost, Terms, columns_to_take, end, lock_request_of, new_job, take
from db.log import append, lock_request_of_job, task_updated
from db.records import Model, ModelFile, Request, columns_of, encode_failure, encode_report, new_id, row_of
from db.refusal import Refusal, Refused
from db.requests import ACTIVE, check_quota, owned
from db.session import Database, Transaction
from db.slots import next_job
from db.tables import generated_images, model_files, model_generation_jobs, models
from events.clock import utc_now
from events.outcome import Failure, ModelFormat, PrintReport
from events.status import MODEL_MOVES, ImageStatus, JobStatus, ModelStage, ModelStatus, RequestStatus, check_move
from events.types import ModelCompleted, ModelFailed, ModelGenerating, ModelProgress

MODEL_COLUMNS = columns_of(Model, models)
NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class ModelClaim:
    """A model to be made, and the lease on its job.

    `provider_job_id` is known once the provider took it; `submit_begun` without it means that nobody knows.
    """

    lease: Lease
    model_id: str
    image_key: str
    size_mm: float
    progress: int
    stage: ModelStage
    started_at: datetime
    provider_job_id: str | None
    submit_begun: bool


async def select_image(
    database: Database, user_id: str, request_id: str, index: int, size_mm: float, limit: int, max_attempts: int
) -> tuple[Request, Model, str]:
    """Have an image made into a model; returns both with the id of the job to send. Raises `Refused`."""
    now = utc_now()
    async with database.transaction() as transaction:
        request = await owned(transaction, user_id, request_id)
        if request.status is RequestStatus.CANCELLED:
            raise Refused(
                Refusal.REQUEST_CANCELLED, "The request is cancelled. Create a new one.", ("input", "requestId")
            )
        if request.status in (RequestStatus.MODEL_PENDING, RequestStatus.MODEL_GENERATING):
            raise Refused(
                Refusal.MODEL_IN_PROGRESS,
                "A model is being made of an image of this request. Wait for it to end.",
                ("input", "requestId"),
            )
        image = (
            await transaction.execute(
                select(generated_images.c.id, generated_images.c.status).where(
                    generated_images.c.request_id == request_id, generated_images.c.index == index
                )
            )
        ).one()
        if image.status is not ImageStatus.COMPLETED:
            raise Refused(
                Refusal.IMAGE_NOT_READY,
                f"Image {index} is {image.status}; only a completed one can be selected.",
                ("input", "index"),
            )
        if request.status not in ACTIVE:
            await check_quota(transaction, user_id, limit)
        model = Model(
            id=new_id("mdl"),
            request_id=request_id,
            user_id=user_id,
            image_id=image.id,
            name=_name(request.original_prompt),
            size_mm=size_mm,
            status=ModelStatus.PENDING,
            progress=0,
            stage=ModelStage.QUEUED,
            preview_key=None,
            print_report=None,
            failure=None,
            created_at=now,
            completed_at=None,
        )
        job_id = new_id("job")
        await transaction.execute(insert(models), row_of(model))
        await transaction.execute(
            insert(model_generation_jobs), new_job(job_id, request_id, max_attempts, now) | {"model_id": model.id}
        )
        pending = RequestStatus.MODEL_PENDING
        request = append(transaction, request, task_updated(pending), status=pending, selected_image_index=index)
    return request, model, job_id


async def claim(database: Database, job_id: str, terms: Terms, most: int | None = None) -> ModelClaim | None:
    """Take the job in hand; None if it is not to be done, or not by this worker.

    Where the account may have only `most` jobs at once, it is the job whose turn it is, or none while no slot is free.
    """
    jobs = model_generation_jobs
    query = (
        select(
            *columns_to_take(jobs),
            jobs.c.started_at,
            models.c.status.label("model_status"),
            models.c.size_mm,
            models.c.progress,
            models.c.stage,
            generated_images.c.key,
            generated_images.c.index.label("image_index"),
        )
        .join(models, models.c.id == jobs.c.model_id)
        .join(generated_images, generated_images.c.id == models.c.image_id)
    )
    async with database.transaction() as transaction:
        chosen = job_id if most is None else await next_job(transaction, jobs, most)
        if chosen is None:
            return None
        request = await lock_request_of_job(transaction, jobs, chosen)
        row = (await transaction.execute(query.where(jobs.c.id == chosen))).first()
        if request is None or row is None:
            return None
        lease = (await take(transaction, jobs, [row], terms)).get(chosen)
        if lease is None:
            return None
        stage = row.stage
        if row.model_status is ModelStatus.PENDING:
            stage = ModelStage.GENERATING
            await _move(transaction, row.subject_id, row.model_status, ModelStatus.GENERATING, stage=stage)
            append(
                transaction,
                request,
                ModelGenerating(row.subject_id, row.image_index),
                status=RequestStatus.MODEL_GENERATING,
            )
    return ModelClaim(
        lease,
        row.subject_id,
        row.key,
        row.size_mm,
        row.progress,
        stage,
        row.started_at or utc_now(),
        row.provider_job_id,
        row.submit_begun_at is not None,
    )


async def report_progress(
    database: Database, claim: ModelClaim, progress: int, stage: ModelStage, estimated: bool
) -> None:
    """Tell how far the model is; `progress` is 0 to 100 and must not fall. Raises `LeaseLost`."""
    async with database.transaction() as transaction:
        request = await lock_request_of(transaction, claim.lease)
        held = select(model_generation_jobs.c.id).where(claim.lease.held).exists()
        result = await transaction.execute(
            update(models)
            .where(models.c.id == claim.model_id, models.c.status == ModelStatus.GENERATING, held)
            .values(progress=progress, stage=stage)
        )
        if result.rowcount != 1:
            raise LeaseLost(claim.lease.job_id)
        append(transaction, request, ModelProgress(claim.model_id, progress, stage, estimated))


async def complete(
    database: Database, claim: ModelClaim, files: Sequence[ModelFile], preview_key: str | None, report: PrintReport
) -> None:
    """The model's files are stored; raises `LeaseLost`."""
    now = utc_now()
    async with database.transaction() as transaction:
        request = await lock_request_of(transaction, claim.lease)
        await end(transaction, claim.lease, status=JobStatus.COMPLETED)
        await _move(
            transaction,
            claim.model_id,
            ModelStatus.GENERATING,
            ModelStatus.COMPLETED,
            progress=100,
            stage=None,
            preview_key=preview_key,
            print_report=encode_report(report),
            completed_at=now,
        )
        await transaction.execute(insert(model_files), [row_of(file) for file in files])
        glb = next(file.key for file in files if file.format is ModelFormat.GLB)
        done = RequestStatus.MODEL_COMPLETED
        append(
            transaction, request, ModelCompleted(claim.model_id, glb, preview_key, now), task_updated(done), status=done
        )


async def is_kept(database: Database, claim: ModelClaim) -> bool:
    """Whether the model's files are those of this claim."""
    async with database.reading() as connection:
        keys = await connection.scalars(select(model_files.c.key).where(model_files.c.model_id == claim.model_id))
    return any(key.startswith(claim.lease.prefix) for key in keys)


async def fail(database: Database, claim: ModelClaim, failure: Failure) -> None:
    """The model has failed for good: the choice is the user's again. Raises `LeaseLost`."""
    async with database.transaction() as transaction:
        request = await lock_request_of(transaction, claim.lease)
        await end(transaction, claim.lease, status=JobStatus.FAILED, failure=failure)
        await _move(
            transaction,
            claim.model_id,
            ModelStatus.GENERATING,
            ModelStatus.FAILED,
            stage=None,
            failure=encode_failure(failure),
        )
        failed = RequestStatus.MODEL_FAILED
        append(transaction, request, ModelFailed(claim.model_id, failure.message), task_updated(failed), status=failed)


def _name(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= NAME_LENGTH else line[: NAME_LENGTH - 1].rstrip() + "…"


async def _move(transaction: Transaction, model_id: str, old: ModelStatus, new: ModelStatus, **values: Any) -> None:
    check_move(MODEL_MOVES, old, new, model_id)
    result = await transaction.execute(
        update(models).where(models.c.id == model_id, models.c.status == old).values(status=new, **values)
    )
    if result.rowcount != 1:
        raise LeaseLost(model_id)
