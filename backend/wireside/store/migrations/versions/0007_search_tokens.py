"""Search by the tokens of ``words.py``; ``migrate.bring_up_to_date`` fills the index."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Empty the index; SQLite's gets a tokenizer that keeps signs and all of Unicode."""
    if op.get_bind().dialect.name != "sqlite":
        return  # its column is written over
    op.execute("DROP TABLE document_words")
    op.execute(
        "CREATE VIRTUAL TABLE document_words USING fts5("
        "words, tokenize=\"ascii tokenchars '~+#.@$&/'\", prefix='2 3', detail=none)"
    )
    _delete_securely()


def _delete_securely() -> None:
    """Leave no trace of a removed word in the index; SQLite can since 3.42."""
    version = op.get_bind().exec_driver_sql("SELECT sqlite_version()").scalar()
    if tuple(int(part) for part in str(version).split(".")) >= (3, 42):
        op.execute("INSERT INTO document_words(document_words, rank) VALUES('secure-delete', 1)")
