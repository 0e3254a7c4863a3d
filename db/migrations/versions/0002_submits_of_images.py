"""submits of images"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TABLE = "image_generation_jobs"

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # MySQL commits each change by itself: one that was broken off may have added some of them.
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}
    for column in (
        sa.Column("submit_begun_at", MOMENT, nullable=True),
        sa.Column("provider_job_id", sa.String(length=255), nullable=True),
        sa.Column("submitted_at", MOMENT, nullable=True),
    ):
        if column.name not in there:
            op.add_column(TABLE, column)


def downgrade() -> None:
    for name in ("submit_begun_at", "provider_job_id", "submitted_at"):
        op.drop_column(TABLE, name)
