"""Runs migrations on the connection that it is given: never by itself."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
