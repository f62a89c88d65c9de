"""The pages of administrators, server-rendered: providers, models, banners, usage, feedback."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from wireside.api.policy import PAGE, with_policy
from wireside.chat.administration import Administration, ProviderView, price_fields
from wireside.chat.service import ChatService
from wireside.chat.usage import DAY_S
from wireside.errors import BadMessage, Forbidden, NotFound, ProviderError, WiresideError
from wireside.identity import Caller, Role
from wireside.invisible_text import seen
from wireside.providers.specs import Price
from wireside.records import (
    Banner,
    FeedbackCount,
    FeedbackQuery,
    RatedAnswer,
    Severity,
    UsageKey,
    UsageSum,
    Verdict,
)
from wireside_ui.html_pages.account import (
    AccountPages,
    first_field,
    known_caller,
    moment,
    read_form,
    with_moment,
)
from wireside_ui.html_pages.action_results import ActionResult
from wireside_ui.html_pages.money import costs_text
from wireside_ui.i18n.catalogue import words_in
from wireside_ui.request_language import language_of_request

MODELS_PAGE: Final = 50
"""Models per page."""

SHOWN_MODELS: Final = 30
"""Maximum number of models of a provider that are named."""

DAYS: Final = 30
"""Days of usage and feedback that are shown first."""

RATINGS_PAGE: Final = 50
"""Ratings per page."""

SHOWN_CHARS: Final = 4_000
"""Length of a question or an answer that the page shows; the CSV has the whole."""

ROLES: Final = get_args(Role)
SEVERITIES: Final = get_args(Severity)

Form = dict[str, list[str]]
Do = Callable[[Caller, Form, Mapping[str, str]], Awaitable[ActionResult]]
Show = Callable[[Request, Caller, ActionResult, WiresideError | None], Awaitable[Response]]


class AdministrationPages:
    """Registers the pages below ``/admin``."""

    def __init__(
        self, chat: ChatService, administration: Administration, accounts: AccountPages
    ) -> None:
        """``accounts`` are the account pages, in whose frame these are shown."""
        self._chat = chat
        self._administration = administration
        self._accounts = accounts

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        router.get("/admin")(self.show_first)
        router.get("/admin/providers")(self.show_providers)
        router.post("/admin/providers")(self.change_providers)
        router.get("/admin/models")(self.show_models)
        router.post("/admin/models")(self.change_models)
        router.get("/admin/banners")(self.show_banners)
        router.post("/admin/banners")(self.change_banners)
        router.get("/admin/usage")(self.show_usage)
        router.get("/admin/feedback")(self.show_feedback)
        return with_policy(router, PAGE)

    async def show_first(self, request: Request) -> Response:
        """Redirect to the first of the pages."""
        who = known_caller(request)
        return self._accounts.redirect(request, "/admin/providers", who, ActionResult())

    # ---- providers ---------------------------------------------------------------------------

    async def show_providers(self, request: Request) -> Response:
        """Show all providers; administrators only."""
        return await self._shown(request, self._providers)

    async def change_providers(self, request: Request) -> Response:
        """Add, change, test, disable or remove a provider."""
        dos: Mapping[str, Do] = {
            "add": self._add_provider,
            "change": self._change_provider,
            "enable": self._enable_provider,
            "disable": self._enable_provider,
            "remove": self._remove_provider,
            "test": self._test_provider,
        }
        return await self._done(request, dos, self._providers)

    async def _add_provider(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        table = {"name": first_field(form, "name").strip(), **_table(form)}
        await self._administration.add_provider(who, table)
        return ActionResult()

    async def _change_provider(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        table = _table(form)
        del table["enabled"]  # a button of its own
        await self._administration.change_provider(who, first_field(form, "name"), table)
        return ActionResult()

    async def _enable_provider(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        changes = {"enabled": first_field(form, "do") == "enable"}
        await self._administration.change_provider(who, first_field(form, "name"), changes)
        return ActionResult()

    async def _remove_provider(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        await self._administration.remove_provider(who, first_field(form, "name"))
        return ActionResult()

    async def _test_provider(
        self, who: Caller, form: Form, words: Mapping[str, str]
    ) -> ActionResult:
        name = first_field(form, "name")
        try:
            models = await self._administration.test_provider(who, name)
        except ProviderError as error:  # of another server: no failure of this one
            raise BadMessage(f"{name}: {error}") from error
        listed = ", ".join(models[:SHOWN_MODELS]) + (" …" if len(models) > SHOWN_MODELS else "")
        sentence = words["provider_ok"].format(name=name, count=len(models), models=listed)
        return ActionResult(sentence=sentence)

    async def _providers(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None
    ) -> Response:
        words = _words(request)
        views = self._administration.list_providers(who)
        return self._accounts.framed(
            request,
            "admin_providers.html",
            who,
            done=done,
            error=error,
            here="providers",
            title=words["admin_providers"],
            roles=ROLES,
            can_add=self._administration.has_providers,
            providers=[_provider(view, words) for view in views],
        )

    # ---- models ------------------------------------------------------------------------------

    async def show_models(self, request: Request) -> Response:
        """Show all models, whether they are offered and what they cost; administrators only."""
        return await self._shown(request, self._models)

    async def change_models(self, request: Request) -> Response:
        """Hide or offer a model, set its price, or set the default preset."""
        dos: Mapping[str, Do] = {
            "hide": self._hide_model,
            "offer": self._hide_model,
            "price": self._set_price,
            "preset": self._set_preset,
        }
        return await self._done(request, dos, self._models)

    async def _hide_model(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        is_disabled = first_field(form, "do") == "hide"
        model = first_field(form, "model")
        await self._administration.set_disabled(who, model, is_disabled=is_disabled)
        return ActionResult()

    async def _set_price(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        fields: dict[str, Any] = {
            key: _number(text, key)
            for key in ("input", "cached_input", "output")
            if (text := first_field(form, key).strip())
        }
        if fields:
            fields["currency"] = first_field(form, "currency").strip() or "$"
        await self._administration.set_price(who, first_field(form, "model"), fields or None)
        return ActionResult()

    async def _set_preset(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        await self._administration.set_default_preset(who, first_field(form, "preset") or None)
        return ActionResult()

    async def _models(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None
    ) -> Response:
        words = _words(request)
        rules = self._administration.model_rules(who)
        query = request.query_params.get("q", "")[:200]
        try:
            listed = {one.id: one for one in await self._chat.core.parts.models.list_models()}
        except WiresideError as failed:
            listed, error = {}, error or failed
        ids = [*listed, *(model for model in rules if model not in listed)]
        found = [model for model in ids if query.casefold() in model.casefold()]
        text = request.query_params.get("from", "")
        first = int(text) if re.fullmatch("[0-9]{1,6}", text) else 0
        rows = []
        for model in found[first : first + MODELS_PAGE]:
            rule, price = rules.get(model), self._administration.price_of(who, model)
            rows.append(
                {
                    "id": model,
                    "provider": listed[model].provider if model in listed else "",
                    "is_hidden": rule is not None and rule.is_disabled,
                    "has_own_price": rule is not None and rule.price is not None,
                    "price": {} if price is None else _shown_price(price),
                }
            )
        presets = await self._administration.shared_presets(who)
        return self._accounts.framed(
            request,
            "admin_models.html",
            who,
            done=done,
            error=error,
            here="models",
            title=words["admin_models"],
            query=query,
            models=rows,
            older=first + MODELS_PAGE if first + MODELS_PAGE < len(found) else None,
            presets=[(one.id, one.name) for one in presets],
            default_preset=self._administration.default_preset,
        )

    # ---- banners -----------------------------------------------------------------------------

    async def show_banners(self, request: Request) -> Response:
        """Show all banners; administrators only."""
        return await self._shown(request, self._banners)

    async def change_banners(self, request: Request) -> Response:
        """Add, change or remove a banner."""
        dos: Mapping[str, Do] = {"put": self._put_banner, "remove": self._remove_banner}
        return await self._done(request, dos, self._banners)

    async def _put_banner(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        severity = first_field(form, "severity")
        if severity not in SEVERITIES:
            raise BadMessage(f"severity: {', '.join(SEVERITIES)}.")
        await self._administration.put_banner(
            who,
            text=first_field(form, "text"),
            severity=cast("Severity", severity),
            begins_at=_time(first_field(form, "begins_at")),
            ends_at=_time(first_field(form, "ends_at")),
            is_dismissible=bool(form.get("is_dismissible")),
            banner_id=first_field(form, "id"),
        )
        return ActionResult()

    async def _remove_banner(self, who: Caller, form: Form, _: Mapping[str, str]) -> ActionResult:
        await self._administration.remove_banner(who, first_field(form, "id"))
        return ActionResult()

    async def _banners(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None
    ) -> Response:
        words = _words(request)
        shown = {one.id for one in self._administration.banners}
        return self._accounts.framed(
            request,
            "admin_banners.html",
            who,
            done=done,
            error=error,
            here="banners",
            title=words["admin_banners"],
            severities=SEVERITIES,
            banners=[
                _banner(one, is_shown=one.id in shown)
                for one in self._administration.all_banners(who)
            ],
        )

    # ---- usage -------------------------------------------------------------------------------

    async def show_usage(self, request: Request) -> Response:
        """Show the usage by day, user or model; administrators only."""
        return await self._shown(request, self._usage)

    async def _usage(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None
    ) -> Response:
        words = _words(request)
        who.require("admin")
        today = date(1970, 1, 1) + timedelta(days=self._administration.today)
        since, until = today - timedelta(days=DAYS - 1), today
        by = request.query_params.get("by", "user")
        by = by if by in ("user", "model", "day") else "user"
        found: Sequence[tuple[UsageKey, UsageSum]] = ()
        try:
            since = _day(request.query_params.get("from", "")) or since
            until = _day(request.query_params.get("to", "")) or until
            found = await self._administration.read_usage(who, _number_of(since), _number_of(until))
        except BadMessage as wrong:
            error = error or wrong
        names = await self._accounts.user_names(who)
        return self._accounts.framed(
            request,
            "admin_usage.html",
            who,
            done=done,
            error=error,
            here="usage",
            title=words["admin_usage"],
            since=since.isoformat(),
            until=until.isoformat(),
            by=by,
            rows=_usage_rows(found, by, names, words),
        )

    # ---- feedback ----------------------------------------------------------------------------

    async def show_feedback(self, request: Request) -> Response:
        """Show ratings of answers; administrators only."""
        return await self._shown(request, self._feedback)

    async def _feedback(
        self, request: Request, who: Caller, done: ActionResult, error: WiresideError | None
    ) -> Response:
        words = _words(request)
        who.require("admin")
        params = request.query_params
        rating, model = params.get("rating", ""), params.get("model", "")[:500]
        verdict = cast("Verdict", rating) if rating in get_args(Verdict) else None
        text = params.get("skip", "")
        skip = int(text) if re.fullmatch("[0-9]{1,6}", text) else 0
        until = date(1970, 1, 1) + timedelta(days=self._administration.today)
        since = until - timedelta(days=DAYS - 1)
        counts: Sequence[FeedbackCount] = ()
        found: Sequence[RatedAnswer] = ()
        try:
            since = _day(params.get("from", "")) or since
            until = _day(params.get("to", "")) or until
            query = FeedbackQuery(
                since=_number_of(since) * DAY_S, until=(_number_of(until) + 1) * DAY_S
            )
            counts = await self._administration.count_feedback(who, query)
            found = await self._administration.read_feedback(
                who,
                replace(query, verdict=verdict, model=model or None),
                offset=skip,
                limit=RATINGS_PAGE + 1,
            )
        except BadMessage as wrong:
            error = error or wrong
        filters = {"from": since.isoformat(), "to": until.isoformat()}
        filters |= {"rating": verdict} if verdict else {}
        filters |= {"model": model} if model else {}
        older = {**filters, "skip": str(skip + RATINGS_PAGE)}
        return self._accounts.framed(
            request,
            "admin_feedback.html",
            who,
            done=done,
            error=error,
            here="feedback",
            title=words["admin_feedback"],
            since=filters["from"],
            until=filters["to"],
            rating=verdict or "",
            model=model,
            models=sorted({one.model for one in counts} | ({model} if model else set())),
            counts=[_feedback_count(one) for one in counts],
            ratings=[_rating(one, words) for one in found[:RATINGS_PAGE]],
            csv_query=urlencode(filters),
            older=urlencode(older) if len(found) > RATINGS_PAGE else "",
        )

    # ---- all pages ---------------------------------------------------------------------------

    async def _shown(self, request: Request, show: Show) -> Response:
        who = known_caller(request)
        try:
            return await self._accounts.show_result(
                request, who, lambda done: show(request, who, done, None)
            )
        except Forbidden as refused:
            return await self._accounts.refused(request, who, refused)

    async def _done(self, request: Request, dos: Mapping[str, Do], show: Show) -> Response:
        who, form = known_caller(request), await read_form(request)
        try:
            who.require("admin")
            do = dos.get(first_field(form, "do"))
            if do is None:
                raise NotFound("There is no such action.")
            done = await do(who, form, _words(request))
        except Forbidden as refused:
            return await self._accounts.refused(request, who, refused)
        except WiresideError as error:
            return await show(request, who, ActionResult(), error)
        base = request.scope.get("root_path", "")
        path = request.url.path.removeprefix(base)
        return self._accounts.redirect(request, path, who, done)


def _words(request: Request) -> dict[str, str]:
    return words_in(language_of_request(request))


def _table(form: Form) -> dict[str, Any]:
    """Return the table of a provider that a form describes. Raises ``BadMessage``."""
    return {
        "base_url": first_field(form, "base_url").strip() or None,
        "api_key": first_field(form, "api_key").strip() or None,
        "include": _items(form, "include"),
        "exclude": _items(form, "exclude"),
        "aliases": _aliases(form),
        "prices": _prices(first_field(form, "prices")),
        "roles": form.get("role", []),
        "enabled": True,
    }


def _items(form: Form, name: str) -> list[str]:
    parts = re.split(r"[,\n]", first_field(form, name))
    return [item for part in parts if (item := part.strip())]


def _aliases(form: Form) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in _items(form, "aliases"):
        alias, equals, model = (part.strip() for part in item.partition("="))
        if not equals:
            raise BadMessage("aliases: write fast = model.")
        found[alias] = model
    return found


def _prices(text: str) -> dict[str, dict[str, Any]]:
    """Return the table of prices of lines ``PATTERN INPUT OUTPUT [CACHED] [CURRENCY]``."""
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        if not (words := line.split()):
            continue
        pattern, *rest = words
        currency = {} if not rest or _is_number(rest[-1]) else {"currency": rest.pop()}
        if len(rest) not in (2, 3):
            raise BadMessage(f"prices: {line.strip()[:80]}: write PATTERN INPUT OUTPUT.")
        keys = ("input", "output", "cached_input")
        numbers = {key: _number(word, "prices") for key, word in zip(keys, rest, strict=False)}
        found[pattern] = {**numbers, **currency}
    return found


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]*[.,]?[0-9]+", text) is not None


def _number(text: str, name: str) -> float:
    if not _is_number(text) or len(text) > 20:
        raise BadMessage(f"{name}: {text[:40]} is no price.")
    return float(text.replace(",", "."))


def _plain(number: float) -> str:
    """Return a number without an exponent, as ``_number`` reads it."""
    return f"{number:.9f}".rstrip("0").removesuffix(".")


def _price_lines(view: ProviderView) -> str:
    lines = []
    for price in view.spec.prices:
        cached = [] if price.cached_input is None else [_plain(price.cached_input)]
        numbers = (_plain(price.input), _plain(price.output), *cached)
        lines.append(" ".join((price.models, *numbers, price.currency)))
    return "\n".join(lines)


def _provider(view: ProviderView, words: Mapping[str, str]) -> dict[str, Any]:
    spec, failure = view.spec, view.failure
    key: object = ""
    if view.key_set_at is not None:
        key = (
            with_moment(words["provider_key_set"], view.key_set_at)
            if view.key_set_at
            else words["provider_key_fixed"]
        )
    models = view.models
    return {
        "name": spec.name,
        "is_fixed": view.is_fixed,
        "is_enabled": spec.is_enabled,
        "base_url": spec.base_url or "",
        "key": key,
        "include": ", ".join(spec.include),
        "exclude": ", ".join(spec.exclude),
        "aliases": ", ".join(f"{alias} = {model}" for alias, model in spec.aliases.items()),
        "prices": _price_lines(view),
        "roles": spec.roles,
        "models": None if models is None else len(models),
        "named": ", ".join((models or ())[:SHOWN_MODELS]),
        "problem": view.problem,
        "failed_at": moment(failure.at) if failure else "",
        "failure": failure.message if failure else "",
    }


def _shown_price(price: Price) -> dict[str, str]:
    fields = price_fields(price)
    return {key: _plain(one) if isinstance(one, float) else one for key, one in fields.items()}


def _banner(banner: Banner, *, is_shown: bool) -> dict[str, Any]:
    return {
        "id": banner.id,
        "text": banner.text,
        "severity": banner.severity,
        "begins_at": _local(banner.begins_at),
        "ends_at": _local(banner.ends_at),
        "is_dismissible": banner.is_dismissible,
        "is_shown": is_shown,
    }


def _local(seconds: float | None) -> str:
    """Return a time as the value of an input of the type ``datetime-local``, in UTC."""
    if seconds is None:
        return ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M}"


def _time(text: str) -> float | None:
    """Return the time of such a value; None for none. Raises ``BadMessage``."""
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadMessage(f"{text[:40]} is no time.") from error


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadMessage(f"{text[:40]} is no day.") from error


def _feedback_count(one: FeedbackCount) -> dict[str, str]:
    share = 100 * one.up // (one.up + one.down)
    return {"model": one.model, "up": f"{one.up:,}", "down": f"{one.down:,}", "share": f"{share} %"}


def _rating(one: RatedAnswer, words: Mapping[str, str]) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "rating": words["good" if one.verdict == "up" else "bad"],
        "model": one.model,
        "at": moment(one.at),
        "is_shown": one.is_shown,
        "question": seen(_cut(one.question)),
        "answer": seen(_cut(one.answer)),
        "comment": seen(one.words),
    }


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]} …"


def _number_of(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _usage_rows(
    found: Sequence[tuple[UsageKey, UsageSum]],
    by: str,
    names: Mapping[str, str],
    words: Mapping[str, str],
) -> Sequence[Mapping[str, Any]]:
    """Return the sums by user, model or day, those of the largest usage first; then the total."""
    sums: dict[str, dict[str, UsageSum]] = {}
    for key, one in found:
        label = {
            "user": names.get(key.owner, key.owner) or "–",
            "model": key.model,
            "day": (date(1970, 1, 1) + timedelta(days=key.day)).isoformat(),
        }[by]
        for name in (label, ""):
            by_currency = sums.setdefault(name, {})
            by_currency[key.currency] = by_currency.get(key.currency, UsageSum()) + one
    total = sums.pop("", None)
    rows = [_usage_row(label, by_currency) for label, by_currency in sums.items()]
    if by != "day":
        rows.sort(key=lambda row: row["tokens"], reverse=True)
    if total is not None and len(rows) > 1:
        rows.append(_usage_row(words["usage_total"], total) | {"is_total": True})
    return rows


def _usage_row(label: str, by_currency: Mapping[str, UsageSum]) -> dict[str, Any]:
    whole = UsageSum()
    for one in by_currency.values():
        whole += one
    return {
        "label": label,
        "answers": f"{whole.answers:,}",
        "input": f"{whole.input_tokens:,}",
        "output": f"{whole.output_tokens:,}",
        "cost": costs_text({name: one.cost for name, one in by_currency.items() if name}),
        "tokens": whole.input_tokens + whole.output_tokens,
        "is_total": False,
    }
