"""The tables. Their columns are described where the API shows them; here stands what the API does not show."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Constraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from db.columns import Enumerated, Exact, Identifier, UtcDateTime
from events.outcome import ModelFormat
from events.status import ImageStatus, JobStatus, ModelStage, ModelStatus, RequestStatus

USER_ID_LENGTH = 255
IDEMPOTENCY_KEY_LENGTH = 128

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *items: Column[Any] | Constraint | Index) -> Table:
    return Table(name, metadata, *items, mysql_engine="InnoDB", mysql_charset="utf8mb4")


def _request_id() -> Column[str]:
    return Column("request_id", Identifier, ForeignKey("generation_requests.id", ondelete="CASCADE"), nullable=False)


users = _table(
    "users",
    # Its row is the lock under which a user's requests are counted.
    Column("id", Exact(USER_ID_LENGTH), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

generation_requests = _table(
    "generation_requests",
    Column("id", Identifier, primary_key=True),
    Column("user_id", Exact(USER_ID_LENGTH), nullable=False),
    Column("idempotency_key", Exact(IDEMPOTENCY_KEY_LENGTH)),
    Column("original_prompt", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("optimize_prompt", Boolean, nullable=False),
    Column("status", Enumerated(RequestStatus), nullable=False),
    Column("selected_image_index", SmallInteger),
    Column("last_event_sequence", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "idempotency_key"),
    Index(None, "user_id", "id"),
    Index(None, "user_id", "status", "id"),
    Index(None, "user_id", "updated_at"),
)

generated_images = _table(
    "generated_images",
    Column("id", Identifier, primary_key=True),
    _request_id(),
    Column("index", SmallInteger, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("status", Enumerated(ImageStatus), nullable=False),
    Column("key", String(255)),
    Column("failure", Text),
    Column("completed_at", UtcDateTime),
    UniqueConstraint("request_id", "index"),
)

models = _table(
    "models",
    Column("id", Identifier, primary_key=True),
    _request_id(),
    Column("user_id", Exact(USER_ID_LENGTH), nullable=False),
    Column("image_id", Identifier, ForeignKey("generated_images.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("size_mm", Float, nullable=False),
    Column("status", Enumerated(ModelStatus), nullable=False),
    Column("progress", SmallInteger, nullable=False),
    Column("stage", Enumerated(ModelStage)),
    Column("preview_key", String(255)),
    Column("print_report", Text),
    Column("failure", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Index(None, "request_id", "id"),
    Index(None, "user_id", "id"),
)

model_files = _table(
    "model_files",
    Column("model_id", Identifier, ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
    Column("format", Enumerated(ModelFormat), nullable=False),
    Column("key", String(255), nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    PrimaryKeyConstraint("model_id", "format"),
)


def _jobs(name: str, subject: str, subject_table: str) -> Table:
    return _table(
        name,
        Column("id", Identifier, primary_key=True),
        _request_id(),
        Column(subject, Identifier, ForeignKey(f"{subject_table}.id", ondelete="CASCADE"), nullable=False, unique=True),
        Column("status", Enumerated(JobStatus), nullable=False),
        Column("attempts", SmallInteger, nullable=False),
        Column("max_attempts", SmallInteger, nullable=False),
        Column("failure", Text),
        # When it may be claimed, and when its last message was sent: a message may be lost.
        Column("available_at", UtcDateTime, nullable=False),
        Column("sent_at", UtcDateTime),
        # Who holds it: every write of a worker carries the token of its claim. A running job without one has lost its
        # worker, and whoever comes takes it over.
        Column("lease_token", String(32)),
        # Of a pending job: until then it keeps its slot of the account (`db.slots`).
        Column("lease_expires_at", UtcDateTime),
        Column("deadline_at", UtcDateTime),
        Column("created_at", UtcDateTime, nullable=False),
        Column("started_at", UtcDateTime),
        Column("finished_at", UtcDateTime),
        # Of providers whose jobs go on by themselves: a submit was begun, and the provider's id once it is known. The
        # first without the second: outcome unknown.
        Column("submit_begun_at", UtcDateTime),
        Column("provider_job_id", String(255)),
        Column("submitted_at", UtcDateTime),
        Index(None, "status", "available_at"),
        Index(None, "request_id"),
    )


image_generation_jobs = _jobs("image_generation_jobs", "image_id", "generated_images")
model_generation_jobs = _jobs("model_generation_jobs", "model_id", "models")


def subject_of(jobs: Table) -> Column[str]:
    """The column with the id of what a job makes: its image, or its model."""
    return jobs.c["image_id" if jobs is image_generation_jobs else "model_id"]


events = _table(
    "events",
    _request_id(),
    Column("sequence", Integer, nullable=False, autoincrement=False),
    Column("data", Text, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("request_id", "sequence"),
)

account_limits = _table(
    "account_limits",
    # How many jobs of a table the provider's account may have at once, as the last worker to start knew it. Its row is
    # the lock under which they are claimed.
    Column("jobs", String(40), primary_key=True),
    Column("max_concurrent", SmallInteger),
)

sweeps = _table(
    "sweeps",
    # When the jobs of a table were last looked over: written to see that the database takes writes.
    Column("jobs", String(40), primary_key=True),
    Column("looked_at", UtcDateTime, nullable=False),
)

file_deletions = _table(
    "file_deletions",
    # What is still to be removed from the storage. A late worker may write once more, so it stays for a while.
    Column("prefix", String(255), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

workers = _table(
    "workers",
    Column("id", Identifier, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("image_slots", SmallInteger, nullable=False),
    Column("model_slots", SmallInteger, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

secrets = _table(
    "secrets",
    # Made once, shared by all processes: signs the links that carry their own permission.
    Column("name", String(40), primary_key=True),
    Column("value", String(128), nullable=False),
)
