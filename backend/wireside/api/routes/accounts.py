"""REST routes for accounts: the caller, tickets, API keys, sessions, users and shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from wireside.api.dependencies import CallerChat, CurrentCaller
from wireside.api.errors import PROBLEMS
from wireside.api.policy import API, PAGE, Access, route_policy, with_policy
from wireside.auth.auth import Auth
from wireside.auth.keys import MAX_DAYS, MAX_MESSAGES, MAX_NAME_CHARS, MAX_STREAMS, MAX_TOKENS
from wireside.auth.tickets import GOOD_S
from wireside.errors import NotFound
from wireside.identity import Caller, Role, Scope
from wireside.protocol.handshake import Origin
from wireside.records import ApiKey, SignIn, UserAccount
from wireside.transfer.export_math import export_policy
from wireside.transfer.sharing import Sharing

Id = Annotated[str, Path(max_length=64)]

MAX_SECRET_CHARS: Final = 100

SNAPSHOT: Final = replace(PAGE, access=Access.SHARED, log_as="/s/…")
"""A page whose address grants access, so that logs must not show it."""


class Me(BaseModel):
    """The caller and what is left of its limits. Limits are null where there is none."""

    id: str
    name: str
    role: Role
    scopes: list[Scope]
    messages_left: int | None
    messages_limit: int | None
    messages_reset_s: float | None
    tokens_left: int | None
    tokens_limit: int | None
    tokens_reset_s: float | None
    streams_left: int | None
    streams_limit: int | None


class NewTicket(BaseModel):
    """Options of a new ticket. With `origin`, only pages of that origin can use it."""

    model_config = ConfigDict(strict=True)

    origin: str | None = Field(None, max_length=300)


class Ticket(BaseModel):
    """A single-use ticket.

    Offer `ticket.` followed by it as a WebSocket subprotocol, next to `ai-chat`.
    """

    ticket: str
    expires_in: float = Field(description="Seconds.")


def _range_up_to(largest: int) -> dict[str, Any]:
    return {"minimum": 1, "maximum": largest}


class NewKey(BaseModel):
    """Options of a new API key."""

    model_config = ConfigDict(strict=True)

    # ``Keys`` enforces these limits. Here they are only documented, so that the error sentences are
    # those of ``Keys``.
    name: str = Field(
        json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": r"\S"}
    )
    scopes: list[Scope] = Field(json_schema_extra={"minItems": 1})
    days: float | None = Field(None, json_schema_extra={"exclusiveMinimum": 0, "maximum": MAX_DAYS})
    messages_per_minute: int | None = Field(None, json_schema_extra=_range_up_to(MAX_MESSAGES))
    tokens_per_day: int | None = Field(None, json_schema_extra=_range_up_to(MAX_TOKENS))
    streams: int | None = Field(
        None, description="Answers at once.", json_schema_extra=_range_up_to(MAX_STREAMS)
    )


class Key(BaseModel):
    """An API key. Times are UTC.

    `key` is present only in the response that creates it.
    """

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    messages_per_minute: int | None
    tokens_per_day: int | None
    streams: int | None
    key: str | None = None


class SessionView(BaseModel):
    """A browser session of the caller."""

    id: str
    agent: str
    address: str
    created_at: datetime
    seen_at: datetime
    here: bool


class Person(BaseModel):
    """A user account."""

    id: str
    name: str
    role: Role
    disabled: bool
    has_password: bool
    created_at: datetime
    seen_at: datetime | None


class NewPerson(BaseModel):
    """Options of an invitation. Without a name, the invited user chooses one."""

    model_config = ConfigDict(strict=True)

    role: Role = "user"
    name: str = ""


class PersonChanges(BaseModel):
    """Changes to an account. Fields that are absent stay as they are."""

    model_config = ConfigDict(strict=True)

    role: Role | None = None
    disabled: bool | None = None


class Entry(BaseModel):
    """An entry of the audit log: which user did what, to what, from which address."""

    number: int
    at: datetime
    action: str
    user: str
    name: str
    subject: str
    address: str


class Link(BaseModel):
    """A single-use link. It is shown only once."""

    link: str


class ShareView(BaseModel):
    """A shared snapshot of a conversation.

    `link` is present only in the response that creates it.
    """

    id: str
    conversation: str
    title: str
    created_at: datetime
    link: str | None = None


class AccountRoutes:
    """Routes under ``/api`` for accounts, and the page of a shared snapshot.

    ``base_url`` is the start of the links in responses; "" takes the base URL of the request.
    """

    def __init__(self, auth: Auth, sharing: Sharing, base_url: str) -> None:
        self._auth = auth
        self._sharing = sharing
        self._base_url = base_url.rstrip("/")

    def build_router(self) -> APIRouter:
        """Return the router of the routes under ``/api``."""
        router = APIRouter(prefix="/api", tags=["accounts"], responses={**PROBLEMS})
        router.get("/me")(self.me)
        router.post("/tickets", status_code=201)(self.make_ticket)
        router.get("/keys")(self.keys)
        router.post("/keys", status_code=201)(self.make_key)
        router.delete("/keys/{key_id}", status_code=204)(self.revoke_key)
        router.get("/sessions")(self.sessions)
        router.delete("/sessions/{session_id}", status_code=204)(self.end_session)
        router.get("/users")(self.users)
        router.post("/users", status_code=201)(self.invite)
        router.patch("/users/{user_id}", status_code=204)(self.change)
        router.delete("/users/{user_id}", status_code=204)(self.remove)
        router.post("/users/{user_id}/reset", status_code=201)(self.reset)
        router.get("/audit")(self.audit)
        router.get("/shares")(self.shares)
        router.post("/conversations/{conversation_id}/shares", status_code=201)(self.share)
        router.delete("/shares/{share_id}", status_code=204)(self.revoke_share)
        return with_policy(router, API)

    def build_page_router(self) -> APIRouter:
        """Return the router of the page of a shared snapshot."""
        router = APIRouter(include_in_schema=False)
        # the policy holds for all paths below: each may be a mistyped link
        router.get("/s/{secret:path}", response_class=HTMLResponse)(self.snapshot)
        return router

    # ---- the caller ----------------------------------------------------------------------------

    async def me(self, who: CurrentCaller, chat: CallerChat) -> Me:
        """Return the caller and what is left of its limits."""
        left = await chat.allowance()
        scopes: list[Scope] = [scope for scope in ("chat", "read", "admin") if who.may(scope)]
        return Me(
            id=who.user_id,
            name=who.name,
            role=who.role,
            scopes=scopes,
            messages_left=left.messages_left,
            messages_limit=left.messages_limit,
            messages_reset_s=left.messages_reset_s,
            tokens_left=left.tokens_left,
            tokens_limit=left.tokens_limit,
            tokens_reset_s=left.tokens_reset_s,
            streams_left=left.streams_left,
            streams_limit=left.streams_limit,
        )

    async def make_ticket(
        self, who: CurrentCaller, request: Request, new: NewTicket | None = None
    ) -> Ticket:
        """Create a ticket: valid once, for 30 seconds, to open `/ws/ai-chat` from a browser."""
        wanted = new.origin if new and new.origin else request.headers.get("origin")
        if wanted is not None and Origin.parse(wanted) is None:
            raise NotFound("origin: this is none; write it as https://example.com.")
        ticket = await self._auth.tickets.issue_ticket(who, wanted)
        return Ticket(ticket=ticket, expires_in=GOOD_S)

    async def keys(self, who: CurrentCaller) -> list[Key]:
        """List the caller's own API keys."""
        self._has_accounts()
        return [_key_view(key) for key in await self._auth.keys.list_keys(who)]

    async def make_key(self, who: CurrentCaller, new: NewKey) -> Key:
        """Create an API key; `key` is shown only in this response."""
        self._has_accounts()
        key, text = await self._auth.keys.create_key(
            who,
            new.name,
            new.scopes,
            days=new.days,
            messages_per_minute=new.messages_per_minute,
            tokens_per_day=new.tokens_per_day,
            streams=new.streams,
        )
        return _key_view(key, text)

    async def revoke_key(self, who: CurrentCaller, key_id: Id) -> Response:
        """Revoke an API key and close the connections opened with it at once."""
        self._has_accounts()
        await self._auth.keys.revoke_key(who, key_id)
        return Response(status_code=204)

    async def sessions(self, who: CurrentCaller) -> list[SessionView]:
        """List the caller's browser sessions."""
        self._has_accounts()
        return [_session_view(one, who) for one in await self._auth.sign_ins.list_sessions(who)]

    async def end_session(self, who: CurrentCaller, session_id: Id) -> Response:
        """End a browser session and close its connections at once."""
        self._has_accounts()
        await self._auth.sign_ins.end_session(who, session_id)
        return Response(status_code=204)

    # ---- users ---------------------------------------------------------------------------------

    async def users(self, who: CurrentCaller) -> list[Person]:
        """List all accounts (administrators only)."""
        self._has_accounts()
        return [_person_view(user) for user in await self._auth.accounts.list_users(who)]

    async def invite(self, who: CurrentCaller, new: NewPerson, request: Request) -> Link:
        """Create an invitation link (administrators only)."""
        self._has_accounts()
        secret = await self._auth.accounts.create_invitation(who, new.role, new.name)
        return Link(link=self._absolute_link(request, f"/join?link={secret}"))

    async def change(self, who: CurrentCaller, user_id: Id, changes: PersonChanges) -> Response:
        """Change an account's role, or disable or enable it (administrators only)."""
        self._has_accounts()
        accounts = self._auth.accounts
        if changes.role is not None:
            await accounts.set_role(who, user_id, changes.role)
        if changes.disabled is not None:
            await (accounts.disable_user if changes.disabled else accounts.enable_user)(
                who, user_id
            )
        if changes.role is None and changes.disabled is None:
            who.require("admin")
        return Response(status_code=204)

    async def remove(self, who: CurrentCaller, user_id: Id) -> Response:
        """Delete an account with all its data (administrators only)."""
        self._has_accounts()
        await self._auth.accounts.remove_user(who, user_id)
        return Response(status_code=204)

    async def reset(self, who: CurrentCaller, user_id: Id, request: Request) -> Link:
        """Create a password-reset link for an account (administrators only)."""
        self._has_accounts()
        secret = await self._auth.accounts.create_reset_link(who, user_id)
        return Link(link=self._absolute_link(request, f"/join?link={secret}"))

    async def audit(
        self,
        who: CurrentCaller,
        q: Annotated[str, Query(max_length=200)] = "",
        before: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[Entry]:
        """Read the audit log, newest first (administrators only). `before` takes a `number`."""
        self._has_accounts()
        entries = await self._auth.audit.read_entries(who, q, before=before, limit=limit)
        return [
            Entry(
                number=one.number,
                at=_datetime_of(one.at),
                action=one.action,
                user=one.user_id,
                name=one.name,
                subject=one.subject,
                address=one.address,
            )
            for one in entries
        ]

    # ---- shares --------------------------------------------------------------------------------

    async def shares(self, who: CurrentCaller) -> list[ShareView]:
        """List the caller's shared snapshots."""
        return [
            ShareView(
                id=one.id,
                conversation=one.conversation_id,
                title=one.title,
                created_at=_datetime_of(one.created_at),
            )
            for one in await self._sharing.list_shares(who)
        ]

    async def share(self, chat: CallerChat, conversation_id: Id, request: Request) -> ShareView:
        """Share a snapshot of the shown branch; `link` is shown only once."""
        conversation = await chat.library.open_conversation(conversation_id)
        if conversation is None:
            raise NotFound("There is no such conversation.")
        share, secret = await self._sharing.share_conversation(chat.library, conversation)
        return ShareView(
            id=share.id,
            conversation=conversation.id,
            title=share.title,
            created_at=_datetime_of(share.created_at),
            link=self._absolute_link(request, f"/s/{secret}"),
        )

    async def revoke_share(self, who: CurrentCaller, share_id: Id) -> Response:
        """Revoke a share: its link stops working."""
        await self._sharing.revoke_share(who, share_id)
        return Response(status_code=204)

    @route_policy(SNAPSHOT)
    async def snapshot(self, secret: str) -> HTMLResponse:
        """Serve the page of a shared snapshot."""
        page = await self._sharing.page_of_secret(secret.rstrip("/")[:MAX_SECRET_CHARS])
        headers = {
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex",
            "X-Frame-Options": "DENY",
            # the sandbox gives it an opaque origin: its scripts, for formulas, can't reach this one
            "Content-Security-Policy": f"{export_policy()}; base-uri 'none'; form-action 'none';"
            " frame-ancestors 'none'; sandbox allow-scripts allow-popups"
            " allow-popups-to-escape-sandbox",
        }
        return HTMLResponse(page, headers=headers)

    # ---- helpers -------------------------------------------------------------------------------

    def _has_accounts(self) -> None:
        if not self._auth.has_accounts:
            raise NotFound("This server has no accounts (WIRESIDE_AUTH).")

    def _absolute_link(self, request: Request, path: str) -> str:
        base = self._base_url or str(request.base_url).rstrip("/")
        return base + path


def _key_view(key: ApiKey, text: str | None = None) -> Key:
    return Key(
        id=key.id,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=_datetime_of(key.created_at),
        expires_at=_datetime_or_none(key.expires_at),
        used_at=_datetime_or_none(key.used_at),
        messages_per_minute=key.messages_per_minute,
        tokens_per_day=key.tokens_per_day,
        streams=key.streams,
        key=text,
    )


def _session_view(sign_in: SignIn, who: Caller) -> SessionView:
    return SessionView(
        id=sign_in.id,
        agent=sign_in.agent,
        address=sign_in.address,
        created_at=_datetime_of(sign_in.created_at),
        seen_at=_datetime_of(sign_in.seen_at),
        here=who.credential == f"session {sign_in.id}",
    )


def _person_view(user: UserAccount) -> Person:
    return Person(
        id=user.id,
        name=user.name,
        role=user.role,
        disabled=user.disabled_at is not None,
        has_password=user.password is not None,
        created_at=_datetime_of(user.created_at),
        seen_at=_datetime_or_none(user.seen_at),
    )


def _datetime_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _datetime_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _datetime_of(seconds)
