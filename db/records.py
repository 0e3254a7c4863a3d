"""Rows as values. The fields of a record, but for `ImageWithJob`, are columns of its table, in any order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Table
from typeid.codecs import base32
from uuid_utils import uuid7

from events.outcome import Failure, ModelFormat, PrintReport
from events.status import ImageStatus, JobStatus, ModelStage, ModelStatus, RequestStatus


def new_id(prefix: str) -> str:
    """A prefixed id that sorts by time: a TypeID, that is a UUIDv7 in base 32."""
    # By way of `TypeID`, which checks the prefix and keeps its parts, it takes four times as long.
    return f"{prefix}_{base32.encode(uuid7().bytes)}"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What events are appended to."""

    id: str
    user_id: str
    status: RequestStatus
    last_event_sequence: int


@dataclass(frozen=True, slots=True)
class Request(RequestHead):
    original_prompt: str
    prompt: str
    optimize_prompt: bool
    selected_image_index: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    request_id: str
    index: int
    prompt: str
    status: ImageStatus
    key: str | None
    failure: str | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    request_id: str
    user_id: str
    image_id: str
    name: str
    size_mm: float
    status: ModelStatus
    progress: int
    stage: ModelStage | None
    preview_key: str | None
    print_report: str | None
    failure: str | None
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ModelFile:
    model_id: str
    format: ModelFormat
    key: str
    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    request_id: str
    status: JobStatus
    attempts: int
    max_attempts: int
    failure: str | None
    available_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImageWithJob(Image):
    """An image and the work on it: rows of two tables."""

    job: Job


def columns_of(record: type, table: Table) -> list[Column[Any]]:
    return [table.c[field.name] for field in fields(record)]


def row_of(record: Any) -> dict[str, Any]:
    """A record's values by the names of their columns."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def encode_failure(failure: Failure) -> str:
    return msgspec.json.encode(failure).decode()


def decode_failure(text: str | None) -> Failure | None:
    return None if text is None else msgspec.json.decode(text, type=Failure)


def encode_report(report: PrintReport) -> str:
    return msgspec.json.encode(report).decode()


def decode_report(text: str | None) -> PrintReport | None:
    return None if text is None else msgspec.json.decode(text, type=PrintReport)
