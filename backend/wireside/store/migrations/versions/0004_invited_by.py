"""The maker of an invitation: it is valid only as long as its maker may invite."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; it is unknown for existing invitations, which expire within a week."""
    # SQLite can't add a constraint, so the table is recreated there
    recreate: Literal["always", "never"] = (
        "always" if op.get_bind().dialect.name == "sqlite" else "never"
    )
    with op.batch_alter_table("invitations", recreate=recreate) as table:
        table.add_column(sa.Column("made_by", sa.String))
        table.create_foreign_key(
            "invitations_made_by_fkey", "users", ["made_by"], ["id"], ondelete="CASCADE"
        )
    op.create_index("ix_invitations_made_by", "invitations", ["made_by"])
