"""Storage of conversations in SQLite or PostgreSQL: the only package that uses SQLAlchemy."""
