"""The first tables: conversations, their turns and answers, search."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_source", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("pinned_at", sa.Double),
        sa.Column("archived_at", sa.Double),
        sa.Column("deleted_at", sa.Double),
        sa.Column("shown", sa.Integer, nullable=False),
    )
    for name, columns, where in (
        (
            "conversations_listed",
            ["updated_at", "id"],
            "deleted_at IS NULL AND pinned_at IS NULL AND archived_at IS NULL",
        ),
        (
            "conversations_archived",
            ["updated_at", "id"],
            "deleted_at IS NULL AND pinned_at IS NULL AND archived_at IS NOT NULL",
        ),
        ("conversations_pinned", ["pinned_at", "id"], "pinned_at IS NOT NULL"),
        ("conversations_deleted", ["deleted_at"], "deleted_at IS NOT NULL"),
    ):
        _partial_index(name, "conversations", columns, where)
    op.create_table(
        "tags",
        sa.Column("tag", sa.Text, primary_key=True),
        sa.Column("conversation_id", sa.String, _of("conversations"), primary_key=True),
        sa.Column("position", sa.SmallInteger, nullable=False),
    )
    op.create_index("tags_of", "tags", ["conversation_id"])
    op.create_table(
        "branches",
        sa.Column("conversation_id", sa.String, _of("conversations"), primary_key=True),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("parent", sa.Integer),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("conversation_id", sa.String, _of("conversations"), nullable=False),
        sa.Column("branch", sa.Integer, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("is_waiting", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.String),
        sa.Column("words", sa.Text),
    )
    op.create_index("turns_in_order", "turns", ["conversation_id", "branch", "depth"])
    _partial_index("turns_waiting", "turns", ["conversation_id", "depth"], "is_waiting")
    op.create_table(
        "segments",
        sa.Column("stream", sa.String, primary_key=True),
        sa.Column("turn_id", sa.String, _of("turns"), nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("sanitize", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("is_live", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("error_code", sa.String),
        sa.Column("error_message", sa.Text),
        sa.Column("retry_after", sa.Double),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
    )
    op.create_index("segments_of", "segments", ["turn_id", "position"])
    _partial_index("segments_live", "segments", ["stream"], "is_live")
    op.create_table(
        "pieces",
        sa.Column("stream", sa.String, _of("segments", "stream"), primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("ref", sa.String, nullable=False, unique=True),
        sa.Column("conversation_id", sa.String, _of("conversations"), nullable=False),
        sa.Column("turn_id", sa.String, _of("turns")),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("documents_of", "documents", ["conversation_id"])
    op.create_index("documents_of_turn", "documents", ["turn_id"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE document_words USING fts5("
            "words, tokenize='unicode61', prefix='2 3', detail=none)"
        )
        _delete_securely()
    else:
        op.execute("ALTER TABLE documents ADD COLUMN words tsvector")
        op.execute("CREATE INDEX documents_words ON documents USING gin (words)")


def _of(table: str, column: str = "id") -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.{column}", ondelete="CASCADE")


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _delete_securely() -> None:
    """Erase removed words from the index itself; supported by SQLite since 3.42."""
    version = op.get_bind().exec_driver_sql("SELECT sqlite_version()").scalar()
    if tuple(int(part) for part in str(version).split(".")) >= (3, 42):
        op.execute("INSERT INTO document_words(document_words, rank) VALUES('secure-delete', 1)")
