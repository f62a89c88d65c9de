"""Conversations in SQLite or PostgreSQL: the only user of SQLAlchemy."""
