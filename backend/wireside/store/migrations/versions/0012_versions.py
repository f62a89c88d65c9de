"""Versions of conversations, requested stops, and the requests that clients name by a key."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column(
        "conversations", sa.Column("version", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column(
        "segments",
        sa.Column("is_stop_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "keyed_requests",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_keyed_requests_created_at", "keyed_requests", ["created_at"])
