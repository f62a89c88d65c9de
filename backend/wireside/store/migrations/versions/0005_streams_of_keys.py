"""The maximum number of concurrent answers of an API key."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.add_column("api_keys", sa.Column("streams", sa.Integer))
