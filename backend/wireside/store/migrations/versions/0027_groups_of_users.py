"""Groups of users, as an OpenID provider names them."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the column."""
    op.add_column("users", sa.Column("groups", sa.Text))
