"""The tables. Times are seconds since 1970."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    literal_column,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import BigInteger, TypeDecorator

ESCAPE = "\uf8f0"  # in the private use area
NUL = "\0"


class AnyId(TypeDecorator[str]):
    """An id, ours or any that is requested in a URL or a frame.

    Escaped, because PostgreSQL does not accept NUL and no database accepts unpaired surrogates.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the escaped value."""
        return None if value is None else escape(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return the original value."""
        return None if value is None else unescape(value)


class AnyText(AnyId):
    """Text of a model or a user, escaped in the same way."""

    impl = Text
    cache_ok = True


class Names(TypeDecorator[Collection[str]]):
    """A set of names, as a JSON list; an empty one if the column is NULL."""

    impl = AnyText
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> str | None:
        """Return the names as JSON."""
        return msgspec.json.encode(sorted(value)).decode() if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> frozenset[str]:
        """Return the names."""
        return frozenset(msgspec.json.decode(value, type=list[str])) if value else frozenset()


def escape(text: str) -> str:
    """Return ``text`` in a form that every database accepts.

    ``unescape`` restores it with the same length, on which offsets depend.
    """
    if text.isascii():
        return text.replace(NUL, ESCAPE + "0") if NUL in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    if NUL in text or ESCAPE in text:
        text = text.replace(ESCAPE, ESCAPE + "1").replace(NUL, ESCAPE + "0")
    return text


def unescape(text: str) -> str:
    """Return the text that was passed to ``escape``."""
    if ESCAPE not in text:
        return text
    return text.replace(ESCAPE + "0", NUL).replace(ESCAPE + "1", ESCAPE)


metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("id", AnyId, primary_key=True),
    # id of the owning account, '' on a server without accounts
    Column("owner", AnyId, nullable=False, server_default=""),
    Column("title", AnyText, nullable=False),
    Column("title_source", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("pinned_at", Double),
    Column("archived_at", Double),
    # NULL, or a folder that is gone: it is in none
    Column("folder_id", AnyId),
    Column("deleted_at", Double),
    Column("shown", Integer, nullable=False),
    # the model and settings chosen for it, as JSON; NULL until a choice was made
    Column("options", AnyText),
    # how often it was changed
    Column("version", Integer, nullable=False, server_default="0"),
)

tags = Table(
    "tags",
    metadata,
    Column("tag", AnyText, primary_key=True),
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, nullable=False),
    Index("tags_of", "conversation_id"),
)

# the users and groups that a conversation is shared with
members = Table(
    "conversation_members",
    metadata,
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), primary_key=True),
    # user or group
    Column("kind", String, primary_key=True),
    # the id of the account, or the name of the group
    Column("member", AnyText, primary_key=True),
    # read or reply
    Column("access", String, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Index("members_of", "kind", "member"),
)

folders = Table(
    "folders",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("owner", AnyId, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("folders_of", "owner"),
)

branches = Table(
    "branches",
    metadata,
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), primary_key=True),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("parent", Integer),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), nullable=False),
    Column("branch", Integer, nullable=False),
    Column("depth", Integer, nullable=False),
    # the text of the question
    Column("question", AnyText, nullable=False),
    # its parts as JSON; NULL if it consists of that text
    Column("question_parts", AnyText),
    Column("options", AnyText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("is_waiting", Boolean, nullable=False),
    Column("verdict", String),
    Column("words", AnyText),
    # the account that asked; NULL: the owner of the conversation
    Column("asked_by", AnyId),
    # whether administrators may read the question, the answer and the words
    Column("feedback_shown", Boolean, nullable=False, server_default=false()),
    Column("rated_at", Double),
    # not unique: when a turn is withdrawn, the turns after it move up one by one
    Index("turns_in_order", "conversation_id", "branch", "depth"),
)

# comments on turns of shared conversations
comments = Table(
    "comments",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), nullable=False),
    Column("turn_id", ForeignKey(turns.c.id, ondelete="CASCADE"), nullable=False),
    # the id of an account
    Column("author", AnyId, nullable=False),
    Column("text", AnyText, nullable=False),
    Column("created_at", Double, nullable=False),
    # NULL unless the text was changed
    Column("edited_at", Double),
    Index("comments_of", "conversation_id", "created_at"),
    Index("comments_of_turn", "turn_id"),
)
Index(
    "turns_waiting",
    turns.c.conversation_id,
    turns.c.depth,
    sqlite_where=turns.c.is_waiting,
    postgresql_where=turns.c.is_waiting,
)

Index(
    "turns_rated",
    turns.c.rated_at,
    sqlite_where=turns.c.verdict.is_not(None),
    postgresql_where=turns.c.verdict.is_not(None),
)

segments = Table(
    "segments",
    metadata,
    Column("stream", AnyId, primary_key=True),
    Column("turn_id", ForeignKey(turns.c.id, ondelete="CASCADE"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("model", AnyText, nullable=False),
    Column("sanitize", Boolean, nullable=False, server_default=false()),
    Column("created_at", Double, nullable=False),
    Column("is_live", Boolean, nullable=False),
    Column("reason", String),
    Column("error_code", String),
    Column("error_message", AnyText),
    Column("retry_after", Double),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    # by the prices of the time at which it ended
    Column("cost", Double),
    Column("currency", AnyText),
    # durations in seconds, see ``Timing``
    Column("first_s", Double),
    Column("reasoning_s", Double),
    Column("total_s", Double),
    # whether the turn waits for the answer to a question in this segment
    Column("is_asking", Boolean, nullable=False, server_default=false()),
    # id of the replica that writes it; NULL where one server uses the database
    Column("replica", String),
    # whether the server that writes it must stop it
    Column("is_stop_requested", Boolean, nullable=False, server_default=false()),
    Index("segments_of", "turn_id", "position"),
)
Index(
    "segments_live",
    segments.c.stream,
    sqlite_where=segments.c.is_live,
    postgresql_where=segments.c.is_live,
)
Index(
    "segments_asking",
    segments.c.turn_id,
    sqlite_where=segments.c.is_asking,
    postgresql_where=segments.c.is_asking,
)

# must match the WHERE of the partial indices: for a Boolean column SQLAlchemy writes "= 1", and
# SQLite then does not recognise that the index covers the query
IS_WAITING: ColumnElement[bool] = literal_column("turns.is_waiting")
IS_LIVE: ColumnElement[bool] = literal_column("segments.is_live")
IS_ASKING: ColumnElement[bool] = literal_column("segments.is_asking")

pieces = Table(
    "pieces",
    metadata,
    Column("stream", ForeignKey(segments.c.stream, ondelete="CASCADE"), primary_key=True),
    # the position after the piece, counted as in the protocol
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("content", AnyText, nullable=False),
    sqlite_with_rowid=False,
)

files = Table(
    "files",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("owner", AnyId, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("media_type", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    # the text that was extracted from a document; NULL before that and for other files
    Column("text", AnyText),
    # whether a turn has ever referred to it: without a turn, it is then removed at once
    Column("was_used", Boolean, nullable=False),
    Index("files_of", "owner"),
)

file_uses = Table(
    "file_uses",
    metadata,
    Column("turn_id", ForeignKey(turns.c.id, ondelete="CASCADE"), primary_key=True),
    Column("file_id", ForeignKey(files.c.id, ondelete="CASCADE"), primary_key=True),
    Index("file_uses_of", "file_id"),
)


def _saved(name: str, content: str) -> Table:
    """A table of what users save."""
    return Table(
        name,
        metadata,
        Column("id", AnyId, primary_key=True),
        Column("owner", AnyId, nullable=False),
        Column("name", AnyText, nullable=False),
        # whether all users see it
        Column("is_shared", Boolean, nullable=False),
        Column("updated_at", Double, nullable=False),
        Column(content, AnyText, nullable=False),
        Index(f"{name}_of", "owner"),
    )


prompts = _saved("prompts", "text")
presets = _saved("presets", "options")

# the preset that a user begins new chats with
default_presets = Table(
    "default_presets",
    metadata,
    Column("owner", AnyId, primary_key=True),
    Column("preset_id", ForeignKey(presets.c.id, ondelete="CASCADE"), nullable=False, index=True),
)

# providers of the administrators' page, in addition to those of the settings
providers = Table(
    "providers",
    metadata,
    Column("name", String, primary_key=True),
    # everything but the key, as JSON
    Column("spec", AnyText, nullable=False),
    # the encrypted API key; NULL for none
    Column("secret", Text),
    Column("secret_set_at", Double),
    Column("updated_at", Double, nullable=False),
)

# what administrators have set for single models
model_rules = Table(
    "model_rules",
    metadata,
    Column("model", AnyText, primary_key=True),
    Column("is_disabled", Boolean, nullable=False),
    # as JSON; NULL: that of its provider
    Column("price", AnyText),
)

banners = Table(
    "banners",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("text", AnyText, nullable=False),
    Column("severity", String, nullable=False),
    Column("begins_at", Double),
    Column("ends_at", Double),
    Column("is_dismissible", Boolean, nullable=False),
    Column("updated_at", Double, nullable=False),
)

# single values that administrators have set, and the version of all of them
server_options = Table(
    "server_options",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", AnyText, nullable=False),
)

usage_days = Table(
    "usage_days",
    metadata,
    # since 1970, in UTC
    Column("day", Integer, primary_key=True, autoincrement=False),
    # id of the account, '' on a server without accounts
    Column("owner", AnyId, primary_key=True),
    Column("model", AnyText, primary_key=True),
    # '' for answers without a known cost
    Column("currency", AnyText, primary_key=True),
    Column("answers", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost", Double, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # id of a turn, of a stream, or of a conversation (for its title)
    Column("ref", AnyId, nullable=False, unique=True),
    Column("conversation_id", ForeignKey(conversations.c.id, ondelete="CASCADE"), nullable=False),
    Column("turn_id", ForeignKey(turns.c.id, ondelete="CASCADE")),
    Column("kind", String, nullable=False),
    Column("body", AnyText, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("documents_of", "conversation_id"),
    Index("documents_of_turn", "turn_id"),
    sqlite_autoincrement=True,
)

_listed = conversations.c.deleted_at.is_(None) & conversations.c.pinned_at.is_(None)
for name, where in {
    "conversations_listed": _listed & conversations.c.archived_at.is_(None),
    "conversations_archived": _listed & conversations.c.archived_at.is_not(None),
}.items():
    Index(
        name,
        conversations.c.owner,
        conversations.c.updated_at,
        conversations.c.id,
        sqlite_where=where,
        postgresql_where=where,
    )
Index(
    "conversations_filed",
    conversations.c.owner,
    conversations.c.folder_id,
    conversations.c.updated_at,
    conversations.c.id,
    sqlite_where=_listed & conversations.c.archived_at.is_(None),
    postgresql_where=_listed & conversations.c.archived_at.is_(None),
)
Index(
    "conversations_of_folder",
    conversations.c.folder_id,
    sqlite_where=conversations.c.folder_id.is_not(None),
    postgresql_where=conversations.c.folder_id.is_not(None),
)
Index(
    "conversations_pinned",
    conversations.c.owner,
    conversations.c.pinned_at,
    conversations.c.id,
    sqlite_where=conversations.c.pinned_at.is_not(None),
    postgresql_where=conversations.c.pinned_at.is_not(None),
)
Index(
    "conversations_deleted",
    conversations.c.deleted_at,
    sqlite_where=conversations.c.deleted_at.is_not(None),
    postgresql_where=conversations.c.deleted_at.is_not(None),
)

users = Table(
    "users",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("name", AnyText, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("password", String),
    Column("subject", AnyText, unique=True),
    Column("disabled_at", Double),
    Column("seen_at", Double),
    Column("groups", Names),  # those that the provider named at the last sign-in
)


def _user(name: str = "user_id", **more: Any) -> Column[Any]:
    return Column(name, ForeignKey(users.c.id, ondelete="CASCADE"), **more)


sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("token", AnyId, nullable=False, unique=True),
    _user(nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("agent", AnyText, nullable=False),
    Column("address", AnyText, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("secret", String, nullable=False),
    _user(nullable=False, index=True),
    Column("name", AnyText, nullable=False),
    Column("scopes", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("used_at", Double),
    Column("messages_per_minute", Integer),
    Column("tokens_per_day", BigInteger),
    Column("streams", Integer),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("token", AnyId, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("name", AnyText, nullable=False),
    _user(index=True),
    _user("made_by", index=True),
)

shares = Table(
    "shares",
    metadata,
    Column("id", AnyId, primary_key=True),
    Column("token", AnyId, nullable=False, unique=True),
    Column("owner", AnyId, nullable=False, index=True),
    Column(
        "conversation_id",
        ForeignKey(conversations.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("title", AnyText, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("content", AnyText, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Double, nullable=False, index=True),
    Column("action", String, nullable=False),
    Column("user_id", AnyId, nullable=False),
    Column("name", AnyText, nullable=False),
    Column("subject", AnyText, nullable=False),
    Column("address", AnyText, nullable=False),
    sqlite_autoincrement=True,
)

replicas = Table(
    "replicas",
    metadata,
    # never used again: what a removed process commits is refused, however long it slept
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    # grows while the process runs; the others see only whether it changed
    Column("beat", BigInteger, nullable=False),
    Column("version", String, nullable=False),
    # by the clock of the database
    Column("started_at", Double, nullable=False),
    # what the process says about itself with each beat, in the telemetry's format
    Column("report", Text),
)

server_keys = Table(
    "server_keys",
    metadata,
    Column("name", String, primary_key=True),
    Column("key", String, nullable=False),
)

keyed_requests = Table(
    "keyed_requests",
    metadata,
    # of its owner, the client's key and what it asks
    Column("digest", String, primary_key=True),
    # the stream that answers it
    Column("stream", AnyId, nullable=False),
    Column("created_at", Double, nullable=False, index=True),
)

tickets = Table(
    "tickets",
    metadata,
    Column("hashed", String, primary_key=True),
    Column("user_id", AnyId, nullable=False, index=True),
    # the caller as JSON
    Column("caller", AnyText, nullable=False),
    # of the page that may redeem it; NULL for any
    Column("origin", AnyText),
    # by the clock of the database
    Column("expires_at", Double, nullable=False, index=True),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("id", String, primary_key=True),
    # of the name or the network whose attempts are limited
    Column("digest", String, nullable=False, index=True),
    # by the clock of the database
    Column("expires_at", Double, nullable=False, index=True),
)

busy_slots = Table(
    "busy_slots",
    metadata,
    # of a limit: that of a user or of a key
    Column("name", AnyId, primary_key=True),
    Column("replica", ForeignKey(replicas.c.id, ondelete="CASCADE"), primary_key=True),
    # the answers that run at this server
    Column("count", Integer, nullable=False),
    Index("busy_slots_of", "replica"),
)

replica_figures = Table(
    "replica_figures",
    metadata,
    Column("seconds", Integer, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    # the name of the server, which it keeps over its processes
    Column("name", String, primary_key=True),
    Column("figures", Text, nullable=False),
)

figures = Table(
    "figures",
    metadata,
    Column("seconds", Integer, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("figures", Text, nullable=False),
)
