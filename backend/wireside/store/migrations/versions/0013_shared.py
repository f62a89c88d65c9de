"""What several servers count and redeem together: tickets, concurrent answers, figures."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tickets",
        sa.Column("hashed", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, nullable=False, index=True),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("expires_at", sa.Double, nullable=False, index=True),
    )
    op.create_table(
        "busy_slots",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column(
            "replica",
            sa.String,
            sa.ForeignKey("replicas.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("busy_slots_of", "busy_slots", ["replica"])
    op.create_table(
        "replica_figures",
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("figures", sa.Text, nullable=False),
    )
