"""Finds the documents that are not in the search index of PostgreSQL yet."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Index documents without words. SQLite finds them by its own index."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX documents_words_missing ON documents (id) WHERE words IS NULL")
