"""Which answers wait for the answer to a question."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column and its index; the last segments of turns may be waiting."""
    op.add_column(
        "segments",
        sa.Column("is_asking", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute(
        "UPDATE segments SET is_asking = true WHERE reason = 'asking' AND position ="
        " (SELECT max(position) FROM segments AS s WHERE s.turn_id = segments.turn_id)"
    )
    is_asking = sa.text("is_asking")
    op.create_index(
        "segments_asking",
        "segments",
        ["turn_id"],
        sqlite_where=is_asking,
        postgresql_where=is_asking,
    )
