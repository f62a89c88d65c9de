"""Prompts and presets of users, and the preset that each begins new chats with."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the tables."""
    for name, content in {"prompts": "text", "presets": "options"}.items():
        op.create_table(
            name,
            sa.Column("id", sa.String, primary_key=True),
            sa.Column("owner", sa.String, nullable=False),
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("is_shared", sa.Boolean, nullable=False),
            sa.Column("updated_at", sa.Double, nullable=False),
            sa.Column(content, sa.Text, nullable=False),
        )
        op.create_index(f"{name}_of", name, ["owner"])
    op.create_table(
        "default_presets",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column(
            "preset_id",
            sa.String,
            sa.ForeignKey("presets.id", ondelete="CASCADE"),
            nullable=False,
        ),
    )
    op.create_index("ix_default_presets_preset_id", "default_presets", ["preset_id"])
