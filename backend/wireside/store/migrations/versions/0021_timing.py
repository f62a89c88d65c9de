"""Segments keep how long they took."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns."""
    for name in ("first_s", "reasoning_s", "total_s"):
        op.add_column("segments", sa.Column(name, sa.Double))
