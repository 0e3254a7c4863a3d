"""the accounts' limits"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
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


def downgrade() -> None:
    op.drop_table("account_limits")
