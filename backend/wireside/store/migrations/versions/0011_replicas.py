"""Servers that share the database, and which of them writes a running answer."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table, and add the column. The index of running answers is there already."""
    op.create_table(
        "replicas",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
    )
    op.add_column("segments", sa.Column("replica", sa.String))
