"""the first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

MYSQL = ("mysql", "mariadb")
ID = sa.String(40).with_variant(sa.String(40, collation="ascii_bin"), *MYSQL)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)


def exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(mysql.VARBINARY(4 * length), *MYSQL)


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_limits",
        sa.Column("jobs", sa.String(length=40), nullable=False),
        sa.Column("max_concurrent", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("jobs", name="pk_account_limits"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "file_deletions",
        sa.Column("prefix", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("prefix", name="pk_file_deletions"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "generation_requests",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", exact(255), nullable=False),
        sa.Column("idempotency_key", exact(128), nullable=True),
        sa.Column("original_prompt", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("optimize_prompt", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("selected_image_index", sa.SmallInteger(), nullable=True),
        sa.Column("last_event_sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation_requests"),
        sa.UniqueConstraint("user_id", "idempotency_key", name="uq_generation_requests_user_id_idempotency_key"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_generation_requests_user_id_id", "generation_requests", ["user_id", "id"])
    op.create_index("ix_generation_requests_user_id_status_id", "generation_requests", ["user_id", "status", "id"])
    op.create_index("ix_generation_requests_user_id_updated_at", "generation_requests", ["user_id", "updated_at"])

    op.create_table(
        "secrets",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "users",
        sa.Column("id", exact(255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "workers",
        sa.Column("id", ID, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("image_slots", sa.SmallInteger(), nullable=False),
        sa.Column("model_slots", sa.SmallInteger(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "events",
        sa.Column("request_id", ID, nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("occurred_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["generation_requests.id"], name="fk_events_request_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("request_id", "sequence", name="pk_events"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "generated_images",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("index", sa.SmallInteger(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("completed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["generation_requests.id"], name="fk_generated_images_request_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_generated_images"),
        sa.UniqueConstraint("request_id", "index", name="uq_generated_images_request_id_index"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "image_generation_jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("max_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_expires_at", MOMENT, nullable=True),
        sa.Column("deadline_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["image_id"], ["generated_images.id"], name="fk_image_generation_jobs_image_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["generation_requests.id"], name="fk_image_generation_jobs_request_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_image_generation_jobs"),
        sa.UniqueConstraint("image_id", name="uq_image_generation_jobs_image_id"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_image_generation_jobs_request_id", "image_generation_jobs", ["request_id"])
    op.create_index("ix_image_generation_jobs_status_available_at", "image_generation_jobs", ["status", "available_at"])

    op.create_table(
        "models",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("user_id", exact(255), nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("size_mm", sa.Float(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("progress", sa.SmallInteger(), nullable=False),
        sa.Column("stage", sa.String(24), nullable=True),
        sa.Column("preview_key", sa.String(length=255), nullable=True),
        sa.Column("print_report", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["generated_images.id"], name="fk_models_image_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["generation_requests.id"], name="fk_models_request_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_models_request_id_id", "models", ["request_id", "id"])
    op.create_index("ix_models_user_id_id", "models", ["user_id", "id"])

    op.create_table(
        "model_files",
        sa.Column("model_id", ID, nullable=False),
        sa.Column("format", sa.String(24), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_model_files_model_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "format", name="pk_model_files"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "model_generation_jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("model_id", ID, nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("max_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_expires_at", MOMENT, nullable=True),
        sa.Column("deadline_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("submit_begun_at", MOMENT, nullable=True),
        sa.Column("provider_job_id", sa.String(length=255), nullable=True),
        sa.Column("submitted_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name="fk_model_generation_jobs_model_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["generation_requests.id"], name="fk_model_generation_jobs_request_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_model_generation_jobs"),
        sa.UniqueConstraint("model_id", name="uq_model_generation_jobs_model_id"),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_model_generation_jobs_request_id", "model_generation_jobs", ["request_id"])
    op.create_index("ix_model_generation_jobs_status_available_at", "model_generation_jobs", ["status", "available_at"])


def downgrade() -> None:

    op.drop_table("model_generation_jobs")
    op.drop_table("model_files")

    op.drop_table("models")

    op.drop_table("image_generation_jobs")
    op.drop_table("generated_images")
    op.drop_table("events")
    op.drop_table("workers")
    op.drop_table("users")
    op.drop_table("secrets")

    op.drop_table("generation_requests")
    op.drop_table("file_deletions")
    op.drop_table("account_limits")
