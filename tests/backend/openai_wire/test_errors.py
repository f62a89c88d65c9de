"""The errors of model servers, and the error of ours that each becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside.errors import (
    BadMessage,
    ContentFilter,
    ContextTooLong,
    NotConfigured,
    ProviderAuth,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
    WiresideError,
)
from wireside.openai_wire.errors import (
    UpstreamProblem,
    failure_for,
    problem_in,
    refit_for,
    retry_after_in,
    without_secrets,
)

CANARY = "sk-canary-0123456789"


def test_of_a_long_text_the_beginning_is_searched() -> None:
    """Searching all nine megabytes of this text took a minute."""
    said = "context length exceeded " + "model " * 1_500_000
    assert isinstance(failure_for(400, UpstreamProblem(text=said), model="m").error, ContextTooLong)
    said = "model " * 1_500_000 + "not found"
    assert isinstance(failure_for(400, UpstreamProblem(text=said), model="m").error, BadMessage)


def openai_error(**error: Any) -> dict[str, Any]:
    return {"error": {"message": f"about {CANARY}", "type": "some_error", **error}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "may_pass"),
    [
        (400, openai_error(code="context_length_exceeded"), ContextTooLong, False),
        (400, openai_error(type="exceed_context_size_error"), ContextTooLong, False),
        (400, openai_error(message="maximum context length is 8 tokens"), ContextTooLong, False),
        (400, {"object": "error", "message": "the prompt is too long"}, ContextTooLong, False),
        (500, openai_error(message="context size exceeded"), ContextTooLong, False),
        (413, "<html>", ContextTooLong, False),
        (400, openai_error(code="content_filter"), ContentFilter, False),
        (400, openai_error(code="content_policy_violation"), ContentFilter, False),
        (404, openai_error(code="model_not_found"), UnknownModel, False),
        (400, openai_error(code="model_not_found"), UnknownModel, False),
        (404, {"error": 'model "x" not found, try pulling it first'}, UnknownModel, False),
        (404, openai_error(code=None), UnknownModel, False),
        (400, openai_error(message="The model `x` does not exist"), UnknownModel, False),
        (404, {"detail": "Not Found"}, NotConfigured, False),
        (
            404,
            {"type": "https://tools.ietf.org/html/rfc9110", "title": "Not Found", "status": 404},
            NotConfigured,
            False,
        ),
        (
            404,
            {"status": 404, "title": "Not Found", "detail": "Function 'a': Not found for account"},
            UnknownModel,
            False,
        ),
        (400, {"error": {"code": "1261", "message": "Prompt 超长"}}, ContextTooLong, False),
        (
            None,
            {"error_code": 336007, "error_msg": "the max input characters is 4800"},
            ContextTooLong,
            False,
        ),
        (404, "<html>nginx", NotConfigured, False),
        (302, "", NotConfigured, False),
        (400, openai_error(), BadMessage, False),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}],
            ProviderAuth,
            False,
        ),
        (400, openai_error(message="Incorrect API key provided: x"), ProviderAuth, False),
        (401, {"code": "InvalidApiKey", "message": "no"}, ProviderAuth, False),
        (
            None,
            {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
            ProviderAuth,
            False,
        ),
        (
            None,
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
            ProviderAuth,
            False,
        ),
        (
            None,
            {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
            ProviderRateLimited,
            True,
        ),
        (
            None,
            {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
            ProviderAuth,
            False,
        ),
        (
            400,
            {"success": False, "errors": [{"code": 5007, "message": "No such model x or task"}]},
            UnknownModel,
            False,
        ),
        (None, {"code": 500, "msg": "no"}, ProviderUnavailable, True),
        (503, {"error": {"code": 503, "message": "Loading model"}}, ProviderUnavailable, False),
        (
            500,
            {"error": "model requires more system memory (5.6 GiB) than is available (3.2 GiB)"},
            ProviderUnavailable,
            False,
        ),
        (None, openai_error(message="CUDA out of memory"), ProviderUnavailable, False),
        (422, {"detail": [{"loc": ["body"], "msg": "no"}]}, BadMessage, False),
        (401, openai_error(code="invalid_api_key"), ProviderAuth, False),
        (403, "", ProviderAuth, False),
        (402, openai_error(), ProviderAuth, False),
        (429, openai_error(code="insufficient_quota"), ProviderAuth, False),
        (429, openai_error(code="rate_limit_exceeded"), ProviderRateLimited, True),
        (429, "", ProviderRateLimited, True),
        (408, "", ProviderTimeout, True),
        (504, "", ProviderTimeout, True),
        (409, "", ProviderUnavailable, True),
        (500, openai_error(), ProviderUnavailable, True),
        (503, None, ProviderUnavailable, True),
        (529, openai_error(type="overloaded_error"), ProviderUnavailable, True),
        (None, openai_error(), ProviderUnavailable, True),
        (None, openai_error(code=429), ProviderRateLimited, True),
        (None, openai_error(code="401"), ProviderAuth, False),
        (None, openai_error(type="rate_limit_error"), ProviderRateLimited, True),
        (None, openai_error(type="overloaded_error"), ProviderRateLimited, True),
        (None, openai_error(type="authentication_error"), ProviderAuth, False),
        (None, openai_error(code="context_length_exceeded"), ContextTooLong, False),
        (None, openai_error(code="content_filter"), ContentFilter, False),
        (None, {"error": "broke"}, ProviderUnavailable, True),
        (None, [], ProviderUnavailable, True),
    ],
)
def test_each_failure_is_one_of_our_errors(
    status: int | None, body: object, kind: type[WiresideError], may_pass: bool
) -> None:
    failure = failure_for(status, problem_in(body), model="x")
    assert type(failure.error) is kind
    assert failure.may_pass is may_pass
    assert CANARY not in str(failure.error)
    assert str(failure.error).endswith(".")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # API keys
        (400, {"error": {"message": "API key not valid.", "status": "INVALID_ARGUMENT"}}, "auth"),
        (400, [{"error": {"message": "API Key not found. Please pass one."}}], "auth"),
        (400, {"error": {"message": "Invalid API key"}}, "auth"),
        (200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "auth"),
        (200, {"base_resp": {"status_code": 2049, "status_msg": "?"}}, "auth"),
        (200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, "auth"),
        (200, {"code": 401, "msg": "令牌已过期或验证不正确"}, "auth"),
        (400, {"success": False, "errors": [{"code": 10000, "message": "Unauthorized"}]}, "auth"),
        (401, {"status": 401, "title": "Unauthorized", "detail": "Authentication failed"}, "auth"),
        (403, "<html><title>Attention Required! | Cloudflare</title>", "firewall"),
        # accounts
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (400, {"error": {"message": "Your credit balance is too low to access …"}}, "quota"),
        (400, {"code": "Arrearage", "message": "Access denied, please make sure …"}, "quota"),
        (403, {"error": {"message": "用户额度不足", "type": "new_api_error"}}, "quota"),
        (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, "quota"),
        (429, {"error": {"message": "You exceeded your current quota, check billing"}}, "quota"),
        (429, {"error": {"code": "billing_hard_limit_reached", "message": "?"}}, "quota"),
        (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "quota"),
        # rate limits
        (
            429,
            {
                "error": {
                    "message": "You exceeded your quota. Limit: 15 requests per minute; "
                    "see billing.",
                    "status": "RESOURCE_EXHAUSTED",
                }
            },
            "busy",
        ),
        (
            429,
            {
                "error": {
                    "message": "Rate limit reached. Add a payment method: /billing",
                    "code": "rate_limit_exceeded",
                }
            },
            "busy",
        ),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "busy"),
        (503, {"error": "server busy, please try again. maximum pending requests"}, "down"),
        # unsupported regions
        (400, {"error": {"message": "User location is not supported for the API use."}}, "region"),
        (403, {"error": {"code": "unsupported_country_region_territory"}}, "region"),
        # memory and loading
        (500, {"error": "model requires more system memory (5.6 GiB) than is …"}, "memory"),
        (500, {"error": {"message": "CUDA error: out of memory"}}, "memory"),
        (
            400,
            {"error": "Model loading was stopped due to insufficient system resources"},
            "memory",
        ),
        (503, {"error": {"code": 503, "message": "Loading model"}}, "loading"),
        (503, {"error": "Model a/b is currently loading", "estimated_time": 20.0}, "loading"),
        (503, {"message": "The model is still warming up."}, "loading"),
        (500, {"error": "error loading model: unable to open the file"}, "down"),
        # models without chat
        (400, {"error": {"message": '"all-minilm" does not support chat'}}, "no chat"),
        (500, {"error": "embedding models do not support chat"}, "no chat"),
        (400, {"error": '"bge" does not support generate'}, "no chat"),
        (
            404,
            {
                "error": {
                    "message": "This is not a chat model and thus not supported in the "
                    "v1/chat/completions endpoint.",
                    "type": "invalid_request_error",
                }
            },
            "no chat",
        ),
        (
            400,
            {
                "error": {
                    "message": "The model `whisper-large-v3` does not support chat completions",
                    "type": "invalid_request_error",
                }
            },
            "no chat",
        ),
        (
            404,
            {"error": {"message": "This model is only supported in v1/responses", "type": "x"}},
            "no chat",
        ),
        (
            404,
            {
                "error": {
                    "message": "models/x is not found for API version v1main, or is not "
                    "supported for generateContent.",
                    "status": "NOT_FOUND",
                }
            },
            "no chat",
        ),
        (400, {"message": "The model does not support Chat Completions API"}, "no chat"),
        (
            400,
            {
                "error": {
                    "code": "OperationNotSupported",
                    "message": "The chatCompletion operation "
                    "does not work with the specified model",
                }
            },
            "no chat",
        ),
        # addresses
        (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "address"),
        (405, {"detail": "Method Not Allowed"}, "address"),
        (
            404,
            {"error": {"message": "Invalid URL (POST /chat/completions)", "type": "x"}},
            "address",
        ),
        (404, {"error": {"code": 404, "message": "File Not Found", "type": "x"}}, "address"),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, "address"),
        (404, "404 page not found", "address"),
        (404, {"error": {"code": "DeploymentNotFound", "message": "?"}}, "no model"),
        # context lengths
        (
            400,
            {
                "error": {
                    "message": "The input token count (2000000) exceeds the maximum number "
                    "of tokens allowed (1048576)."
                }
            },
            "too long",
        ),
        (
            400,
            {"error": {"message": "input length and max_tokens exceed context limit"}},
            "too long",
        ),
        (400, {"message": "Range of input length should be [1, 129024]"}, "too long"),
        (
            400,
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {"raw": '{"message":"maximum context length is 8192"}'},
                }
            },
            "too long",
        ),
    ],
)
def test_errors_in_other_dress(status: int, body: object, kind: str) -> None:
    failure = failure_for(status, problem_in(body), model="x")
    sentence = str(failure.error)
    expected = {
        "auth": (ProviderAuth, "key for this model was refused"),
        "firewall": (ProviderAuth, "A firewall"),
        "quota": (ProviderAuth, "quota"),
        "busy": (ProviderRateLimited, "busy"),
        "down": (ProviderUnavailable, "failed"),
        "region": (ProviderAuth, "region"),
        "memory": (ProviderUnavailable, "more memory"),
        "loading": (ProviderUnavailable, "is loading"),
        "no chat": (UnknownModel, "can't chat"),
        "no model": (UnknownModel, "does not offer"),
        "address": (NotConfigured, "OPENAI_BASE_URL"),
        "too long": (ContextTooLong, "too long"),
    }[kind]
    assert (type(failure.error), True) == (expected[0], expected[1] in sentence), sentence
    assert failure.is_loading is (kind == "loading")
    assert failure.cannot_chat is (kind == "no chat")
    assert failure.is_wrong_address is (kind == "address")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Please retry in 28.5s.", 28.5),
        ("Please try again in 720ms.", 0.72),
        ("Try again in 2 minutes", 120),
        ("try again in 6 seconds", 6),
        ("try again later", None),
    ],
)
def test_the_wait_may_be_in_the_words(said: str, seconds: float | None) -> None:
    problem = problem_in(openai_error(message=f"Rate limit reached. {said}"))
    assert failure_for(429, problem, model="x").error.retry_after == seconds


SYSTEM = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
ANSWERED = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
CALLED = [{"role": "user"}, {"role": "assistant"}, {"role": "tool"}, {"role": "user"}]
TWICE = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]


@pytest.mark.parametrize(
    ("said", "body", "refit"),
    [
        ("Your organization must be verified to stream this model.", {"stream": True}, "stream"),
        ("Streaming is not supported for this model", {"stream": True}, "stream"),
        ("This model does not support stream=true", {"stream": True}, "stream"),
        ("Unsupported value: 'stream' does not support true", {"stream": True}, "stream"),
        ("stream must be false", {"stream": True}, "stream"),
        ("the upstream is not available", {"stream": True}, None),
        ("Streaming is not supported", {"stream": False}, None),
        ("System role not supported", {"messages": SYSTEM}, "system"),
        (
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            {"messages": SYSTEM},
            "system",
        ),
        (
            "Developer instruction is not enabled for models/gemma-3-27b-it",
            {"messages": SYSTEM},
            "system",
        ),
        ("Only user and assistant roles are supported!", {"messages": SYSTEM}, "system"),
        ("the role 'system' is not allowed", {"messages": SYSTEM}, "system"),
        ("This model doesn't support system messages", {"messages": SYSTEM}, "system"),
        ("System role not supported", {"messages": TWICE}, None),
        ("Conversation roles must alternate user/assistant/user/…", {"messages": SYSTEM}, "roles"),
        (
            "After the optional system message, conversation roles must alternate",
            {"messages": TWICE},
            "roles",
        ),
        ("roles must alternate", {"messages": TWICE[:1]}, None),
        ("Expected last role User or Tool but got assistant", {"messages": ANSWERED}, "last_role"),
        (
            "This model does not support assistant message prefill",
            {"messages": ANSWERED},
            "last_role",
        ),
        ("The conversation must end with a user message.", {"messages": ANSWERED}, "last_role"),
        ("Last message must have role `user`.", {"messages": ANSWERED}, "last_role"),
        ("Expected last role User or Tool but got assistant", {"messages": TWICE}, None),
        ("This model does not support tools", {"messages": CALLED}, "tools"),
        ("messages[2].role: unknown variant `tool`", {"messages": CALLED}, "tools"),
        ("Conversation roles must alternate user/assistant", {"messages": CALLED}, "tools"),
        ("The prompt is too long", {"messages": CALLED}, None),
        ("unexpected keyword argument 'include_usage'", {"stream_options": {}}, "stream_options"),
        (
            "'temperature' does not support 0.3. Only the default (1) value is supported.",
            {"temperature": 0.3},
            "temperature",
        ),
        ("`temperature` is deprecated for this model.", {"temperature": 0.3}, "temperature"),
        ("temperature: range: 0 to 1", {"temperature": 1.5}, None),
        ("max_completion_tokens is not supported", {"max_completion_tokens": 5}, "no_max_tokens"),
    ],
)
def test_what_a_request_can_do_without(said: str, body: dict[str, Any], refit: str | None) -> None:
    for status in (400, 500, None):
        assert refit_for(status, problem_in(openai_error(message=said)), body) == refit
    assert refit_for(401, problem_in(openai_error(message=said)), body) is None


def test_a_field_that_pydantic_refuses_is_found() -> None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra"}]
    problem = problem_in({"detail": detail})
    assert refit_for(422, problem, {"stream_options": {}}) == "stream_options"


@given(
    status=st.none() | st.integers(300, 599),
    body=st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "message", "code", "type", "detail", "param"]), inner
            )
        ),
        max_leaves=8,
    ),
)
def test_whatever_is_said_is_an_error_of_ours(status: int | None, body: object) -> None:
    assert isinstance(failure_for(status, problem_in(body), model="x").error, WiresideError)


def test_the_sentence_names_the_model() -> None:
    failure = failure_for(404, problem_in(openai_error()), model="gpt-9")
    assert str(failure.error) == 'The model service does not offer "gpt-9".'


def test_the_sentence_names_the_field() -> None:
    problem = problem_in(openai_error(param="temperature"))
    assert str(failure_for(400, problem, model="x").error) == (
        "The model does not accept this `temperature`."
    )


def test_the_wait_is_in_the_error_and_its_sentence() -> None:
    error = failure_for(429, problem_in(""), model="x", retry_after=11.2).error
    assert error.retry_after == 11.2
    assert str(error) == "The model service is busy; try again in 12 s."


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 60),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_in(headers, now=40) == seconds


@pytest.mark.parametrize(
    ("status", "message", "body", "field"),
    [
        (400, "Unknown field: stream_options", {"stream_options": {}}, "stream_options"),
        (422, "stream_options: extra fields", {"stream_options": {}}, "stream_options"),
        (400, "Unknown field: stream_options", {}, None),
        (500, "Unknown field: stream_options", {"stream_options": {}}, "stream_options"),
        (
            400,
            "'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            {"max_tokens": 5},
            "max_tokens",
        ),
        (400, "max_tokens is not supported", {"temperature": 5}, None),
        (400, "max_tokens is too large: 5", {"max_tokens": 5}, None),
        (422, "extra inputs: max_tokens", {"max_tokens": 5}, "max_tokens"),
        (400, "something else", {"max_tokens": 5, "stream_options": {}}, None),
    ],
)
def test_a_refused_field_is_found(
    status: int, message: str, body: dict[str, object], field: str | None
) -> None:
    assert refit_for(status, problem_in(openai_error(message=message)), body) == field


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {CANARY}.",
        "Authorization: Bearer abcdefghijkl",
        "your key-0123456789abc is bad",
    ],
)
def test_words_for_the_log_hold_no_key(text: str) -> None:
    shown = without_secrets(text, None)
    assert not any(secret in shown for secret in ("canary", "abcdefghijkl", "0123456789"))


def test_our_own_key_is_taken_out_whatever_it_looks_like() -> None:
    assert without_secrets("you sent hunter2, really", "hunter2") == "you sent ***, really"


@pytest.mark.parametrize("code", ["9" * 5_000, "²²²", "٤٢٩", True, 429.5, [429], "399", 600])
def test_a_code_that_is_no_status_is_none(code: object) -> None:
    assert problem_in({"error": {"code": code}}).status is None


@pytest.mark.parametrize("code", ["429", 429])
def test_a_code_may_be_a_status(code: object) -> None:
    assert problem_in({"error": {"code": code}}).status == 429


def test_a_model_that_is_being_loaded_is_asked_again_later() -> None:
    problem = problem_in({"error": {"message": "Loading model", "type": "unavailable_error"}})
    failure = failure_for(503, problem, model="m")
    assert failure.is_loading
    assert "loading" in str(failure.error)


def test_what_the_service_lacks_is_said() -> None:
    problem = problem_in({"error": "model requires more system memory (5.6 GiB) than available"})
    assert "memory" in str(failure_for(500, problem, model="m").error)
