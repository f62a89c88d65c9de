"""The commands ``wireside users`` and ``wireside keys``.

They can be used while a server runs. It applies their changes within seconds: revoking a key
closes its connections.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.markup import escape
from rich.table import Table

from wireside.cli.console import FAILED, WRONG_USE, err, fail_with, out
from wireside.identity import LOCAL, SCOPES, Caller, Role, Scope
from wireside.settings.load import WrongSettings, load_settings
from wireside.settings.model import Settings

if TYPE_CHECKING:
    from wireside.auth.accounts import Accounts
    from wireside.auth.keys import Keys
    from wireside.ports.accounts import AccountStore
    from wireside.records import UserAccount

users_app = typer.Typer(help="Manage accounts.", no_args_is_help=True)
keys_app = typer.Typer(help="Manage API keys.", no_args_is_help=True)


RoleOption = Annotated[str, typer.Option(help="Role: admin, user or viewer.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the account.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    store: AccountStore
    accounts: Accounts
    keys: Keys
    settings: Settings


@users_app.command("list")
def list_users() -> None:
    """List all accounts."""

    async def print_users(opened: _Opened) -> None:
        table = Table(box=None, header_style="dim")
        for title in ("name", "role", "state", "sign-in", "last seen"):
            table.add_column(title)
        for user in await opened.accounts.list_users(LOCAL):
            table.add_row(
                escape(user.name),
                user.role,
                "disabled" if user.disabled_at else "",
                "password" if user.password else "external",
                _format_day(user.seen_at),
            )
        out.print(table)

    _run_with_accounts(print_users)


@users_app.command("create")
def create_user(
    name: NameArgument,
    role: RoleOption = "user",
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the password from standard input."),
    ] = False,
) -> None:
    """Create an account with a password, without a browser."""
    wanted = _parse_role(role)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)

    async def create_account(opened: _Opened) -> None:
        _require_accounts(opened.settings)
        user = await opened.accounts.create_user(LOCAL, name=name, role=wanted, password=password)
        typer.echo(f"{user.name} is {_article_for(user.role)} {user.role}.")

    _run_with_accounts(create_account)


@users_app.command()
def invite(
    name: Annotated[
        str, typer.Argument(help="Name of the account; default: the user chooses.")
    ] = "",
    role: RoleOption = "user",
) -> None:
    """Print a single-use invitation link, valid for one week."""

    async def print_invitation(opened: _Opened) -> None:
        _require_accounts(opened.settings)
        secret = await opened.accounts.create_invitation(LOCAL, _parse_role(role), name)
        typer.echo(_join_link(opened.settings, secret))

    _run_with_accounts(print_invitation)


@users_app.command()
def reset(name: NameArgument) -> None:
    """Print a single-use password-reset link, valid for one day."""

    async def print_reset_link(opened: _Opened) -> None:
        _require_accounts(opened.settings)
        secret = await opened.accounts.create_reset_link(LOCAL, (await _find_user(opened, name)).id)
        typer.echo(_join_link(opened.settings, secret))

    _run_with_accounts(print_reset_link)


@users_app.command()
def role(name: NameArgument, new: Annotated[str, typer.Argument(help="New role.")]) -> None:
    """Change an account's role: admin, user or viewer."""

    async def change_role(opened: _Opened) -> None:
        await opened.accounts.set_role(LOCAL, (await _find_user(opened, name)).id, _parse_role(new))

    _run_with_accounts(change_role)


@users_app.command()
def disable(name: NameArgument) -> None:
    """Disable an account: sign-in, keys and open sessions stop working."""

    async def disable_account(opened: _Opened) -> None:
        await opened.accounts.disable_user(LOCAL, (await _find_user(opened, name)).id)

    _run_with_accounts(disable_account)


@users_app.command()
def enable(name: NameArgument) -> None:
    """Enable a disabled account."""

    async def enable_account(opened: _Opened) -> None:
        await opened.accounts.enable_user(LOCAL, (await _find_user(opened, name)).id)

    _run_with_accounts(enable_account)


@users_app.command()
def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove an account and all its conversations."""
    if not yes:
        typer.confirm(
            f"Permanently remove {name} and all conversations of this account?", abort=True
        )

    async def remove_account(opened: _Opened) -> None:
        await opened.accounts.remove_user(LOCAL, (await _find_user(opened, name)).id)

    _run_with_accounts(remove_account)


@keys_app.command()
def create(
    user: Annotated[str, typer.Option(help="Account that the key belongs to.")],
    name: Annotated[str, typer.Option(help="Name of the key.")] = "command line",
    scopes: Annotated[
        str, typer.Option(help=f"Comma-separated, any of {', '.join(SCOPES)}.")
    ] = "chat,read",
    days: Annotated[
        float | None, typer.Option(help="Days until the key expires; default: never.")
    ] = None,
    messages_per_minute: Annotated[
        int | None, typer.Option(help="Messages per minute of this key.")
    ] = None,
    tokens_per_day: Annotated[int | None, typer.Option(help="Tokens per day of this key.")] = None,
    streams: Annotated[int | None, typer.Option(help="Concurrent answers of this key.")] = None,
) -> None:
    """Create an API key and print it; it can't be shown again."""

    async def create_key_of_user(opened: _Opened) -> None:
        wanted = frozenset(cast("list[Scope]", [one.strip() for one in scopes.split(",")]))
        _, text = await opened.keys.create_key(
            _caller_of(await _find_user(opened, user)),
            name,
            wanted,
            days=days,
            messages_per_minute=messages_per_minute,
            tokens_per_day=tokens_per_day,
            streams=streams,
        )
        typer.echo(text)

    _run_with_accounts(create_key_of_user)


@keys_app.command("list")
def list_keys() -> None:
    """List all API keys, without their secrets."""

    async def print_keys(opened: _Opened) -> None:
        table = Table(box=None, header_style="dim")
        for title in ("id", "user", "name", "scopes", "expires", "last used"):
            table.add_column(title)
        for user in await opened.accounts.list_users(LOCAL):
            for key in await opened.keys.list_keys(_caller_of(user)):
                table.add_row(
                    key.id,
                    escape(user.name),
                    escape(key.name),
                    ", ".join(sorted(key.scopes)),
                    _format_day(key.expires_at) or "never",
                    _format_day(key.used_at),
                )
        out.print(table)

    _run_with_accounts(print_keys)


@keys_app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as shown by `keys list`.")],
) -> None:
    """Revoke a key; its connections are closed within seconds."""

    async def revoke_key(opened: _Opened) -> None:
        found = await opened.store.find_key_by_id(key_id)
        await opened.keys.revoke_key(_caller_of(found[1]) if found else LOCAL, key_id)

    _run_with_accounts(revoke_key)


def _run_with_accounts(work: Any) -> None:
    from wireside.errors import WiresideError

    try:
        settings = load_settings()
    except WrongSettings as error:
        fail_with(str(error), WRONG_USE)
    if settings.auth == "none":
        err.print("[yellow]Accounts are not used while WIRESIDE_AUTH is none.[/]")
    try:
        asyncio.run(_with_store(settings, work))
    except WiresideError as error:
        fail_with(str(error), FAILED)


async def _with_store(settings: Settings, work: Any) -> None:
    async with _open_accounts(settings) as opened:
        await cast("Coroutine[Any, Any, None]", work(opened))


@asynccontextmanager
async def _open_accounts(settings: Settings) -> AsyncIterator[_Opened]:
    from wireside.auth.accounts import Accounts
    from wireside.auth.connections import LiveConnections
    from wireside.auth.keys import Keys
    from wireside.auth.limiter import MemoryLimiter
    from wireside.auth.login_throttle import LoginThrottle
    from wireside.auth.passwords import Passwords
    from wireside.auth.shell import witnessed
    from wireside.bootstrap.storage import database_url
    from wireside.store.store import SqlStore
    from wireside.telemetry import configure_logging

    configure_logging("text", "error")
    store = SqlStore(database_url(settings))
    try:
        await store.open_beside()
        nobody = LiveConnections()
        has_accounts = settings.auth != "none"
        async with witnessed(store.accounts, has_accounts=has_accounts) as witness:
            accounts = Accounts(
                store=store.accounts,
                passwords=Passwords(),
                presence=nobody,
                tries=LoginThrottle(MemoryLimiter(time.monotonic)),
                wall_clock=time.time,
                witness=witness,
                has_passwords=settings.auth in ("none", "password"),
            )
            keys = Keys(store.accounts, nobody, time.time, witness)
            yield _Opened(store=store.accounts, accounts=accounts, keys=keys, settings=settings)
    finally:
        await store.aclose()


async def _find_user(opened: _Opened, name: str) -> UserAccount:
    from wireside.errors import NotFound
    from wireside.identity import clean_name

    user = await opened.store.user_named(clean_name(name))
    if user is None:
        raise NotFound(f"There is no account {name}; see `wireside users list`.")
    return user


def _caller_of(user: UserAccount) -> Caller:
    return Caller(user_id=user.id, name=user.name, role=user.role)


def _parse_role(text: str) -> Role:
    if text not in ("admin", "user", "viewer"):
        fail_with(f"{text} is not a role: use admin, user or viewer.", WRONG_USE)
    return cast("Role", text)


def _join_link(settings: Settings, secret: str) -> str:
    base = settings.public_url or _own_address(settings)
    return f"{base.rstrip('/')}/join?link={secret}"


def _own_address(settings: Settings) -> str:
    return f"http://{settings.host_name}:{settings.port}{settings.root_path}"


def _require_accounts(settings: Settings) -> None:
    """Fail unless ``WIRESIDE_AUTH`` is ``password``."""
    if settings.auth != "password":
        fail_with(
            f"WIRESIDE_AUTH is {settings.auth}: accounts with passwords are not used. Set"
            " WIRESIDE_AUTH=password, here and for the server.",
            WRONG_USE,
        )


def _article_for(role: str) -> str:
    return "an" if role == "admin" else "a"


def _format_day(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
