"""The model and settings that were chosen for a conversation."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; NULL means that no choice was made."""
    op.add_column("conversations", sa.Column("options", sa.Text))
