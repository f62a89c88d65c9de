"""Folders of conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_IS_LISTED = sa.text("deleted_at IS NULL AND pinned_at IS NULL AND archived_at IS NULL")


def upgrade() -> None:
    """Create the table, the column and its indexes."""
    op.create_table(
        "folders",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("folders_of", "folders", ["owner"])
    op.add_column("conversations", sa.Column("folder_id", sa.String))
    op.create_index(
        "conversations_filed",
        "conversations",
        ["owner", "folder_id", "updated_at", "id"],
        sqlite_where=_IS_LISTED,
        postgresql_where=_IS_LISTED,
    )
    op.create_index(
        "conversations_of_folder",
        "conversations",
        ["folder_id"],
        sqlite_where=sa.text("folder_id IS NOT NULL"),
        postgresql_where=sa.text("folder_id IS NOT NULL"),
    )
