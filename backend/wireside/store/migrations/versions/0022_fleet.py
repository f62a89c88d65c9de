"""What each of several servers says about itself, and the sign-in attempts that all count."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the column and create the table."""
    op.add_column("replicas", sa.Column("report", sa.Text))
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False, index=True),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
    )
