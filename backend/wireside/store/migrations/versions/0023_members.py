"""The users and groups that conversations are shared with, and who has asked a question."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Create the table and add the column."""
    op.create_table(
        "conversation_members",
        sa.Column(
            "conversation_id",
            sa.String,
            sa.ForeignKey("conversations.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("member", sa.Text, primary_key=True),
        sa.Column("access", sa.String, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
    )
    op.create_index("members_of", "conversation_members", ["kind", "member"])
    op.add_column("turns", sa.Column("asked_by", sa.String))
