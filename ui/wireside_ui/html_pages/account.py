"""The account pages: sign-in, join, settings, users, audit log. Server-rendered HTML forms."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup, escape

from wireside.api.errors import status_of, whole_seconds
from wireside.api.policy import PAGE, PUBLIC_PAGE, route_policy, with_policy
from wireside.auth.accounts import Accounts
from wireside.auth.auth import Auth
from wireside.auth.cookies import set_cookie
from wireside.auth.passwords import MIN_CHARS
from wireside.chat.administration import Administration
from wireside.errors import (
    AccountDisabled,
    BadMessage,
    Forbidden,
    NotFound,
    RateLimited,
    SignInFailed,
    Unauthorized,
    WiresideError,
)
from wireside.identity import SCOPES, Caller, Role, Scope
from wireside.ports.quotas import QuotaState
from wireside.records import ApiKey, AuditEntry
from wireside.transfer.sharing import Sharing
from wireside_ui.html_pages.action_results import ActionResult, ActionResults
from wireside_ui.html_pages.audit_details import address_in, detail_in
from wireside_ui.html_pages.money import costs_text
from wireside_ui.html_pages.render import PlainPages
from wireside_ui.i18n.catalogue import sentence_in, words_in
from wireside_ui.request_language import language_of_request
from wireside_ui.theme import Branding

MAX_FIELDS: Final = 20
"""Maximum number of fields of a form."""

AUDIT_PAGE: Final = 100
"""Entries per page of the audit log."""

SPENDING_DAYS: Final = 30
"""Days of the spending that a user is shown."""

PEOPLE_PAGE: Final = 50
"""Accounts per page."""

OPEN_ID: Final = replace(PUBLIC_PAGE, has_sign_in_session=True)

Do = Callable[[Caller, dict[str, list[str]]], Awaitable[ActionResult]]


class AccountPages:
    """Registers the pages.

    ``base_url`` is the public address that generated links start with; "" uses that of the request.
    If it starts with ``https:``, cookies are marked as secure, whatever the scheme of the request.
    """

    def __init__(
        self,
        *,
        auth: Auth,
        sharing: Sharing,
        look: Branding,
        plain: PlainPages,
        base_url: str,
        administration: Administration | None = None,
    ) -> None:
        self._auth = auth
        self._administration = administration
        self._sharing = sharing
        self._look = look
        self._plain = plain
        self._base_url = base_url.rstrip("/")
        self._results = ActionResults(auth.box, is_secure=base_url.startswith("https:"))

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        router.get("/login")(self.show_login)
        router.get("/doctor")(self.show_doctor)
        if not self._auth.has_account_pages:
            router.get("/settings")(self.show_dialog)
        if self._auth.gate.mode == "host":
            return with_policy(router, PAGE)
        router.post("/login")(self.login)
        router.post("/logout")(self.logout)
        router.get("/join")(self.show_join)
        router.post("/join")(self.join)
        router.get("/oidc/login")(self.begin_open_id)
        router.get("/oidc/callback")(self.finish_open_id)
        if self._auth.has_account_pages:
            router.get("/settings")(self.show_settings)
            router.post("/settings/{what:path}")(self.change_settings)
            router.get("/people")(self.show_people)
            router.get("/audit")(self.show_audit)
            router.post("/people/{user_id}")(self.change_people)
        return with_policy(router, PAGE)

    # ---- signing in --------------------------------------------------------------------------

    @route_policy(PUBLIC_PAGE)
    async def show_login(self, request: Request) -> Response:
        """Show the sign-in page; redirect a caller who is already signed in."""
        wanted = safe_path(request.query_params.get("next", "/"))
        if _caller(request) is not None:
            return self._go(request, wanted)
        refused = getattr(request.state, "refused", None)
        if self._auth.gate.mode == "host":
            return self._sign_in_at_host(request, wanted, refused or Unauthorized())
        return self._login(request, wanted, error=refused)

    @route_policy(PUBLIC_PAGE)
    async def login(self, request: Request) -> Response:
        """Sign in with name and password, or show the error."""
        form = await read_form(request)
        name, wanted = first_field(form, "name"), safe_path(first_field(form, "next") or "/")
        if self._auth.gate.mode != "password":
            return self._login(request, wanted)
        try:
            cookie = await self._auth.sign_ins.sign_in(
                name,
                first_field(form, "password"),
                agent=request.headers.get("user-agent", ""),
                address=_address(request),
            )
        except WiresideError as error:
            return self._login(request, wanted, name=name[:64], error=error)
        return await self._signed_in(request, cookie, wanted)

    async def logout(self, request: Request) -> Response:
        """End the session; other open pages of this browser are closed."""
        who = _caller(request)
        if who is not None and who.credential.startswith("session "):
            await self._auth.sign_ins.end_session(who)
        response = self._go(request, "/login")
        response.headers.append("set-cookie", self._cookie(request, ""))
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    @route_policy(PUBLIC_PAGE)
    async def show_join(self, request: Request) -> Response:
        """Show the form of an invitation or password reset link."""
        link = request.query_params.get("link", "")
        return await self._join(request, link, "")

    @route_policy(PUBLIC_PAGE)
    async def join(self, request: Request) -> Response:
        """Create the account, or set the password, and sign in."""
        form = await read_form(request)
        link, name = first_field(form, "link"), first_field(form, "name")
        try:
            user = await self._auth.accounts.accept_invitation(
                link, name, first_field(form, "password")
            )
            cookie = await self._auth.sign_ins.create_session(
                user, agent=request.headers.get("user-agent", ""), address=_address(request)
            )
        except WiresideError as error:
            return await self._join(request, link, name[:64], error)
        return await self._signed_in(request, cookie, "/")

    @route_policy(OPEN_ID)
    async def begin_open_id(self, request: Request) -> Response:
        """Redirect to the OpenID provider."""
        wanted = safe_path(request.query_params.get("next", "/"))
        if self._auth.open_id is None:
            return self._go(request, "/login")
        try:
            callback = self._link(request, "/oidc/callback")
            request.session["next"] = wanted
            return await self._auth.open_id.start_sign_in(request, callback)
        except WiresideError as error:
            return self._login(request, wanted, error=error)

    @route_policy(OPEN_ID)
    async def finish_open_id(self, request: Request) -> Response:
        """Complete the sign-in after the OpenID provider has redirected back."""
        if self._auth.open_id is None:
            return self._go(request, "/login")
        wanted = safe_path(str(request.session.pop("next", "/")))
        try:
            somebody = await self._auth.open_id.finish_sign_in(request)
            cookie = await self._auth.sign_ins.sign_in_vouched(
                somebody,
                self._auth.accounts,
                agent=request.headers.get("user-agent", ""),
                address=_address(request),
            )
        except WiresideError as error:
            return self._login(request, wanted, error=error)
        request.session.clear()
        return await self._signed_in(request, cookie, wanted)

    def _login(
        self,
        request: Request,
        wanted: str,
        *,
        name: str = "",
        error: WiresideError | None = None,
    ) -> Response:
        words = self._words(request)
        open_id = self._auth.open_id
        return self._plain.page(
            request,
            "login.html",
            _status(error),
            title=words["account_sign_in"],
            heading=self._look.name,
            line=self._look.tagline or words["tagline"],
            problem=self._problem(request, error),
            mode=self._auth.gate.mode,
            open_id=open_id.name if open_id else "",
            next=wanted,
            name=name,
        )

    def _sign_in_at_host(self, request: Request, wanted: str, error: WiresideError) -> Response:
        """Say that the host application's sign-in is needed; this chat has none."""
        return self._plain.page(
            request,
            "host_sign_in.html",
            status_of(error, is_page=True),
            is_embeddable=True,
            title=self._look.name,
            heading=self._look.name,
            line=sentence_in(self._language(request), error),
            problem="",
            next=wanted,
        )

    async def _join(
        self, request: Request, link: str, name: str, error: WiresideError | None = None
    ) -> Response:
        words = self._words(request)
        try:
            invitation, known = await self._auth.accounts.invitation(link)
        except WiresideError as gone:
            return self._plain.page(
                request, "join.html", _status(gone), title=words["account_join"],
                heading=words["account_join"], line="", problem=self._problem(request, gone),
                link="",
            )  # fmt: skip
        is_reset = invitation.user_id is not None
        title = words["account_new_password"] if is_reset else words["account_join"]
        fixed = known or invitation.name
        return self._plain.page(
            request,
            "join.html",
            _status(error),
            title=title,
            heading=title,
            line="" if is_reset else words[f"account_join_as_{invitation.role}"],
            problem=self._problem(request, error),
            link=link,
            name=fixed or name,
            is_fixed=bool(fixed),
            min_chars=MIN_CHARS,
            button=words["account_save"] if is_reset else words["account_join"],
        )

    async def _signed_in(self, request: Request, cookie: str, wanted: str) -> Response:
        """Redirect with the cookie of the new session; end the browser's previous session."""
        before = _caller(request)
        if before is not None and before.credential.startswith("session "):
            await self._auth.sign_ins.end_session(before)
        response = self._go(request, wanted)
        response.headers.append("set-cookie", self._cookie(request, cookie))
        return response

    def _cookie(self, request: Request, value: str) -> str:
        is_secure = request.url.scheme == "https" or self._base_url.startswith("https:")
        root_path = request.scope.get("root_path", "")
        return set_cookie(value, days=self._auth.days, is_secure=is_secure, root_path=root_path)

    # ---- the caller's settings ---------------------------------------------------------------

    async def show_dialog(self, request: Request) -> Response:
        """Redirect to the chat, whose dialog has all settings where there are no accounts."""
        return self._go(request, "/#settings")

    async def show_settings(self, request: Request) -> Response:
        """Show the caller's account."""
        who = known_caller(request)
        return await self.show_result(request, who, lambda done: self._settings(request, who, done))

    async def change_settings(self, request: Request, what: str) -> Response:
        """Execute a form of the settings page. Raises ``NotFound`` for an unknown form."""
        who, words = known_caller(request), self._words(request)
        dos: dict[str, Do] = {
            "password": self._set_password,
            "sessions": self._end_sessions,
            "keys": self._make_key,
            "keys/revoke": self._revoke_key,
            "shares/revoke": self._end_share,
        }
        if what not in dos:
            raise NotFound("There is no such page.")
        try:
            done = await dos[what](who, await read_form(request))
        except WiresideError as error:
            return await self._settings(request, who, ActionResult(), error)
        return self.redirect(request, "/settings", who, _in_words(done, words))

    async def _set_password(self, who: Caller, form: dict[str, list[str]]) -> ActionResult:
        accounts = self._auth.accounts
        await accounts.change_password(who, first_field(form, "old"), first_field(form, "new"))
        return ActionResult(sentence="account_password_changed")

    async def _end_sessions(self, who: Caller, form: dict[str, list[str]]) -> ActionResult:
        which = first_field(form, "session")
        if which == "others":
            await self._auth.sign_ins.end_others(who)
        elif which:
            await self._auth.sign_ins.end_session(who, which)
        return ActionResult()

    async def _make_key(self, who: Caller, form: dict[str, list[str]]) -> ActionResult:
        days = first_field(form, "days").strip()
        try:
            lifetime = float(days) if days else None
        except ValueError:
            raise BadMessage("The days are a number.") from None
        _, text = await self._auth.keys.create_key(
            who,
            first_field(form, "name"),
            cast("list[Scope]", [one for one in form.get("scope", []) if one in SCOPES]),
            days=lifetime,
        )
        return ActionResult(title="account_key_made", secret=text, line="account_shown_once")

    async def _revoke_key(self, who: Caller, form: dict[str, list[str]]) -> ActionResult:
        await self._auth.keys.revoke_key(who, first_field(form, "key"))
        return ActionResult()

    async def _end_share(self, who: Caller, form: dict[str, list[str]]) -> ActionResult:
        await self._sharing.revoke_share(who, first_field(form, "share"))
        return ActionResult()

    async def _settings(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None = None
    ) -> Response:
        words = self._words(request)
        has_sessions = who.credential.startswith("session ")
        me = next(
            (user for user in [await self._auth.accounts.find_user(who.user_id)] if user), None
        )
        return self.framed(
            request,
            "settings.html",
            who,
            done=done,
            error=error,
            here="settings",
            title=words["account_settings"],
            has_password=me is not None and me.password is not None,
            min_chars=MIN_CHARS,
            allowance=[
                *_allowance(await self._auth.quotas.allowance(who), words),
                *await self._spending(who, words),
            ],
            sessions=[
                {
                    "id": one.id,
                    "agent": browser_of(one.agent),
                    "address": one.address,
                    "when": with_moment(words["account_used"], one.seen_at),
                    "here": who.credential == f"session {one.id}",
                }
                for one in (await self._auth.sign_ins.list_sessions(who) if has_sessions else ())
            ],
            keys=[_key(key, words) for key in await self._auth.keys.list_keys(who)],
            scopes=[scope for scope in SCOPES if who.may(scope)],
            is_sharing=self._sharing.is_on,
            shares=[
                {
                    "id": one.id,
                    "conversation": one.conversation_id,
                    "title": one.title,
                    "when": with_moment(words["account_shared_at"], one.created_at),
                }
                for one in await self._sharing.list_shares(who)
            ],
        )

    # ---- administration of users -------------------------------------------------------------

    async def show_people(self, request: Request) -> Response:
        """Show all accounts and invitations; administrators only."""
        who = known_caller(request)
        return await self.show_result(request, who, lambda done: self._people(request, who, done))

    async def change_people(self, request: Request, user_id: str) -> Response:
        """Execute a form of the users page."""
        who, words, form = known_caller(request), self._words(request), await read_form(request)
        try:
            if user_id == "invite":
                done = await self._invite(request, who, form)
            else:
                done = await self._change_person(request, who, user_id, form)
        except WiresideError as error:
            return await self._people(request, who, ActionResult(), error)
        return self.redirect(request, "/people", who, _in_words(done, words))

    def redirect(self, request: Request, path: str, who: Caller, done: ActionResult) -> Response:
        """Redirect after a form; the next page shows the result, and reloading repeats nothing."""
        response = self._go(request, path)
        self._results.attach(response, request, who, done)
        return response

    async def show_result(
        self, request: Request, who: Caller, show: Callable[[ActionResult], Awaitable[Response]]
    ) -> Response:
        """Show a page with the result of the last form, once."""
        response = await show(self._results.read(request, who))
        self._results.clear(response, request)
        return response

    async def _invite(
        self, request: Request, who: Caller, form: dict[str, list[str]]
    ) -> ActionResult:
        accounts = self._auth.accounts
        if taken_back := first_field(form, "take_back"):
            await accounts.take_back(who, taken_back)
            return ActionResult()
        secret = await accounts.create_invitation(
            who, _role(form), first_field(form, "name").strip()
        )
        return self._one_time(request, secret, "account_invited")

    async def _change_person(
        self, request: Request, who: Caller, user_id: str, form: dict[str, list[str]]
    ) -> ActionResult:
        accounts: Accounts = self._auth.accounts
        match first_field(form, "do"):
            case "role":
                await accounts.set_role(who, user_id, _role(form))
            case "reset":
                secret = await accounts.create_reset_link(who, user_id)
                return self._one_time(request, secret, "account_reset_made")
            case "disable":
                await accounts.disable_user(who, user_id)
            case "enable":
                await accounts.enable_user(who, user_id)
            case "remove":
                await accounts.remove_user(who, user_id)
            case _:
                who.require("admin")
        return ActionResult()

    def _one_time(self, request: Request, secret: str, title: str) -> ActionResult:
        link = self._link(request, f"/join?link={secret}")
        return ActionResult(title=title, secret=link, line="account_link_once")

    async def _people(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None = None
    ) -> Response:
        words = self._words(request)
        try:
            users = await self._auth.accounts.list_users(who)
            invitations = await self._auth.accounts.invitations(who)
        except Forbidden as refused:
            return await self._settings(request, who, ActionResult(), refused)
        query = request.query_params.get("q", "")[:64]
        found = [user for user in users if query.casefold() in user.name.casefold()]
        first = _number(request.query_params.get("from", "")) or 0
        return self.framed(
            request,
            "people.html",
            who,
            done=done,
            error=error,
            here="people",
            title=words["account_people"],
            can_invite=self._auth.gate.mode == "password",
            query=query,
            older=first + PEOPLE_PAGE if first + PEOPLE_PAGE < len(found) else None,
            people=[
                {
                    "id": user.id,
                    "name": user.name,
                    "role": user.role,
                    "is_me": user.id == who.user_id,
                    "is_disabled": user.disabled_at is not None,
                    "has_password": user.password is not None,
                    "seen": (
                        words["account_never_here"]
                        if user.seen_at is None
                        else with_moment(words["account_last_here"], user.seen_at)
                    ),
                }
                for user in found[first : first + PEOPLE_PAGE]
            ],
            invitations=[
                {
                    "id": one.id,
                    "name": one.name,
                    "what": words[
                        f"account_role_{one.role}" if one.user_id is None else "account_reset"
                    ],
                    "until": with_moment(words["account_until"], one.expires_at),
                }
                for one in invitations
            ],
        )

    async def show_audit(self, request: Request) -> Response:
        """Show the audit log; administrators only."""
        who, words = known_caller(request), self._words(request)
        query = request.query_params.get("q", "")[:200]
        before = _number(request.query_params.get("before", ""))
        try:
            entries = await self._auth.audit.read_entries(
                who, query, before=before, limit=AUDIT_PAGE
            )
        except Forbidden as refused:
            return await self._settings(request, who, ActionResult(), refused)
        return self.framed(
            request,
            "audit.html",
            who,
            done=ActionResult(),
            error=None,
            here="audit",
            title=words["account_audit"],
            query=query,
            entries=[_entry(one, words) for one in entries],
            older=entries[-1].number if len(entries) == AUDIT_PAGE else None,
        )

    # ---- connection doctor -------------------------------------------------------------------

    async def show_doctor(self, request: Request) -> Response:
        """Show the connection doctor; the measurements are made by its script."""
        who, words = known_caller(request), self._words(request)
        return self.framed(
            request,
            "doctor.html",
            who,
            done=ActionResult(),
            error=None,
            here="doctor",
            title=words["doctor_title"],
            address=self._link(request, ""),
            connects=True,
        )

    # ---- rendering ---------------------------------------------------------------------------

    async def _spending(self, who: Caller, words: dict[str, str]) -> Sequence[tuple[str, str]]:
        """Return what the caller's answers have cost, where prices are known."""
        if self._administration is None:
            return ()
        found = await self._administration.own_usage(who, SPENDING_DAYS)
        rows = []
        for word, first_day in (("spent_today", self._administration.today), ("spent_month", 0)):
            costs: dict[str, float] = {}
            for key, one in found:
                if key.currency and key.day >= first_day:
                    costs[key.currency] = costs.get(key.currency, 0.0) + one.cost
            if costs:
                rows.append((words[word], costs_text(costs)))
        return rows

    async def refused(self, request: Request, who: Caller, error: Forbidden) -> Response:
        """Show that a page is not for the caller: the settings with the reason."""
        if self._auth.has_account_pages:
            return await self._settings(request, who, ActionResult(), error)
        raise error

    async def user_names(self, who: Caller) -> Mapping[str, str]:
        """Return the names of all users by id; none on a server without accounts."""
        if not self._auth.has_accounts:
            return {}
        return {user.id: user.name for user in await self._auth.accounts.list_users(who)}

    def framed(
        self,
        request: Request,
        template: str,
        who: Caller,
        *,
        done: ActionResult,
        error: WiresideError | None,
        **values: Any,
    ) -> Response:
        """Render a page in the frame of the account pages.

        Args:
            request: the request.
            template: the template of the page.
            who: the caller.
            done: the result of the action before it.
            error: why the action has failed.
            values: values of the template.
        """
        once = {"title": done.title, "line": done.line, "text": done.secret}
        return self._plain.page(
            request,
            template,
            _status(error),
            me=who,
            has_accounts=self._auth.has_account_pages,
            can_sign_out=who.credential.startswith("session "),
            problem=self._problem(request, error),
            done=done.sentence,
            shown_once=once if done.secret else None,
            **values,
        )

    def _problem(self, request: Request, error: WiresideError | None) -> str:
        words, language = self._words(request), self._language(request)
        match error:
            case None:
                return ""
            case RateLimited():
                seconds = whole_seconds(error.retry_after or 60)
                return words["account_too_many_tries"].format(seconds=seconds)
            case AccountDisabled():
                return words["account_is_disabled"]
            case SignInFailed():
                return words[f"account_service_{error.why}"]
            case _ if error.code == "unauthorized" and not isinstance(error, Forbidden):
                return words["account_wrong"]
            case _ if error.code in ("bad_message", "not_found", "unauthorized"):
                return str(error)
            case _:
                return sentence_in(language, error)

    def _language(self, request: Request) -> str:
        return language_of_request(request)

    def _words(self, request: Request) -> dict[str, str]:
        return words_in(self._language(request))

    def _go(self, request: Request, path: str) -> Response:
        base = request.scope.get("root_path", "")
        return RedirectResponse(f"{base}{path}", 303, {"Cache-Control": "no-store"})

    def _link(self, request: Request, path: str) -> str:
        return (self._base_url or str(request.base_url).rstrip("/")) + path


def safe_path(path: str) -> str:
    """Return ``path`` if it is a safe path on this server, else "/"; prevents open redirects.

    >>> safe_path("//evil.example"), safe_path("/c/1?turn=2")
    ('/', '/c/1?turn=2')
    """
    if not re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", path) or len(path) > 500:
        return "/"
    return quote(path, safe="/?=&%-._~:@!$'()*+,;")


def browser_of(agent: str) -> str:
    """Return browser and system of a User-Agent; its first 60 characters if unknown."""
    kinds = (
        ("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    )  # fmt: skip
    systems = (
        ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
        ("Mac OS", "macOS"), ("Linux", "Linux"),
    )  # fmt: skip
    kind = next((name for mark, name in kinds if f"{mark}/" in agent), "")
    system = next((name for mark, name in systems if mark in agent), "")
    return " · ".join(part for part in (kind, system) if part) or agent[:60]


def _entry(entry: AuditEntry, words: Mapping[str, str]) -> dict[str, str | Markup]:
    """Return an entry of the audit log for display; the subject of a sign-in is its browser.

    ``in_full`` is what is stored, by which the search finds it, where that is not what is shown.
    """
    detail = detail_in(words, entry.action, entry.subject)
    if detail is None:
        is_browser = entry.action == "signed_in"
        detail = browser_of(entry.subject) if is_browser else entry.subject
    return {
        "at": moment(entry.at),
        "action": words.get(f"audit_{entry.action}") or entry.action.replace("_", " "),
        "code": entry.action,
        "name": entry.name,
        "subject": detail,
        "in_full": entry.subject if entry.subject != detail else "",
        "address": address_in(words, entry.address),
    }


def _number(text: str) -> int | None:
    """Return a place in a list, None if there is none."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def _caller(request: Request) -> Caller | None:
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller


def known_caller(request: Request) -> Caller:
    """Return the caller of a request. Raises ``Forbidden`` without one."""
    caller = _caller(request)
    if caller is None:
        raise Forbidden
    return caller


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form, without files."""
    fields: dict[str, list[str]] = {}
    async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=20_000) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                fields.setdefault(name, []).append(value)
    return fields


def first_field(form: dict[str, list[str]], name: str) -> str:
    """Return the first value of a field, "" if there is none."""
    return form.get(name, [""])[0]


def _role(form: dict[str, list[str]]) -> Role:
    role = first_field(form, "role")
    if role not in ("admin", "user", "viewer"):
        raise BadMessage("role: admin, user or viewer.")
    return cast("Role", role)


def _status(error: WiresideError | None) -> int:
    return 200 if error is None else status_of(error, is_page=True)


def _in_words(done: ActionResult, words: dict[str, str]) -> ActionResult:
    return ActionResult(
        sentence=words.get(done.sentence, done.sentence),
        title=words.get(done.title, done.title),
        secret=done.secret,
        line=words.get(done.line, done.line),
    )


def _allowance(left: QuotaState, words: dict[str, str]) -> Sequence[tuple[str, str]]:
    rows = []
    for what, count, limit in (
        ("messages", left.messages_left, left.messages_limit),
        ("tokens", left.tokens_left, left.tokens_limit),
        ("streams", left.streams_left, left.streams_limit),
    ):
        if limit is not None:
            value = words["account_left"].format(count=f"{count:,}", limit=f"{limit:,}")
            rows.append((words[f"account_{what}"], value))
    return rows


def _key(key: ApiKey, words: dict[str, str]) -> dict[str, Any]:
    limits = []
    if key.messages_per_minute:
        limits.append(f"{key.messages_per_minute} {words['account_messages']}")
    if key.tokens_per_day:
        limits.append(f"{key.tokens_per_day:,} {words['account_tokens']}")
    if key.streams:
        limits.append(f"{key.streams} {words['account_streams']}")
    expires = with_moment(words["account_until"], key.expires_at)
    used = with_moment(words["account_used"], key.used_at)
    return {
        "id": key.id,
        "name": key.name,
        "scopes": ", ".join(words[f"account_scope_{one}"] for one in sorted(key.scopes)),
        "expires": expires if key.expires_at else words["account_never_expires"],
        "used": used if key.used_at else words["account_never_used"],
        "limits": ", ".join(limits),
    }


def moment(seconds: float | None) -> Markup:
    """Return a time as an element, which the page's script shows by the reader's clock."""
    if seconds is None:
        return Markup()
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M} UTC"
    )


def with_moment(sentence: str, seconds: float | None) -> Markup:
    """Return a sentence of the catalogue with a time as its ``when``."""
    return escape(sentence).format(when=moment(seconds))
