"""All settings: name, type, default, unit and description.

Only ``bootstrap/``, ``app.py``, the commands (``cli/``, ``doctor/``) and the server's outer layers
(``server/run.py``, ``api/middleware/stack.py``) read them.

Values are taken from, in this order: the command line, the environment (``WIRESIDE_*``), the file
``wireside.toml`` in the working directory, the defaults. ``OPENAI_API_KEY`` and
``OPENAI_BASE_URL`` have no prefix. A secret may be read from a file: a variable with the suffix
``_FILE`` holds its path (``OPENAI_API_KEY_FILE=/run/secrets/openai``).
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, StringConstraints, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from wireside.extension.mcp.servers import McpServer, read_servers
from wireside.openai_wire.reasoning_tags import ReasoningTags
from wireside.protocol.handshake import (
    HandshakePolicy,
    is_for_others,
    is_loopback,
    named_origin,
)
from wireside.providers.specs import Price, ProviderSpec, read_prices, read_specs
from wireside.root_path import parse_root_path

Items = Annotated[tuple[str, ...], NoDecode]
"""A list, comma-separated in the environment (``a, b, c``)."""

QUOTES = " \t\r\n\u00a0\u200b\ufeff\"'`“”‘’"
"""Characters stripped around a value: left over from copying."""

Line = Annotated[str, StringConstraints(strip_whitespace=True)]


DRAIN_S = 600.0
"""Default of ``drain_s`` where other servers serve the readers."""

DRAIN_NOTICE_S = 3.0
"""Default of ``drain_notice_s`` there: two checks of a proxy that looks each second."""


class Settings(BaseSettings):
    """All settings of a server. A field's description is its row in ``docs/settings.md``."""

    model_config = SettingsConfigDict(
        env_prefix="WIRESIDE_",
        toml_file="wireside.toml",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
    )

    # Network
    host: Line = Field(
        "127.0.0.1",
        description="Listening address, or `unix:/path` for a Unix socket; without `AUTH` "
        "only loopback and Unix sockets are allowed.",
    )
    port: int = Field(8080, ge=0, le=65535, description="Listening port; 0: any free port.")
    loopback_published: bool = Field(
        False,
        description="For a container whose port is published on loopback only (`-p "
        "127.0.0.1:8080:8080`): the server may listen on all addresses without `AUTH` or "
        "`PUBLIC_URL`; it answers loopback names and, without `AUTH`, only the container's "
        "gateway.",
    )
    public_url: Line | None = Field(
        None,
        description="URL by which browsers reach the server, if it differs from the "
        "listening address.",
    )
    root_path: Line = Field(
        "",
        description="Path below which a proxy serves Wireside, such as `/tools/chat`; empty: that "
        "of `PUBLIC_URL`.",
    )
    allowed_origins: Items = Field(
        (),
        description="Further origins, comma-separated, whose pages may use `/ws/ai-chat`, "
        "the REST API and assets; also `https://*.example.org`, `null`, "
        "`file://`; with accounts, `*`.",
    )
    frame_ancestors: Items = Field(
        (),
        description="Origins, comma-separated, whose pages may embed Wireside in a frame; `self`: "
        "its own; empty: none.",
    )
    trusted_hosts: Items = Field(
        (), description="Accepted `Host` names, comma-separated; empty: loopback and `PUBLIC_URL`."
    )
    trusted_proxies: Items = Field(
        ("127.0.0.1", "::1"),
        description="Trusted proxies (IP addresses or CIDR networks, comma-separated); "
        "their `X-Forwarded-*` headers are honoured.",
    )

    # Accounts
    auth: Literal["none", "password", "oidc", "proxy"] = Field(
        "none",
        description="Authentication: `none` (this machine only), `password` (Wireside's "
        "own accounts), `oidc` (an OpenID provider), `proxy` (an "
        "authenticating reverse proxy).",
    )
    session_days: float = Field(
        30, gt=0, description="Days without a visit after which a browser session expires."
    )
    oidc_issuer: Line | None = Field(
        None, description="Issuer URL of the OpenID provider, as in its metadata."
    )
    oidc_client_id: Line | None = Field(None, description="Client ID at the OpenID provider.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Client secret at the OpenID provider."
    )
    oidc_name: Line = Field(
        "", description="Name of the provider on the sign-in button; empty: `OpenID`."
    )
    oidc_groups_claim: Line = Field("groups", description="Claim that lists a user's groups.")
    admin_groups: Items = Field(
        (),
        description="Groups of the provider or proxy, comma-separated, whose members are "
        "administrators.",
    )
    user_groups: Items = Field(
        (),
        description="Groups, comma-separated, whose members may chat; other users can "
        "only read; empty: all may chat.",
    )
    proxy_user_header: Line = Field(
        "X-Forwarded-User", description="Header in which the proxy sends the user's name."
    )
    proxy_groups_header: Line = Field(
        "X-Forwarded-Groups",
        description="Header in which the proxy sends the user's groups, comma-separated.",
    )
    audit_days: float = Field(365, gt=0, description="Audit log retention in days.")
    cookie_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Key that signs session cookies, at least 32 characters, the same on all "
        "servers; empty: kept in the database with `REPLICAS`, else in `DATA_DIR`.",
    )
    docs: Literal["off", "users", "public"] = Field(
        "public",
        description="Access to the documentation at `/docs`: `off`, `users` (signed-in only), "
        "`public`.",
    )
    share_with_users: bool = Field(
        True,
        description="Whether users share conversations with other users and groups, with "
        "accounts. Without, members lose access until it is set again.",
    )
    sharing: Literal["off", "users", "public"] = Field(
        "off",
        description="Access to links to conversation snapshots: `off` (sharing is "
        "disabled), `users` (signed-in users) or `public`.",
    )
    user_messages_per_minute: int | None = Field(
        None, ge=1, description="Messages per minute per user, over all connections and keys."
    )
    user_tokens_per_day: int | None = Field(
        None, ge=1, description="Tokens per day per user, contexts and answers together."
    )
    user_streams: int | None = Field(None, ge=1, description="Concurrent answers per user.")
    requests_per_minute: int = Field(
        600, ge=1, description="REST API requests per minute per user or key."
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis URL (`redis://…`) for rate-limit counters shared by several "
        "servers; empty: in-process.",
    )

    # The model
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key"),
        description="API key of the OpenAI-compatible server.",
    )
    openai_base_url: Line | None = Field(
        None,
        validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url"),
        description="Base URL of an OpenAI-compatible server, up to `/v1`.",
    )
    providers: Any = Field(
        (),
        repr=False,
        description="Further OpenAI-compatible servers: tables `[[providers]]` of `wireside.toml`, "
        "or a JSON list of such objects; see [models](models.md#several-providers).",
    )
    prices: Any = Field(
        (),
        description="Prices of the models of `OPENAI_BASE_URL` per million tokens: the table "
        "`[prices]` of `wireside.toml`, or a JSON object; see [models](models.md#prices).",
    )
    model: Line | None = Field(
        None, description="Default model; empty: the first listed model that can chat."
    )
    model_aliases: Items = Field(
        ("gpt-4o=",),
        description="Models that answer for names which the model service does not offer, "
        "comma-separated: `gpt-4o=llama3.3`; `*` is every other name, and nothing after `=` the "
        "default model.",
    )
    system: str | None = Field(None, description="System prompt of requests without one.")
    first_token_s: float = Field(
        600,
        gt=0,
        description="Timeout in seconds for the first token of an answer, including model "
        "loading, queueing and hidden reasoning.",
    )
    silence_s: float = Field(
        60,
        gt=0,
        description="Timeout in seconds without any data during an answer, after its first token.",
    )
    reasoning_tags: Items = Field(
        (),
        description="Further tags around reasoning in answers, comma-separated: `plan` "
        "for `<plan>…</plan>`, or an opening and a closing tag separated by a "
        "space; `off`: no tags.",
    )
    history_messages: int = Field(
        40,
        ge=1,
        description="Maximum number of messages of a conversation that are sent to the model.",
    )
    history_chars: int = Field(
        48_000,
        ge=1,
        description="Maximum number of characters of a conversation that are sent to the model.",
    )
    mcp_servers: SecretStr | None = Field(
        None,
        description="MCP servers whose tools the models may call: JSON of the form "
        '`{"mcpServers": {…}}`, or the path of its file; needs the extra `mcp`.',
    )

    # The embedded model
    local_context_tokens: int = Field(
        4096,
        ge=512,
        le=8192,
        description="Context size of the embedded model, in tokens per answer.",
    )
    local_parallel: int = Field(
        2, ge=1, le=16, description="Concurrent answers of the embedded model."
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("wireside"),
        description="Directory of the embedded model's weights.",
    )
    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("wireside"),
        description="Directory of the server's data: conversations and the key that signs cookies.",
    )

    # Conversations
    database_url: SecretStr | None = Field(
        None,
        description="`postgresql://…` or `sqlite:///…`; empty: a SQLite file in `DATA_DIR`.",
    )
    wait_s: float = Field(
        15,
        ge=0,
        description="Seconds to wait at start for another server to release the database.",
    )
    replicas: bool = Field(
        False,
        description="Several servers share the PostgreSQL database; to be set on each of them.",
    )
    replica_name: Annotated[
        str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9._-]{0,64}$")
    ] = Field(
        "",
        description="Name of this server among those that share the database, unique: letters, "
        "digits, `.`, `_`, `-`; a start removes what an earlier process of that name has left at "
        "once; empty: the host name.",
    )
    replica_beat_s: float = Field(
        1,
        gt=0,
        le=60,
        description="Interval in seconds at which each of several servers shows the others that "
        "it runs.",
    )
    replica_ttl_s: float = Field(
        5,
        gt=0,
        le=600,
        description="Seconds without such a sign after which the others remove a server and "
        "interrupt its answers; at least three intervals; the same on all servers.",
    )
    ballast_mb: int = Field(
        16,
        ge=0,
        description="Size in MB of a reserve file next to a SQLite database, released "
        "when the disk is full so that deleting still works; 0: none.",
    )
    migration_copies: int = Field(
        2,
        ge=0,
        description="Copies of a SQLite database that are kept, newest first; one is made next to "
        "it before each migration; 0: none.",
    )
    retention_days: float | None = Field(
        None, gt=0, description="Days after which a conversation is deleted; empty: never."
    )
    retention_count: int | None = Field(
        None, ge=1, description="Number of conversations to keep, newest first; empty: all."
    )
    title_model: Line = Field(
        "",
        description="Model that writes titles; empty: the model that answered (the "
        "embedded model writes none); `off`: the first words are the title.",
    )
    follow_ups: bool = Field(
        False,
        description="Whether the model suggests up to three questions after each answer in the "
        "page, by a request of its own; not in temporary chats.",
    )
    compaction: Literal["manual", "auto"] = Field(
        "manual",
        description="Summaries of older turns, before they are left out of the model's context: "
        "`manual`, by the user, whom the page warns; `auto`, by the server after an answer.",
    )

    # Files in questions
    files_per_message: int = Field(
        10, ge=0, le=100, description="Files in one question; 0: files are not accepted."
    )
    max_file_mb: int = Field(25, ge=1, le=1024, description="Maximum size of a file in MB.")
    user_files_mb: int | None = Field(
        2048, ge=1, description="Total size in MB of the files of one user; empty: unlimited."
    )
    upload_hours: float = Field(
        24, gt=0, description="Hours after which an upload is deleted that no question refers to."
    )
    files_url: Line | None = Field(
        None,
        description="Bucket of an S3-compatible service in which files are kept, "
        "`s3://bucket/prefix`, for this database only; empty: the folder `files` of the data "
        "directory.",
    )
    s3_endpoint: Line = Field(
        "", description="URL of the S3-compatible service, `https://…`; empty: AWS."
    )
    s3_region: Line = Field("us-east-1", description="Region of the bucket.")
    s3_access_key: SecretStr | None = Field(
        None,
        description="Access key of the bucket; empty: that of the environment (`AWS_…`) or "
        "machine.",
    )
    s3_secret_key: SecretStr | None = Field(None, description="Secret key of the bucket.")

    file_chars: int = Field(
        100_000,
        ge=1_000,
        description="Maximum number of characters of a file's text that are sent to the model; "
        "the rest is cut off.",
    )
    transcription_model: Line | None = Field(
        None,
        description="Model of the service that transcribes audio files, such as `whisper-1`; "
        "empty: audio files are not accepted.",
    )
    recording_s: int = Field(
        300,
        ge=0,
        le=1800,
        description="Maximum length in seconds of a recording in the message box, which the "
        "transcription model writes down; 0: no microphone button.",
    )
    vision_models: Items = Field(
        (),
        description="Models that see images, comma-separated, with `*` for any characters; empty: "
        "as the model list says, or the names.",
    )

    # Limits of the protocol
    messages_per_minute: int = Field(
        100,
        ge=1,
        description="Messages per minute on one connection; exceeding it closes the connection.",
    )
    messages_per_minute_address: int = Field(
        600, ge=1, description="Messages per minute from one address, over all its connections."
    )
    connections_per_address: int = Field(
        100, ge=1, description="Open connections from one address (IPv6: one /64)."
    )
    requests_per_minute_address: int = Field(
        12_000,
        ge=60,
        description="Requests per minute from one address; a page counts as 100, a WebSocket as 5.",
    )
    streams_per_connection: int = Field(
        8, ge=1, description="Concurrent answers on one connection (level 2)."
    )
    waiting_per_connection: int = Field(
        20, ge=0, description="Maximum number of queued level 1 requests on one connection."
    )
    streams: int = Field(1000, ge=1, description="Concurrent answers on the server.")
    save_delay_s: float = Field(
        3,
        gt=0,
        le=60,
        description="Delay in seconds until a new question is stored, above which it is refused.",
    )
    max_frame_bytes: int = Field(
        1024 * 1024, ge=1024, description="Maximum size of a client's frame, in bytes."
    )
    max_message_chars: int = Field(
        100_000, ge=1, description="Maximum length of a user's message, in characters."
    )
    control_frames_per_second: int = Field(
        200, ge=1, description="Control frames and tiny fragments per second on one connection."
    )
    fragments_per_message: int = Field(
        1024, ge=1, description="Maximum number of fragments under 64 bytes in one frame."
    )
    handshake_s: float = Field(
        10, gt=0, description="Timeout in seconds for a new TCP connection to send its request."
    )
    ping_interval_s: float = Field(
        20, gt=0, description="Interval in seconds between WebSocket pings."
    )
    ping_timeout_s: float = Field(
        20, gt=0, description="Timeout in seconds for the reply to a WebSocket ping."
    )
    stalled_s: float = Field(
        60, gt=0, description="Seconds after which a reader that accepts no data is disconnected."
    )
    resume_window_s: float = Field(
        600, ge=0, description="Seconds for which a finished answer can be resumed."
    )
    resume_window_chars: int = Field(
        64_000_000,
        ge=0,
        description="Characters of finished answers kept in memory for resume; the oldest "
        "are dropped first.",
    )
    shutdown_s: float = Field(
        10, ge=0, description="Grace period in seconds for running answers after SIGTERM."
    )
    drain_s: float | None = Field(
        None,
        ge=0,
        description="Grace period in seconds for running answers, in place of `SHUTDOWN_S`; other "
        "servers serve their readers meanwhile; empty: 600 with `REPLICAS`, else `SHUTDOWN_S`.",
    )
    drain_notice_s: float | None = Field(
        None,
        ge=0,
        description="Seconds after SIGTERM in which the server still serves and its readiness "
        "answers 503, so that proxies stop sending; empty: 3 with `REPLICAS`, else 0.",
    )

    # The interface
    name: Line = Field("Wireside", description="Product name on the page.")
    tagline: str = Field(
        "", description="Line below the name in an empty chat; empty: the built-in one."
    )
    logo: Path | None = Field(None, description="SVG or PNG file that replaces the built-in logo.")
    accent: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] | None = Field(
        None, description="Accent colour as `#rrggbb`."
    )
    starters: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Starter questions, separated by `|`; empty: the four built-in ones."
    )
    theme: Literal["system", "light", "dark"] = Field(
        "system", description="Default colour theme: `system`, `light` or `dark`."
    )
    image_hosts: Items = Field(
        (), description="Hosts, comma-separated, whose images in answers load without a click."
    )

    # Logging and metrics
    log_format: Literal["text", "json"] = Field("text", description="Log format: `text` or `json`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Minimum log level: `debug`, `info`, `warning` or `error`."
    )
    log_interval_s: float = Field(
        30, gt=0, description="Interval in seconds between server metrics lines in the log."
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Bearer token required by `/metrics`; empty: only requests from this "
        "machine are answered.",
    )
    otel: bool = Field(
        False,
        description="Export traces by OTLP, configured by `OTEL_EXPORTER_OTLP_ENDPOINT` "
        "and the other `OTEL_*` variables; needs the extra `otel`.",
    )
    otel_content: bool = Field(
        False, description="Include the text of questions and answers in traces."
    )
    debug_cut_s: float = Field(
        0,
        ge=0,
        description="Development only: approximate interval in seconds after which every "
        "connection is cut; 0: never.",
    )

    @field_validator(
        "allowed_origins",
        "frame_ancestors",
        "trusted_hosts",
        "trusted_proxies",
        "image_hosts",
        "admin_groups",
        "user_groups",
        "reasoning_tags",
        "vision_models",
        "model_aliases",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return _split(value, ",")

    @field_validator("reasoning_tags")
    @classmethod
    def _are_tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        ReasoningTags(value)  # raises ValueError for a malformed tag
        return value

    @field_validator("model_aliases")
    @classmethod
    def _are_aliases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _parse_aliases(value)  # raises ValueError for a malformed alias
        return value

    @field_validator("starters", mode="before")
    @classmethod
    def _split_bars(cls, value: object) -> object:
        return _split(value, "|")

    @field_validator("public_url", "openai_base_url", "model", "accent", "logo", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("root_path")
    @classmethod
    def _is_root_path(cls, value: str) -> str:
        return parse_root_path(value)

    @field_validator("public_url")
    @classmethod
    def _in_small_letters(cls, value: str | None) -> str | None:
        """Lower-case the scheme, which is case-insensitive but compared as text elsewhere."""
        scheme, colon, rest = (value or "").partition(":")
        return scheme.lower() + colon + rest if colon else value

    @field_validator("openai_base_url", "model", "title_model", mode="before")
    @classmethod
    def _without_quotes(cls, value: object) -> object:
        """Strip quotation marks: ``docker --env-file`` and some service managers keep them."""
        return value.strip(QUOTES) if isinstance(value, str) else value

    @field_validator("openai_api_key", mode="before")
    @classmethod
    def _bare_key(cls, value: object) -> object:
        """Strip quotation marks and a copied ``Bearer`` prefix from the key."""
        if not isinstance(value, str):
            return value
        return re.sub(r"^bearer\s+", "", value.strip(QUOTES), flags=re.IGNORECASE) or None

    @field_validator(
        "retention_days",
        "retention_count",
        "database_url",
        "metrics_token",
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret",
        "redis_url",
        "cookie_key",
        "drain_s",
        "drain_notice_s",
        "mcp_servers",
        "user_messages_per_minute",
        "user_tokens_per_day",
        "user_streams",
        "user_files_mb",
        "files_url",
        "s3_access_key",
        "s3_secret_key",
        "transcription_model",
        mode="before",
    )
    @classmethod
    def _empty_text_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def exposure(self) -> str | None:
        """Why these settings must not be exposed to other machines; None if they may.

        The server refuses to start with this message.
        """
        if self.auth == "oidc" and not (self.oidc_issuer and self.oidc_client_id):
            return (
                "WIRESIDE_AUTH=oidc requires WIRESIDE_OIDC_ISSUER and WIRESIDE_OIDC_CLIENT_ID, and"
                " WIRESIDE_OIDC_CLIENT_SECRET if the provider issued one."
            )
        if self.loopback_published:
            return self._publication_problem
        if is_loopback(self.host) or self.unix_path is not None:
            return None
        if self.auth == "none":
            return (
                f"WIRESIDE_HOST is {self.host}: without accounts the server may listen on its own"
                " machine only, because anyone who reaches it could use it. Set"
                " WIRESIDE_AUTH=password (or oidc, or proxy), or WIRESIDE_HOST=127.0.0.1."
            )
        if not self.public_url and not self.trusted_hosts:
            return (
                f"WIRESIDE_HOST is {self.host}: set the URL by which browsers reach the server."
                " Example: WIRESIDE_PUBLIC_URL=https://chat.example.org"
            )
        return None

    @property
    def _publication_problem(self) -> str | None:
        """Why ``loopback_published`` does not fit the other settings; None if it does."""
        names = [name for name in (self.public_url, *self.trusted_hosts) if name]
        others = [name for name in names if is_for_others(name)]
        if not others:
            return None
        return (
            "WIRESIDE_LOOPBACK_PUBLISHED is for a container that only its own machine reaches, but"
            f" the server is to answer to {others[0]}. Unset it, and set WIRESIDE_AUTH=password (or"
            " oidc, or proxy)."
        )

    @property
    def publication(self) -> str | None:
        """Warning for a server without accounts in a container; None otherwise.

        How its port is published is unknown here.
        """
        if self.auth != "none" or not self.loopback_published:
            return None
        return (
            "There are no accounts: publish the port on loopback only, as in"
            f" `-p 127.0.0.1:{self.port}:{self.port}`. Anyone who reaches the published port can"
            " read, change and delete all conversations."
        )

    @property
    def openness(self) -> str | None:
        """Warning for a server without accounts that answers to public names; None otherwise.

        A server on loopback may be reachable through a proxy. Whether the proxy authenticates is
        unknown here, so the server starts nevertheless.
        """
        names = [name for name in (self.public_url, *self.trusted_hosts) if name]
        others = [name for name in names if is_for_others(name)]
        if self.auth != "none" or not others:
            return None
        return (
            f"There are no accounts, but the server answers to {others[0]}: anyone who reaches it"
            " there can read, change and delete all conversations. Set WIRESIDE_AUTH=password (or"
            " oidc, or proxy), unless your proxy restricts access to you."
        )

    @property
    def csp_frame_ancestors(self) -> list[str]:
        """``frame_ancestors`` as in a Content-Security-Policy. Raises ``ValueError``."""
        return [
            "'self'" if text == "self" else str(named_origin(text, "WIRESIDE_FRAME_ANCESTORS"))
            for text in self.frame_ancestors
        ]

    @property
    def unix_path(self) -> Path | None:
        """Path of the Unix socket to listen on; None where ``host`` is an address."""
        return Path(self.host.removeprefix("unix:")) if self.host.startswith("unix:") else None

    @property
    def host_name(self) -> str:
        """Name or address by which programs on this machine reach the server."""
        return "localhost" if self.unix_path is not None else self.host

    @property
    def effective_root_path(self) -> str:
        """``root_path``, or the path of ``public_url``; "" for the root.

        Raises:
            ValueError: the two differ, or the URL's path is invalid; the text is a sentence.
        """
        if self.public_url is None:
            return self.root_path
        of_url = parse_root_path(urlsplit(self.public_url).path)
        if self.root_path and of_url != self.root_path:
            raise ValueError(
                f"WIRESIDE_ROOT_PATH is {self.root_path}, but WIRESIDE_PUBLIC_URL is"
                f" {self.public_url}: its path must be the same."
            )
        return of_url

    def handshake_policy(self, *, is_mounted: bool = False) -> HandshakePolicy:
        """Return the rules for Host and Origin. Raises ``ValueError`` with a sentence.

        ``is_mounted``: a host application authenticates the users, and knows its host names.
        """
        if self.origins_without_accounts is not None and not is_mounted:
            raise ValueError(self.origins_without_accounts)
        return HandshakePolicy(
            host="localhost" if self.loopback_published else self.host_name,
            trusted_hosts=self.trusted_hosts,
            public_url=self.public_url,
            allowed_origins=self.allowed_origins,
            checks_host=not is_mounted,
        )

    @property
    def origins_without_accounts(self) -> str | None:
        """Why the server must not start with these ``allowed_origins``; None if it may."""
        if self.auth != "none" or "*" not in self.allowed_origins:
            return None
        return (
            "WIRESIDE_ALLOWED_ORIGINS is `*`: every web page could use this server, which has no"
            " accounts. Set WIRESIDE_AUTH, or list the allowed origins."
        )

    @property
    def loose_origins(self) -> str | None:
        """Warning for allowed origins that do not identify a site; None if there are none."""
        listed = [text.rstrip("/").lower() for text in self.allowed_origins]
        loose = [text for text in listed if text in ("*", "null", "file:")]
        if not loose:
            return None
        named = " and ".join("file://" if text == "file:" else text for text in loose)
        whose = "every page" if "*" in loose else "pages of any site can have that origin"
        return (
            f"WIRESIDE_ALLOWED_ORIGINS lists {named}: {whose}"
            + (" may use this server" if "*" in loose else "")
            + (
                ", and it has no accounts."
                if self.auth == "none"
                else "; access depends on keys and tickets."
            )
        )

    @property
    def effective_replica_name(self) -> str:
        """``replica_name``, or what of the host name is allowed in it."""
        host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64]
        return self.replica_name or host or "replica"

    @property
    def replica_times(self) -> str | None:
        """Why the server must not start with its beat and time to live; None if it may."""
        if self.replica_ttl_s >= 3 * self.replica_beat_s:
            return None
        return (
            f"WIRESIDE_REPLICA_TTL_S is {self.replica_ttl_s:g}: it must be at least three times"
            f" WIRESIDE_REPLICA_BEAT_S, which is {self.replica_beat_s:g}."
        )

    @property
    def effective_drain_s(self) -> float:
        """Seconds for running answers after SIGTERM."""
        if self.drain_s is not None:
            return self.drain_s
        return DRAIN_S if self.replicas else self.shutdown_s

    @property
    def effective_drain_notice_s(self) -> float:
        """Seconds after SIGTERM in which the server still serves, but is not ready."""
        if self.drain_notice_s is not None:
            return self.drain_notice_s
        return DRAIN_NOTICE_S if self.replicas else 0.0

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the server over TLS, regardless of a request's own scheme."""
        return (self.public_url or "").startswith("https:")

    @property
    def mcp_server_list(self) -> tuple[McpServer, ...]:
        """The MCP servers. Raises ``ValueError`` with a sentence that names no secret."""
        if self.mcp_servers is None:
            return ()
        try:
            return read_servers(self.mcp_servers.get_secret_value())
        except ValueError as error:
            raise ValueError(f"{variable_of('mcp_servers')}: {error}") from None

    @property
    def provider_specs(self) -> tuple[ProviderSpec, ...]:
        """The further providers. Raises ``ValueError`` with a sentence that names no secret."""
        value, place = _parsed(self.providers, "providers")
        return read_specs(value, place=place, read_key=lambda file: _read_secret(file, "it"))

    @property
    def main_prices(self) -> tuple[Price, ...]:
        """The prices of the first provider. Raises ``ValueError`` with a sentence."""
        value, place = _parsed(self.prices, "prices")
        return read_prices(value or {}, place=f"{place}: prices")

    @property
    def models_by_alias(self) -> dict[str, str]:
        """The model of each alias; "" is the default model, and the alias "*" every other name."""
        return _parse_aliases(self.model_aliases)

    @property
    def uses_openai(self) -> bool:
        """Whether answers come from OpenAI-compatible servers, not from the embedded model."""
        return self.has_main_service or bool(self.providers)

    @property
    def has_main_service(self) -> bool:
        """Whether ``OPENAI_*`` configure an OpenAI-compatible server."""
        return self.openai_api_key is not None or self.openai_base_url is not None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Precedence: command line, secret files, environment, ``wireside.toml``.

        A secret that is set in both of the environment's forms is refused, so a file only takes
        precedence over an empty variable.
        """
        files = SecretFilesSource(settings_cls)
        return init_settings, files, env_settings, TomlConfigSettingsSource(settings_cls)


class SecretFilesSource(PydanticBaseSettingsSource):
    """Reads secrets from files: ``NAME_FILE`` holds the path, the file holds the value of ``NAME``.

    Raises:
        ValueError: the file is empty or can't be read, or both variables are set.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of one setting, None if its ``_FILE`` variable is not set."""
        name = variable_of(field_name)
        key = _source_key(field, field_name)
        file = os.environ.get(f"{name}_FILE", "").strip()
        if not file or not is_secret(field):
            return None, key, False
        if os.environ.get(name):
            raise ValueError(f"Both {name} and {name}_FILE are set: unset one of them.")
        return _read_secret(file, f"{name}_FILE"), key, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all settings read from files."""
        values: dict[str, Any] = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, field_name)
            if value is not None:
                values[key] = value
        return values


def _source_key(field: FieldInfo, field_name: str) -> str:
    """Return the key under which the other sources return a setting: its first alias."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field_name


def _read_secret(file: str, variable: str) -> str:
    """Return the content of a secret's file. Raises ``ValueError`` with a sentence."""
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"{variable} is `{file}`, which can't be read: {reason}.") from error
    if not text:
        raise ValueError(f"{variable} is `{file}`, which is empty.")
    return text


def variable_of(field_name: str) -> str:
    """Return the environment variable of a setting."""
    return (
        field_name.upper() if field_name.startswith("openai_") else f"WIRESIDE_{field_name.upper()}"
    )


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting's value must not be shown."""
    return "SecretStr" in str(field.annotation) or isinstance(field.default, SecretStr)


def _parse_aliases(items: tuple[str, ...]) -> dict[str, str]:
    models: dict[str, str] = {}
    for item in items:
        alias, equals, model = (text.strip() for text in item.partition("="))
        if not equals or not alias:
            raise ValueError(f"`{item}` is not of the form `gpt-4o=llama3.3`")
        if alias in models:
            raise ValueError(f"`{alias}` is named twice")
        models[alias] = model
    return models


def _parsed(value: Any, field_name: str) -> tuple[Any, str]:
    """Return a value of tables, and where it is: a text is JSON of the environment.

    Raises:
        ValueError: the text is not JSON; it may contain keys, so that it is not quoted.
    """
    if not isinstance(value, str):
        return value, "wireside.toml"
    variable = variable_of(field_name)
    try:
        return json.loads(value) if value.strip() else (), variable
    except (ValueError, RecursionError):
        raise ValueError(f"{variable} is not JSON.") from None


def _split(value: object, separator: str) -> object:
    if not isinstance(value, str):
        return value
    return tuple(item for part in value.split(separator) if (item := part.strip()))
