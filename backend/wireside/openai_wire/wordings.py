"""Patterns that classify the error messages of model services by their wording. No I/O.

Comments name the services where the wording does not show it. Messages are cut to a few thousand
characters before they are searched, which bounds the backtracking of every pattern.
"""

from __future__ import annotations

import re


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_BAD = r"(invalid|incorrect|missing|expired|wrong|no)"
_OF_KEY = r"(not valid|invalid|incorrect|expired|missing|required|not found|wrong)"
_NO = r"(not|n't|un)\W?\w* ?"

TOO_LONG = _any(
    r"context.{0,12}(length|window|size|limit|overflow)|max(imum)? (context|prompt|input)",
    r"too many (input )?tokens",
    r"(prompt|input|request|conversation|messages?) (is |are )?too (long|large)",
    r"token count.{0,40}exceeds|exceed\w*.{0,60}tokens? (allowed|limit)|reduce the length",
    r"tokens.{0,40}exceeds? the (max|limit)|max_new_tokens.{0,20}must be|prompt exceeds",
    r"range of input length|string_above_max_length",  # DashScope, OpenAI
    r"上下文.{0,8}(长度|过长)|输入.{0,6}过长|超长|超[出过].{0,12}(长度|上限)",
)
FILTERED = _any(
    r"content_?(filter|policy|safety|inspection)|responsible_?ai|moderation",
    r"data_?inspection_?failed|sensitive (content|words)|new_sensitive|敏感",
)
CANNOT_CHAT = _any(
    r"(not|n't) support(ed)? (the )?(\w+ ){0,2}(chat|generate)|not a chat.{0,12}model",
    r"not supported (in|for|with) (the )?.{0,6}(v1/)?(chat/?_?completions?|generatecontent|chat)",
    r"only supported in v1/(responses|completions)|not (have|support) chat",
    r"embedding models? (do|can|is|are)|no chat[_ ]template|default chat template",
    r"chat template is (no longer|not)|chat_?completions? operation does not work",
    r"operationnotsupported",  # Azure
    r"\b(is|was) (only )?(an?|for) (embedding|rerank|image|speech|moderation)\w*( model| only|$)",
)
NO_MODEL = _any(
    r"model_not_found|model.{0,300}(not.{0,6}(found|exist|support|available|load)|no such|unknown)",
    r"(no such|unknown|invalid) model|deploymentnotfound|模型不存在",
    r"\bfunction\b.{0,80}not found",  # NVIDIA
)
QUOTA_IN_400 = _any(
    r"insufficient[_ ](quota|balance|user_quota|credit|fund)|credit balance|billing_|arrear",
    r"good standing|(exceeded|used up|out of).{0,20}quota|quota.{0,20}(exceeded|used up|exhausted)",
    r"payment required|余额不足|额度不足|欠费|额度已用",
)
"""Exhausted quota or balance; strict enough for refusals that may repeat the question."""
QUOTA = _any(
    QUOTA_IN_400.pattern, r"billing|\bcredits?\b|account.{0,30}(suspended|deactivated|overdue)"
)
BY_MINUTE = _any(
    r"per.?(second|minute|hour|day)\b|\b[rt]p[smd]\b|rate_?.?limit|retry in|try again in",
    r"retrydelay",
)
"""Matches rate limits, but not exhausted accounts; both may name billing and quota."""
BUSY = _any(
    r"rate_?.?limit|overloaded|too many requests|resource_?exhausted|throttl|server busy",
    r"at capacity|concurrency limit|请求过于频繁|并发",
)
AUTH_IN_400 = _any(
    rf"api[_ -]?key.{{0,20}}{_OF_KEY}|{_BAD}[_ -]?api[_ -]?key|unauthenticated|login fail",
    r"authentication (failed|error)|unauthori[sz]ed|令牌|鉴权|身份验证",
)
AUTH = _any(
    AUTH_IN_400.pattern,
    r"authenticat|permission|invalid_?(access_?)?(key|token)\b",
    r"token.{0,20}(expired|invalid|incorrect)|not logged in|access_?denied|密钥.{0,6}(无效|错误)",
)
REGION = _any(
    r"unsupported_country|not available in your (country|region|location)|地区.{0,6}不",
    r"(country|region|location|territory).{0,30}(not (supported|available)|unsupported|restricted)",
)
MEMORY = _any(
    r"requires more (system |gpu |video )?memory|out of memory|unable to allocate",
    r"insufficient (system |gpu |video )?(memory|resources)|failed to allocate",
    r"not enough (system |gpu |free |video )?(memory|vram)|error_?out_?of_?memory",
    r"内存不足|显存不足",
)
_STARTS = r"(starting|warming|initiali[sz]ing|waking|loading|downloading)"

LOADING = _any(
    r"(?<!\berror )(?<!\bfailed )(?<!\bwhile )(?<!\bwhen )\bloading( the)? model\b(?! fail)",
    rf"model\b.{{0,120}}\b(is |still |currently )+{_STARTS}",
    r"model\b.{0,120}\bbeing (loaded|downloaded|started)",
    rf"(server|engine|instance|worker|endpoint) (is )?(still )?{_STARTS}",
    r"warming up|cold.?start|scaling (up )?from zero|模型.{0,6}加载中",
)
WRONG_PATH = _any(
    r"unexpected endpoint|(invalid|unknown|unrecognized)( request)? url|no (such )?route",
    r"cannot (post|get) /|(route|path|page|endpoint|file|url|resource) (was )?not found",
    r"http request (was sent )?to (an )?https",  # the wrong scheme
    r"not found: ?/|no handler|unknown (path|endpoint)|^\W*(\d+ )*not found\W*$",
)
SHIELD = _any(r"cloudflare|akamai|incapsula|captcha|just a moment|access denied")
NOT_KNOWN = _any(
    r"unsupported|(not|n't) (be )?(support(ed)?|permitted|allowed|enabled|implemented|available)",
    r"not (a )?valid",
    r"un(known|recogni[sz]ed|expected)|extra|deprecated|only the default|max_completion_tokens",
    r"invalid (argument|param|field)|must be (verified|false|unset|omitted)|disabled|to false",
    r"不支持|不允许",
)
NO_SYSTEM = _any(
    rf"\b(system|developer)\b.{{0,60}}{_NO}(support|allow|permit|enable|accept|valid|recogni|expect)",
    rf"{_NO}(support|allow|permit|accept)\w*( an?| the)? ?\W?(system|developer)\b",
    rf"(role|messages?)\b.{{0,40}}{_NO}(support|allow|permit|accept|valid|know|expect)"
    r"\w*.{0,12}\W(system|developer)\b",
    r"(invalid|unsupported|unknown|unexpected) (message )?role\W.{0,12}system",
    r"only user.{0,30}roles|role.{0,30}(should|must) be (one of )?.{0,8}(user|assistant)",
    r"(developer|system) instruction|不支持.{0,8}system|system.{0,12}不支持",
)
NO_TOOLS = _any(
    r"\btools?\b|\btool_|\bfunctions?\b|alternat|chat.?template|jinja|工具",
    rf"\broles?\b.{{0,60}}({_NO}(support|allow|valid|known|expect)|invalid|un(known|expected|supported))",
    r"(invalid|unknown|unexpected|unsupported)\W.{0,20}\brole|content.{0,60}(null|none|empty|string)",
)
"""Matches refusals of messages with tool calls; only searched where there are some."""
ALTERNATE = _any(
    r"roles? must alternate|alternat\w+.{0,20}(user|role)|messages?.{0,30}must be.{0,12}alternat",
    r"(consecutive|successive).{0,30}(role|message|user)",
)
LAST_ROLE = _any(
    r"(last|final) (message|role|turn).{0,60}(user|assistant)|prefill|expected last role",
    r"(must|should|has to|needs to) end (with|in) (an? )?\W?user",
    r"assistant message.{0,30}(last|at the end|in the end)|add_generation_prompt",
)
STREAM = _any(r"(?<![\w-])stream(ing|ed)?(?![\w-])")
WAIT_TOLD = _any(
    r"(?:retry|try again) (?:in|after) (\d+(?:\.\d+)?) ?"
    r"(ms|milliseconds?|s\b|sec|seconds?|m\b|min)",
)
