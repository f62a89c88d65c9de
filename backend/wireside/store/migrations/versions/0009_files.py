"""Files of users, and the turns that refer to them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "files",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("was_used", sa.Boolean, nullable=False),
    )
    op.create_index("files_of", "files", ["owner"])
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_table(
        "file_uses",
        sa.Column(
            "turn_id",
            sa.String,
            sa.ForeignKey("turns.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "file_id",
            sa.String,
            sa.ForeignKey("files.id", ondelete="CASCADE"),
            primary_key=True,
        ),
    )
    op.create_index("file_uses_of", "file_uses", ["file_id"])
