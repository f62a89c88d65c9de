"""The parts of questions; and tool calls that a model requested and nothing ran."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; NULL means that a question consists of its text.

    No tool was run so far: a call without a result is a request, which was stored as ``done``.
    """
    op.add_column("turns", sa.Column("question_parts", sa.Text))
    statement = sa.text(
        "UPDATE pieces SET content = replace(content, :done, :requested)"
        " WHERE kind = 2 AND content LIKE :without_result"
    )
    op.execute(
        statement.bindparams(
            done='"state":"done"',
            requested='"state":"requested"',
            without_result='%,"result":null}',
        )
    )
