"""Providers, model rules, banners and usage for administrators; the cost of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the columns and create the tables."""
    op.add_column("segments", sa.Column("cost", sa.Double))
    op.add_column("segments", sa.Column("currency", sa.Text))
    op.create_table(
        "providers",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("secret", sa.Text),
        sa.Column("secret_set_at", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_table(
        "model_rules",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
        sa.Column("price", sa.Text),
    )
    op.create_table(
        "banners",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("begins_at", sa.Double),
        sa.Column("ends_at", sa.Double),
        sa.Column("is_dismissible", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_table(
        "server_options",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("currency", sa.Text, primary_key=True),
        sa.Column("answers", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Double, nullable=False),
    )
