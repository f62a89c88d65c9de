"""The provider for OpenAI and compatible servers; the only user of the ``openai`` package.

The package sends the request (URL, key, proxies, TLS, its aiohttp transport). The response's bytes
are parsed here, because the package's chunk objects cost more CPU time than the rest of the server.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import re
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import cache, cached_property, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, cast

import msgspec
import structlog

from wireside.errors import (
    NotConfigured,
    Overloaded,
    ProviderTimeout,
    ProviderUnavailable,
    WiresideError,
)
from wireside.messages import Delta, Finished, Message, ModelInfo, ModelRequest
from wireside.openai_wire.decode import Completion, ErrorSent, Malformed, without_surrogates
from wireside.openai_wire.errors import (
    BROKE_OFF,
    FAILED,
    WRONG_ADDRESS,
    Failure,
    Refit,
    UpstreamProblem,
    failure_for,
    is_error,
    problem_in,
    refit_for,
    retry_after_in,
    without_secrets,
    wrong_address,
)
from wireside.openai_wire.reasoning_tags import KNOWN_TAGS, ReasoningTags, TagPair
from wireside.openai_wire.requests import encode_messages, encode_tools, plain_text, text_only
from wireside.parts import TextPart
from wireside.ports.observer import NULL_OBSERVER, Observer
from wireside.providers.base_url import BaseUrl, base_url_in, other_places, shown, without_user
from wireside.providers.hiding import without_content
from wireside.providers.model_list import models_in
from wireside.providers.openai_package import import_openai
from wireside.providers.silence import SilenceWatch

if TYPE_CHECKING:
    import httpx2
    import openai

_log = structlog.get_logger(__name__)

RETRIES = 2
"""Maximum number of retries of a request.

It is only retried before its first token: later, the answer would be billed and shown twice.
"""

PATIENCE_S = 5.0
"""Maximum ``Retry-After`` in seconds to wait for; a longer one is reported at once."""

GO_ON = "Go on exactly where you stopped, without a word before it."
"""Prompt to continue an answer, for services that reject an assistant's message as the last one."""

LOADING_S = 2.0
"""Interval in seconds between requests to a service that is loading its model."""

LOOK_S = 5.0
"""Timeout in seconds of the search for an API that is not at the configured URL."""
LOOKED_S = 60.0
"""Time in seconds for which the result of that search is cached."""
MAX_REFITS = 1_000
"""Maximum number of models whose request adaptations are cached."""
REDIRECTS = frozenset({301, 302, 303})
"""Redirects that turn a POST into a GET, so that the response can't be an answer."""

CONNECT_S = 10.0
TAIL_S = 2.0
"""Time in seconds to wait for the usage after the model has ended its answer."""
DRAIN_S = 0.1
"""Time in seconds to wait for the end of the body after ``[DONE]``.

Only a connection whose body was read to its end can be reused.
"""
KEEP_S = 30.0
"""Time in seconds for which an idle connection is kept open."""
CAUSES = 6
"""Maximum number of chained causes of an error in the log."""
CHUNK_BYTES = 16 * 1024
"""Maximum number of bytes that are read and parsed at once."""
MAX_WHOLE_BYTES = 16 * 1024 * 1024
"""Maximum size of an answer that is not streamed."""
MAX_REMEMBERED_MODELS = 1_000
MAX_LIST_BYTES = 4 * 1024 * 1024
TRANSCRIPTION_S = 120.0
"""Time limit of a transcription in seconds."""
MAX_REFUSAL_BYTES = 64 * 1024
MAX_PACKED_REFUSAL_BYTES = 4 * 1024
"""Maximum number of bytes read of a compressed error body.

It may expand to a thousand times that size.
"""

CHAT = "/chat/completions"

NO_LIST = (
    "The model service has no list of models. Administrator of this server: set WIRESIDE_MODEL "
    "to the model's name."
)
NO_LIST_IN_TIME = "The model service did not list its models in time; try again."
CLOSED = "The server is shutting down."
NO_ANSWER = "The model service sent no answer; try again."
WEB_PAGE = (
    "The model service sent a web page instead of an answer. Administrator of this server: look at "
    "OPENAI_BASE_URL."
)
NO_TRUST = (
    "The certificate of the model service is not trusted. Administrator of this server: set "
    "OPENAI_BASE_URL to the name that is in it, or SSL_CERT_FILE to the certificate that signed it."
)
_OTHER_SCHEME = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER|UNKNOWN_PROTOCOL|HTTP_REQUEST")
"""Matches the TLS library's errors for a server that does not use TLS."""
MOVED = (
    "The model service has moved to {place}. Administrator of this server: set "
    "OPENAI_BASE_URL to its new address."
)
ELSEWHERE = (
    "The model service is not at this address; its list of models is at {place}. Administrator "
    "of this server: set OPENAI_BASE_URL to that address; `wireside doctor` prints it whole."
)
NO_CHAT_HERE = (
    "The model service lists its models, but answers no chat with this one at this address. "
    "Administrator of this server: look at OPENAI_BASE_URL and at the model's name."
)
NO_TRANSCRIPTION = "The model service has answered with no transcription."
NO_TRANSCRIPTION_IN_TIME = "The model service did not transcribe the file in time; try again."
NO_REACH = "The model service can't be reached at the moment; try again."


class OpenAIProvider:
    """Implements ``ports.provider.Provider`` with the API at ``base_url`` (None: OpenAI's own).

    ``first_token_s`` is the timeout for the first token, whatever keep-alives the service sends
    before it: the model may be loading, queued, or reasoning without output. It is at least
    ``silence_s``, which is also the default. ``silence_s`` is the timeout for any data after the
    first token; a service that sends only keep-alives is cut off after ``first_token_s``. ``tags``
    enclose reasoning in the text of an answer. ``max_connections`` is the maximum number of
    concurrent answers; more are refused. ``backoff_s`` is the delay before the first retry; it
    doubles with each further one.
    """

    kind = "openai"

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None,
        silence_s: float,
        first_token_s: float | None = None,
        max_connections: int = 1000,
        backoff_s: float = 0.5,
        loading_s: float = LOADING_S,
        tail_s: float = TAIL_S,
        watcher: Observer = NULL_OBSERVER,
        on_cannot_chat: Callable[[str], None] = lambda _: None,
        tags: ReasoningTags = KNOWN_TAGS,
    ) -> None:
        """``on_cannot_chat`` is called with each model that refuses to chat."""
        self._api_key = api_key
        self._base_url = base_url
        self._on_cannot_chat = on_cannot_chat
        self._silence_s = silence_s
        self._first_token_s = max(silence_s, first_token_s or 0.0)
        self._max_connections = max_connections
        self._backoff_s = backoff_s
        self._loading_s = loading_s
        self._tail_s = tail_s
        self._watcher = watcher
        self._tags = tags
        self._client: openai.AsyncOpenAI | None = None
        self._requests: _ChatRequests | None = None
        self._making = asyncio.Lock()
        self._open = 0
        self._watches: set[SilenceWatch] = set()
        self._is_closed = False
        self._refits: defaultdict[str, set[Refit]] = defaultdict(set)
        self._looked: tuple[float, str | None] | None = None
        self._opened_before: dict[str, TagPair] = {}  # models whose answers begin inside reasoning

    async def warm_up(self) -> None:
        """Import the package, connect and send a request, to speed up the first answer.

        Errors are ignored here; the first answer reports them.
        """
        with suppress(WiresideError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                await self.models()

    async def models(self) -> Sequence[ModelInfo]:
        """Return the available models in display order. See ``ports.provider.Provider``."""
        client = await self._connected()
        try:
            with self._watch() as watch:
                body = await watch.over(partial(self._get_models, client))
        except TimeoutError:
            raise self._silence(NO_LIST_IN_TIME) from None
        except Exception as error:  # of two libraries with overlapping trees: translated once, here
            failure = self._translated(error, None)
            has_none = getattr(error, "status_code", None) in (404, 405, 501)
            if not has_none and not failure.is_wrong_address:
                raise failure.error from None
        else:
            with suppress(ValueError, RecursionError):
                return models_in(body)
        return await self._models_without_list()

    async def _models_without_list(self) -> Sequence[ModelInfo]:
        """Return the model that the base URL names. Raises ``NotConfigured`` if it names none."""
        if self._base is not None and (name := self._base.deployment):
            return (ModelInfo(id=name, name=name),)
        raise await self._elsewhere(NotConfigured(NO_LIST))

    async def transcribe(self, model: str, file: tuple[str, bytes, str]) -> str:
        """Return the text that is spoken in an audio file.

        Args:
            model: a model that transcribes.
            file: its name, content and media type.

        Raises:
            WiresideError: the service does not answer, or with an error.
        """
        client = await self._connected()
        try:
            async with asyncio.timeout(TRANSCRIPTION_S):
                body = await self._post_audio(client, model, file)
        except TimeoutError:
            raise self._silence(NO_TRANSCRIPTION_IN_TIME) from None
        except Exception as error:  # see ``models``
            raise self._translated(error, None).error from None
        with suppress(ValueError, RecursionError):
            found = json.loads(body)
            if isinstance(found, dict) and isinstance(text := found.get("text"), str):
                return without_surrogates(text).strip()
        raise ProviderUnavailable(NO_TRANSCRIPTION)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Stream an answer. See ``ports.provider.Provider``."""
        if self._open >= self._max_connections:
            raise Overloaded
        self._open += 1
        tries = 0
        until = time.monotonic() + self._first_token_s
        try:
            while True:
                has_begun = False
                try:
                    async with aclosing(self._answer(request)) as deltas:
                        async for delta in deltas:
                            has_begun = True
                            yield delta
                    return
                except _Failed as failed:
                    failure, error = failed.failure, failed.failure.error
                    if not has_begun and failed.is_refitted:
                        continue
                    if not has_begun and failure.is_loading and time.monotonic() < until:
                        await asyncio.sleep(self._loading_s)
                        continue
                    self._watcher.provider_failed(error.code)
                    if failure.cannot_chat:
                        self._on_cannot_chat(request.model)
                    if failure.is_wrong_address and not has_begun:
                        error = await self._elsewhere(error)
                    wait_s = self._wait_s(failure, tries)
                    if has_begun or wait_s is None:
                        raise error from None
                    self._watcher.provider_retried(error.code)
                    tries += 1
                await asyncio.sleep(wait_s)
        finally:
            self._open -= 1
            await asyncio.sleep(0)  # closed sockets are released in the event loop's next iteration

    async def aclose(self) -> None:
        """Close all connections. Running answers end with ``ProviderUnavailable``."""
        self._is_closed = True
        for watch in tuple(self._watches):
            watch.end()
        if self._client is not None:
            await self._client.close()

    # The request

    def _wait_s(self, failure: Failure, tries: int) -> float | None:
        """Return the delay in seconds before the next retry; None if there is no retry."""
        if not failure.may_pass or tries == RETRIES or self._is_closed:
            return None
        asked_s = failure.error.retry_after
        if asked_s is not None:
            return asked_s if asked_s <= PATIENCE_S else None
        spread = random.uniform(0.75, 1)  # noqa: S311 (jitter against simultaneous retries)
        return self._backoff_s * 2.0**tries * spread

    async def _answer(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Make one attempt at an answer. Raises ``_Failed``."""
        response = await self._opened(request)
        completion = Completion(self._tags, inside=self._opened_before.get(request.model))
        try:
            kind = response.headers.get("content-type", "").lower()
            is_whole = "json" in kind and "stream" not in kind and "ndjson" not in kind
            if "html" not in kind and (is_whole or "stream" in self._refits_of(request.model)):
                body = await self._whole(response, request)
                deltas = completion.whole(body)
                self._check(completion, request)
                self._check_document(body, completion, request)
                for delta in deltas:
                    yield delta
            elif "html" in kind:
                self._tell("an HTML page", status=response.status_code)
                raise _Failed(Failure(error=ProviderUnavailable(WEB_PAGE), is_wrong_address=True))
            else:
                async with aclosing(self._read(response, completion, request)) as read:
                    async for delta in read:
                        yield delta
            if not completion.activity and completion.reason is None:
                self._tell("an empty answer", status=response.status_code)
                raise _Failed(Failure(error=ProviderUnavailable(NO_ANSWER), may_pass=True))
        finally:
            self._watcher.provider_named(completion.model, completion.id)
            self._learn_opening(completion, request.model)
            await response.aclose()
        yield Finished(
            completion.reason or "interrupted",
            completion.usage,
            cached_tokens=completion.cached_tokens,
        )

    def _learn_opening(self, completion: Completion, model: str) -> None:
        """Cache whether the model's chat template opens the reasoning, which omits the tag."""
        if completion.was_not_inside:
            self._opened_before.pop(model, None)
        elif (pair := completion.unopened) and len(self._opened_before) < MAX_REMEMBERED_MODELS:
            self._opened_before[model] = pair

    async def _opened(self, request: ModelRequest) -> httpx2.Response:
        """Return the response once its head has arrived. Raises ``_Failed``."""
        try:
            client = await self._connected()
            with self._patient_watch() as watch:
                while True:
                    body = self._body_of(request)
                    try:
                        response = await watch.over(partial(self._post, client, body))
                    except TimeoutError:
                        raise _Failed(
                            Failure(error=self._silence(self._no_answer_in_time))
                        ) from None
                    except Exception as error:  # see ``models``
                        if not self._refitted(error, body, request.model):
                            raise _Failed(self._translated(error, request)) from None
                    else:
                        if (moved := self._moved(response)) is not None:
                            await response.aclose()
                            raise _Failed(moved)
                        return response
        except WiresideError as error:
            raise _Failed(Failure(error=error)) from None

    async def _get_models(self, client: openai.AsyncOpenAI, place: str = "") -> bytes:
        """Return the body of the model list at ``place``, a base URL (empty: the client's own).

        It is cut to ``MAX_LIST_BYTES``, and then is not a valid list.
        """
        import openai

        answer: object = await client.get(
            f"{place}/models",
            cast_to=_http_module().Response,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
            options={"headers": self._headers()},
        )
        return await _limited_body(cast("httpx2.Response", answer))  # see ``_ChatRequests.post``

    async def _post_audio(
        self, client: openai.AsyncOpenAI, model: str, file: tuple[str, bytes, str]
    ) -> bytes:
        """Return the body of the response with the transcription."""
        import openai

        answer: object = await client.post(
            "/audio/transcriptions",
            cast_to=_http_module().Response,
            body={"model": model, "response_format": "json"},
            files=[("file", file)],
            stream=True,
            stream_cls=openai.AsyncStream[Any],
            options={"headers": {**self._headers(), "Content-Type": "multipart/form-data"}},
        )
        return await _limited_body(cast("httpx2.Response", answer))

    async def _post(self, client: openai.AsyncOpenAI, body: dict[str, object]) -> httpx2.Response:
        if self._requests is None or self._requests.client is not client:
            self._requests = _ChatRequests(client)
        return await self._requests.post(body, self._headers())

    def _headers(self) -> dict[str, str | openai.Omit]:
        import openai

        # uncompressed: a compressor may delay an answer, and costs CPU time on both sides
        headers: dict[str, str | openai.Omit] = {"Accept-Encoding": "identity"}
        if self._base is not None and (authorization := self._base.authorization):
            headers["Authorization"] = authorization
        elif self._api_key is None:
            headers["Authorization"] = openai.omit
        elif self._base is not None and self._base.is_azure:
            headers["api-key"] = self._api_key
        return headers

    @cached_property
    def _base(self) -> BaseUrl | None:
        """The configured base URL, None for OpenAI's own. Raises ``ValueError`` if invalid."""
        return base_url_in(self._base_url) if self._base_url else None

    def _refits_of(self, model: str) -> set[Refit]:
        return self._refits.get(model) or set()

    def _body_of(self, request: ModelRequest) -> dict[str, object]:
        refits = self._refits_of(request.model)
        messages: Sequence[Message] = request.messages
        if "tools" in refits:
            messages = [text_only(message) for message in messages]
        if "system" in refits or "roles" in refits:
            messages = without_system(messages)
        if "roles" in refits:
            messages = with_turns(messages)
        if "last_role" in refits and messages[-1].role == "assistant":
            messages = [*messages, Message.of_text("user", GO_ON)]
        body: dict[str, object] = {
            "model": request.model,
            "messages": encode_messages(messages),
            "stream": "stream" not in refits,
        }
        if not refits & {"stream", "stream_options"}:
            body["stream_options"] = {"include_usage": True}
        if request.tools and "tools" not in refits:
            body["tools"] = encode_tools(request.tools)
        if request.parameters:
            body |= json.loads(request.parameters)
        if request.temperature is not None and "temperature" not in refits:
            body["temperature"] = request.temperature
        if request.max_tokens is not None and "no_max_tokens" not in refits:
            name = "max_completion_tokens" if "max_tokens" in refits else "max_tokens"
            body[name] = request.max_tokens
        return body

    def _refitted(self, error: Exception, body: Mapping[str, object], model: str) -> bool:
        """Adapt requests for a model after a refusal; True if the request changes for a retry."""
        status = getattr(error, "status_code", None)
        if status is None:
            return False
        return self._learned(status, problem_in(getattr(error, "body", None)), body, model)

    def _learned(
        self, status: int | None, problem: UpstreamProblem, body: Mapping[str, object], model: str
    ) -> bool:
        refit = refit_for(status, problem, body)
        if refit is None:
            return False
        if model not in self._refits and len(self._refits) >= MAX_REFITS:
            self._refits.clear()
        if refit not in self._refits[model]:
            self._refits[model].add(refit)
            _log.info("model_request_adapted", model=model, without=refit)
        return True

    # The answer

    async def _read(
        self, response: httpx2.Response, completion: Completion, request: ModelRequest
    ) -> AsyncGenerator[Delta, None]:
        seen = 0
        async with _reading(response) as read:
            with self._patient_watch() as watch:
                while not completion.is_done and completion.failure is None:
                    try:
                        data = await watch.over(read)
                    except Exception as error:  # see ``models``
                        for delta in self._rest(completion, error, watch.waited_s):
                            yield delta
                        return
                    if not data:
                        for delta in completion.flush():
                            yield delta
                        self._check(completion, request)
                        return
                    for delta in completion.feed(data):
                        yield delta
                    if completion.activity != seen:
                        seen = completion.activity
                        watch.saw_life()
                        watch.shorten(self._silence_s)  # the first token has arrived
                    elif not completion.is_sure:
                        watch.saw_bytes()
                    self._check(completion, request)
                    if completion.is_sure:
                        watch.shorten(self._tail_s)
                    else:
                        watch.lengthen(self._silence_s)
                watch.shorten(DRAIN_S)
                with suppress(Exception):  # the answer is complete: errors no longer matter
                    await watch.over(read)

    def _rest(self, completion: Completion, error: Exception, waited_s: float) -> Iterator[Delta]:
        """Return the rest of an answer whose stream broke or timed out. Raises ``_Failed``.

        The answer counts as complete if a finish reason arrived and a timeout followed. After a
        lost connection, it does so only if the finish reason came after all text, not with it.
        """
        is_silence = isinstance(error, TimeoutError)
        if completion.reason is not None and (completion.is_sure or is_silence):
            yield from completion.flush()
        else:
            yield from completion.cut()
            raise _Failed(self._broken(error, completion, waited_s))

    async def _whole(self, response: httpx2.Response, request: ModelRequest) -> bytes:
        """Read the body of an answer that is not streamed. Raises ``_Failed``."""
        body = bytearray()
        async with aclosing(response.aiter_bytes()) as reads:
            with self._patient_watch() as watch:
                while len(body) <= MAX_WHOLE_BYTES:
                    try:
                        body += await watch.over(reads.__anext__)
                    except StopAsyncIteration:
                        return bytes(body)
                    except TimeoutError:
                        raise _Failed(
                            Failure(error=self._silence(self._no_answer_in_time))
                        ) from None
                    except Exception as error:  # see ``models``
                        raise _Failed(self._translated(error, request)) from None
        self._tell("an answer without an end")
        raise _Failed(Failure(error=ProviderUnavailable(FAILED)))

    def _check_document(self, body: bytes, completion: Completion, request: ModelRequest) -> None:
        """Raise the error in a JSON document that has a form other than OpenAI's."""
        if completion.activity or completion.reason is not None:
            return
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return
        if is_error(document):
            self._fail(problem_in(document), request)

    def _fail(self, problem: UpstreamProblem, request: ModelRequest) -> NoReturn:
        """Raise an error that was sent in place of an answer."""
        if self._learned(None, problem, self._body_of(request), request.model):
            raise _Failed(Failure(error=ProviderUnavailable(FAILED)), is_refitted=True)
        self._tell("an error in its answer", problem, request)
        raise _Failed(_failure_in_answer(problem, request, has_begun=False))

    def _check(self, completion: Completion, request: ModelRequest) -> None:
        """Raise ``_Failed`` if the answer has failed."""
        failure = completion.failure
        if failure is None:
            return
        if isinstance(failure, ErrorSent):
            problem = problem_in(failure.body)
        else:
            problem = UpstreamProblem(text=failure.said if isinstance(failure, Malformed) else "")
        is_told = bool(problem.text) or isinstance(failure, ErrorSent)
        if is_told and not completion.activity:
            self._fail(problem, request)
        if is_told:
            # not logged: it may repeat the answer, which ``without_content`` does not know
            self._tell("an error in its answer", replace(problem, text=""), request)
        else:
            self._tell("what is no answer", text=str(failure))
        raise _Failed(_failure_in_answer(problem, request, has_begun=bool(completion.activity)))

    # Errors

    def _translated(self, error: Exception, request: ModelRequest | None) -> Failure:
        """Translate an exception of the HTTP packages into a ``Failure``."""
        import openai

        if isinstance(error, openai.APIStatusError):
            if (moved := self._moved(error.response)) is not None:
                return moved
            body = error.body if error.body is not None else error.response.text
            problem = problem_in(body)
            self._tell("an error", problem, request, status=error.status_code)
            model = request.model if request else ""
            wait_s = retry_after_in(error.response.headers, time.time())
            return failure_for(error.status_code, problem, model=model, retry_after=wait_s)
        names = _names_of(error)
        self._tell("no answer", text=names)
        if "CertVerification" in names or "CertificateError" in names:
            return Failure(error=NotConfigured(NO_TRUST))
        if "TooManyRedirects" in names or _OTHER_SCHEME.search(names):
            return wrong_address()
        is_passing = isinstance(error, openai.APIConnectionError)
        return Failure(error=ProviderUnavailable(NO_REACH), may_pass=is_passing)

    def _moved(self, response: httpx2.Response) -> Failure | None:
        """Return a ``Failure`` if the response follows a redirect of ``REDIRECTS``."""
        if not any(step.status_code in REDIRECTS for step in response.history):
            return None
        place = without_user(str(response.url)).partition("?")[0].rstrip("/")
        self._tell("a redirect", text=place)
        if not place.endswith(CHAT):
            return wrong_address()
        place = place.removesuffix(CHAT)
        sentence = MOVED.format(place=f"{place.partition(':')[0]}://{shown(place)}")
        return Failure(error=NotConfigured(sentence, remedy=f"export OPENAI_BASE_URL={place}"))

    async def _elsewhere(self, error: WiresideError) -> WiresideError:
        """Return an error that names the API's URL, or ``error`` if the API is not found."""
        now = time.monotonic()
        if self._looked is None or now - self._looked[0] >= LOOKED_S:
            self._looked = now, None  # concurrent requests do not start a second search
            self._looked = now, await self._look_around()
        place = self._looked[1]
        if place is None:
            return error
        if not place:
            return NotConfigured(NO_CHAT_HERE) if str(error) == WRONG_ADDRESS else error
        _log.warning("model_service_elsewhere", address=without_user(place))
        where, scheme = shown(place), place.partition(":")[0]
        if self._base is not None and not self._base.url.startswith(f"{scheme}:"):
            where = f"{scheme}://{where}"
        sentence = ELSEWHERE.format(place=where)
        return NotConfigured(sentence, remedy=f"export OPENAI_BASE_URL={without_user(place)}")

    async def _look_around(self) -> str | None:
        """Return a base URL that has a model list, "" for the configured one; None if none has."""
        if self._base is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                client = await self._connected()
                for place in ("", *other_places(without_user(self._base.url))):
                    # see ``models``; a URL that fails or times out is skipped
                    with suppress(Exception):
                        async with asyncio.timeout(LOOK_S / 3):
                            body = await self._get_models(client, place)
                        if models_in(body):
                            return place
        return None

    def _tell(
        self,
        what: str,
        problem: UpstreamProblem | None = None,
        request: ModelRequest | None = None,
        *,
        status: int | None = None,
        text: str = "",
    ) -> None:
        problem = problem or UpstreamProblem(text=text)
        asked = [plain_text(message.parts) for message in request.messages] if request else []

        def logged(words: str) -> str | None:
            return without_content(without_secrets(words, self._api_key), asked) or None

        _log.warning(
            "model_service_failed",
            sent=what,
            status=status,
            code=logged(problem.code),
            text=logged(problem.text),
        )

    def _broken(self, error: Exception, completion: Completion, waited_s: float) -> Failure:
        """Return the ``Failure`` for a read that failed or timed out."""
        if isinstance(error, TimeoutError):
            kept = (
                f"The model stopped sending for {waited_s:g} s. What it wrote is kept; "
                "Continue picks up from there."
            )
            return Failure(
                error=self._silence(kept if completion.activity else self._no_answer_in_time)
            )
        self._tell("a broken answer", text=_names_of(error))
        return Failure(error=ProviderUnavailable(BROKE_OFF), may_pass=True)

    def _silence(self, sentence: str) -> WiresideError:
        return ProviderUnavailable(CLOSED) if self._is_closed else ProviderTimeout(sentence)

    @property
    def _no_answer_in_time(self) -> str:
        return f"The model did not answer within {self._first_token_s:g} s; try again."

    def _watch(self) -> SilenceWatch:
        return SilenceWatch(self._silence_s, self._watches)

    def _patient_watch(self) -> SilenceWatch:
        """Return a watch for an answer that has not begun."""
        return SilenceWatch(self._first_token_s, self._watches)

    # The package

    async def _connected(self) -> openai.AsyncOpenAI:
        if self._is_closed:
            raise ProviderUnavailable(CLOSED)
        if self._client is None:
            async with self._making:
                if self._client is None:
                    # imports and certificates take 0.5 s: not in the event loop's thread
                    self._client = await asyncio.to_thread(self._make_client)
        return self._client

    def _make_client(self) -> openai.AsyncOpenAI:
        # Imported on use: the package takes longer to import than the rest of the server, which
        # serves its first page before it needs a model.
        import_openai()
        import openai

        http = _http_module()

        try:
            base = self._base
            return openai.AsyncOpenAI(
                api_key=self._api_key or "none",  # it is required; see ``_headers``
                base_url=without_user(base.url) if base else None,
                default_query=dict(base.query) if base else None,
                max_retries=0,  # ``stream`` retries: it knows whether the answer has begun
                timeout=http.Timeout(None, connect=min(CONNECT_S, self._silence_s)),
                http_client=openai.DefaultAioHttpClient(
                    verify=_trust(),
                    limits=http.Limits(
                        max_connections=self._max_connections + 8,  # 8 for model lists
                        keepalive_expiry=KEEP_S,
                    ),
                    timeout=None,
                    event_hooks={"response": [_shorten_refusal]},
                ),
            )
        except (ValueError, TypeError, openai.OpenAIError, http.InvalidURL) as error:
            self._tell("nothing: the client can't be made", text=repr(error))
            raise NotConfigured(WRONG_ADDRESS) from None


class _ChatRequests:
    """Sends the requests for answers of one client; those after the first one are copies of it.

    Their address and header fields are the same, except for the length and cookies. The package
    builds and checks them for each request, and looks for the way to send them and to read the
    response, which takes more CPU time than sending.
    """

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self.client = client
        self._first: httpx2.Request | None = None
        self._fields: Sequence[tuple[bytes, bytes]] = ()

    async def post(
        self, body: dict[str, object], headers: dict[str, str | openai.Omit]
    ) -> httpx2.Response:
        """Return the response once its head has arrived. Raises the errors of the package."""
        if self._first is not None:
            return await self._send_copy(self._first, body)
        import openai

        answer: object = await self.client.post(
            CHAT,
            cast_to=_http_module().Response,
            body=body,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
            options={"headers": headers},
        )
        # ``cast_to`` makes it a response, not a chunk stream
        response = cast("httpx2.Response", answer)
        first = (*response.history, response)[0].request
        self._fields = [
            field
            for field in first.headers.raw
            if field[0].lower() not in (b"content-length", b"cookie")
        ]
        self._first = first
        return response

    async def _send_copy(self, first: httpx2.Request, body: dict[str, object]) -> httpx2.Response:
        import openai

        client = self.client._client
        request = type(first)(
            "POST",
            first.url,
            headers=self._fields,
            cookies=client.cookies or None,
            content=msgspec.json.encode(body),
            extensions=first.extensions,
        )
        try:
            response = await client.send(request, stream=True)
        except (_http_module().RequestError, ssl.SSLError) as error:
            raise openai.APIConnectionError(request=request) from error
        if response.is_success:
            return response
        await response.aread()
        raise self.client._make_status_error_from_response(response)


async def _shorten_refusal(response: httpx2.Response) -> None:
    """Truncate the body of an error response, which the packages read to its end."""
    if not response.is_success:
        is_packed = "content-encoding" in response.headers
        limit = MAX_PACKED_REFUSAL_BYTES if is_packed else MAX_REFUSAL_BYTES
        stream = cast("httpx2.AsyncByteStream", response.stream)
        response.stream = _beginning_of(stream, limit)


def _beginning_of(stream: httpx2.AsyncByteStream, limit: int) -> httpx2.AsyncByteStream:
    class Beginning(_http_module().AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            left = limit
            async for piece in stream:
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    return

        async def aclose(self) -> None:
            await stream.aclose()

    return cast("httpx2.AsyncByteStream", Beginning())


@cache
def _http_module() -> ModuleType:
    """Return the HTTP package that ``openai`` uses: ``httpx2`` for 3.x, ``httpx`` for 2.x.

    The names that are used here are the same in both.
    """
    import openai

    kinds = openai.DefaultAsyncHttpxClient.__mro__
    client = next(kind for kind in kinds if kind.__name__ == "AsyncClient")
    return importlib.import_module(client.__module__.partition(".")[0])


@cache
def _trust() -> ssl.SSLContext:
    """Return the TLS context; cached, since it takes 70 ms to create and all providers share it."""
    return cast("ssl.SSLContext", _http_module().create_ssl_context())


class _Failed(Exception):
    """One attempt has failed; with ``is_refitted`` the next one sends an adapted request."""

    def __init__(self, failure: Failure, *, is_refitted: bool = False) -> None:
        super().__init__(str(failure.error))
        self.failure = failure
        self.is_refitted = is_refitted


def without_system(messages: Sequence[Message]) -> Sequence[Message]:
    """Move all system text to the beginning of the first user message."""
    system = "\n\n".join(message.text for message in messages if message.role == "system")
    others = [message for message in messages if message.role != "system"]
    if not system:
        return others
    for place, message in enumerate(others):
        if message.role == "user":
            others[place] = Message("user", (TextPart(system), *message.parts))
            return others
    return [Message.of_text("user", system), *others]


def with_turns(messages: Sequence[Message]) -> Sequence[Message]:
    """Join consecutive messages of the same role."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1].role == message.role:
            turns[-1] = Message(message.role, (*turns[-1].parts, *message.parts))
        else:
            turns.append(message)
    return turns


def _failure_in_answer(
    problem: UpstreamProblem, request: ModelRequest, *, has_begun: bool
) -> Failure:
    """Return the ``Failure`` for an error in place of an answer, or in the middle of one."""
    failure = failure_for(None, problem, model=request.model)
    if not has_begun and str(failure.error) == BROKE_OFF:  # there is no text to keep
        return replace(failure, error=ProviderUnavailable(FAILED))
    return failure


def _names_of(error: BaseException) -> str:
    """Return the class names of an error and its causes, with the operating system's messages.

    The HTTP packages' messages are left out: they quote bytes of the answer.
    """
    names: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(names) < CAUSES:
        said = f" ({seen.strerror})" if isinstance(seen, OSError) and seen.errno else ""
        names.append(type(seen).__name__ + said)
        seen = seen.__cause__ or seen.__context__
    return ", by ".join(names)


@asynccontextmanager
async def _reading(
    response: httpx2.Response,
) -> AsyncGenerator[Callable[[], Awaitable[bytes]], None]:
    """Provide a function that reads more of a response's body; it returns b"" at its end."""
    if "content-encoding" not in response.headers:
        content = _aiohttp_content(response.stream)
        if content is not None:
            yield partial(content.read, CHUNK_BYTES)
            return
    async with aclosing(response.aiter_bytes()) as pieces:

        async def read() -> bytes:
            async for piece in pieces:
                if piece:
                    return piece
            return b""

        yield read


def _aiohttp_content(stream: Any) -> Any | None:
    """Return the reader of aiohttp behind the layers of a response's stream, if it has one.

    Each of the layers, asynchronous generators that count and split the bytes, costs as much CPU
    time for a token as its parsing.
    """
    while stream is not None:
        response = getattr(stream, "_aiohttp_response", None)
        if response is not None:
            return response.content
        stream = getattr(stream, "_stream", None)
    return None


async def _limited_body(response: httpx2.Response) -> bytes:
    """Return the body of a response, cut to ``MAX_LIST_BYTES``; then it is not valid JSON."""
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_LIST_BYTES:
                break
    finally:
        await response.aclose()
    return bytes(body[:MAX_LIST_BYTES])
