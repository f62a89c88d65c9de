"""Accounts: users, sessions, API keys, invitations; owners of conversations; shares; audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables; existing conversations have no owner until there is an administrator."""
    op.add_column("conversations", sa.Column("owner", sa.String, nullable=False, server_default=""))
    for name, columns, where in (
        (
            "conversations_listed",
            ["owner", "updated_at", "id"],
            "deleted_at IS NULL AND pinned_at IS NULL AND archived_at IS NULL",
        ),
        (
            "conversations_archived",
            ["owner", "updated_at", "id"],
            "deleted_at IS NULL AND pinned_at IS NULL AND archived_at IS NOT NULL",
        ),
        ("conversations_pinned", ["owner", "pinned_at", "id"], "pinned_at IS NOT NULL"),
    ):
        condition = sa.text(where)
        op.drop_index(name, "conversations")
        op.create_index(
            name, "conversations", columns, sqlite_where=condition, postgresql_where=condition
        )
    op.create_table(
        "users",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("password", sa.String),
        sa.Column("subject", sa.Text, unique=True),
        sa.Column("disabled_at", sa.Double),
        sa.Column("seen_at", sa.Double),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("token", sa.String, nullable=False, unique=True),
        _user(nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("secret", sa.String, nullable=False),
        _user(nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("used_at", sa.Double),
        sa.Column("messages_per_minute", sa.Integer),
        sa.Column("tokens_per_day", sa.BigInteger),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("token", sa.String, nullable=False, unique=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        _user(),
    )
    op.create_table(
        "shares",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("token", sa.String, nullable=False, unique=True),
        sa.Column("owner", sa.String, nullable=False, index=True),
        sa.Column(
            "conversation_id",
            sa.String,
            sa.ForeignKey("conversations.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.Double, nullable=False, index=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _user(*, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(
        "user_id",
        sa.String,
        sa.ForeignKey("users.id", ondelete="CASCADE"),
        nullable=nullable,
        index=True,
    )
