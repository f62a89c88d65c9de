"""Runs migrations on the connection that is passed in; never standalone."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
