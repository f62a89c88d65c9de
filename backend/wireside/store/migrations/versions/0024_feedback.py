"""Feedback keeps its time, and whether administrators may read the answer."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the columns and the index; feedback that was given before is as old as its question."""
    op.add_column(
        "turns",
        sa.Column("feedback_shown", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.add_column("turns", sa.Column("rated_at", sa.Double))
    op.execute("UPDATE turns SET rated_at = created_at WHERE verdict IS NOT NULL")
    is_rated = sa.text("verdict IS NOT NULL")
    op.create_index(
        "turns_rated", "turns", ["rated_at"], sqlite_where=is_rated, postgresql_where=is_rated
    )
