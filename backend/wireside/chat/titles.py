"""Generates conversation titles by asking a model in the background."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing

from wireside.errors import WiresideError
from wireside.messages import Message, ModelRequest, TextDelta
from wireside.ports.provider import Provider

MAX_CHARS = 60
GIVEN_CHARS = 1_500
"""Maximum number of characters of the question, and of the answer, sent to the model."""

MAX_TOKENS = 1_000
"""Enough for models that reason before they answer; others are stopped by ``TALK_CHARS``."""

TALK_CHARS = 4 * MAX_CHARS
"""Maximum number of characters outside reasoning; a longer reply is not a title."""
THOUGHT_CHARS = 20_000
"""Maximum number of characters in total."""

TITLE_TIMEOUT_S = 120.0
"""Time limit for a title, in seconds.

The request is invisible, so a user could not stop a model that reasons without end.
"""

_TAG = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis)"
_THOUGHT = re.compile(
    rf"[<◁]{_TAG}[>▷].*?(?:[<◁]/{_TAG}[>▷]|\Z)|^.*[<◁]/{_TAG}[>▷]"
    r"|<\|channel\|>(?!final).*?(?=<\|channel\|>final|\Z)|<\|[^|<>]{0,40}\|>(?:final|assistant)?",
    re.DOTALL | re.IGNORECASE,
)
_TITLE = (
    r"(?:title|titel|titre|título|titulo|titolo|titlu|tytuł|tittel|rubrik|otsikko|cím|názov|název"
    r"|naslov|titulek|başlık|judul|tajuk|tiêu đề|заголовок|название|назва|заглавие|τίτλος|כותרת"
    r"|(?:ال)?عنوان|شीर्षक|शीर्षक|শিরোনাম|ชื่อเรื่อง|หัวข้อ|タイトル|題名|件名|標題|标题|題目|题目|主題|主题|제목"
    r"|topic|subject|thema|betreff|sujet|asunto|tema|oggetto|тема)"
)
_LABEL = re.compile(
    rf"^(?:\W*(?:[^\W\d]+\W+){{0,3}}?(?:[^\W\d_]*[- ])?{_TITLE}(?:\W+[^\W\d]+){{0,5}}?\W{{0,3}}"
    r"\s*(?:[:：]|\s[-–—=]\s))\s*",
    re.IGNORECASE,
)
"""``Title:`` in many languages, with a few words around it: ``Here is a suggested title: …``."""
_ROLE = r"(?:assistant|ai|answer|final answer|output|response|option|antwort|réponse|respuesta)"
_ROLE_LABEL = re.compile(rf"^\W*{_ROLE}\W*\d{{0,2}}\s*[:：]\s*", re.IGNORECASE)
_LABEL_WITHOUT_SPACES = re.compile(
    r"^\W*\w{0,8}(?:タイトル|題名|件名|標題|标题|題目|题目|主題|主题|제목)\w{0,3}\s*[:：]\s*"
)
_BOLD_LABEL = re.compile(r"^\s*(\*\*|__)[^*_:：]{1,30}(?:[:：]\s*\1|\1\s*[:：])\s*(?=\S)")
_POLITE = re.compile(
    r"^\W*(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|got it|alright|no problem"
    r"|here(?:'s|’s| is| are| you go)|klar|gerne?|natürlich|hier ist|sicher|bien sûr|voici|d'accord"
    r"|claro|por supuesto|aquí (?:está|tienes)|aqui está|certo|ecco|конечно|вот"
    r"|好的?|当然|當然|以下是?"
    r"|はい|もちろん|承知しました|以下は|네|물론|بالتأكيد|حسنًا|إليك)(?![^\W_])",
    re.IGNORECASE,
)
_AFTER_POLITE = re.compile(r"^[^!.,:：！。，、\n]{0,80}[!.,:：！。，、]+\s*")
_REFUSAL = re.compile(
    r"^\W*(?:i(?:'m|’m| am) (?:sorry|unable|afraid)|sorry\b|i can(?:'t|’t|not)\b|as an ai\b"
    r"|(?:untitled|none|null|n/?a|no title|undefined)\W*$|es tut mir leid|lo siento|je suis désolé"
    r"|抱歉|对不起|對不起|申し訳|죄송|عذرًا|к сожалению)",
    re.IGNORECASE,
)
_ALOUD = re.compile(
    r"^(?:\W*(?:okay|ok|hmm|alright|well)\W+)?(?:so\W+)?"
    r"(?:the user (?:wants|asks|asked|is|has)|let me (?:think|see)"
    r"|i (?:need|have|should|want) to|let's)\b",
    re.IGNORECASE,
)
"""Reasoning without tags."""
_QUOTED = re.compile(r"[\"“„«「『《‹]([^\"“”„«»「」『』《》‹›]{2,60})[\"”“»」』》›]")
_HTML = re.compile(
    r"</?(?:title|s|b|i|u|em|strong|p|h[1-6]|span|div|br|answer|final|output|response|result)\b[^<>]*>",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"^\s*(?:[-*•‣▪–—>+]\s+|\(?\d{1,2}[.)．、:：]\s*|[①-⑳]\s*|[a-cA-C][.)]\s+)+")
_QUOTES = "\"'`´“”„‟‘’‚«»‹›「」『』《》〈〉【】〔〕"
_ENDS = f"{_QUOTES}*_#~….。．:：;；,，、!！ \u00a0"
_MAY_END = "!！"  # a title may end with these; quotation marks and full stops are removed

INSTRUCTION = (
    "Write a title of two to six words for the conversation below, in its language. "
    "Answer with the title alone: no quotation marks, no full stop, no explanation."
)


async def ask_for_title(
    provider: Provider,
    *,
    model: str,
    question: str,
    answer: str,
    timeout_s: float = TITLE_TIMEOUT_S,
) -> str | None:
    """Return a generated title, or None when the model returns no usable one in time."""
    given = f"User: {question[:GIVEN_CHARS]}\n\nAssistant: {answer[:GIVEN_CHARS]}"
    request = ModelRequest(
        model=model,
        messages=(Message.of_text("system", INSTRUCTION), Message.of_text("user", given)),
        temperature=0.2,
        max_tokens=MAX_TOKENS,
        allows_tools=False,
    )
    said = ""
    look_at = TALK_CHARS
    try:
        async with asyncio.timeout(timeout_s), aclosing(provider.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, TextDelta):
                    said += delta.text
                    if len(said) <= look_at:
                        continue
                    look_at = len(said) + TALK_CHARS  # a check costs time proportional to `said`
                    if len(said) > THOUGHT_CHARS or len(without_thoughts(said)) > TALK_CHARS:
                        break
    except (WiresideError, TimeoutError):
        return None
    return extract_title(said)


def extract_title(said: str) -> str | None:
    """Extract the title from a model's reply; None when there is none.

    Reasoning, politeness, labels, numbers, JSON, quotation marks and Markdown are removed.

    >>> clean('<think>Short.</think>Sure! Here is a title: **"Rainy weekends."**')
    'Rainy weekends'
    """
    said = without_thoughts(said[: 2 * THOUGHT_CHARS]).strip()
    said = _first_json_string(said) or said
    lines = [line.strip() for line in said.splitlines() if re.search(r"\w", line)]
    lines = [line for line in lines if not re.fullmatch(r"`{3,}\s*\w*", line)]
    labelled = [line for line in lines[:MAX_LINES] if _LABEL.search(re.sub(r"[*_#`]", "", line))]
    for line in [*labelled[:1], *lines[:MAX_LINES]]:
        if _REFUSAL.search(line):
            return None
        if _ALOUD.search(line):
            continue
        if title := _title_in_line(line):
            return title if len(title) <= MAX_CHARS else None
    return None


MAX_LINES = 4
"""Number of lines searched for a title; later lines are ignored."""


def without_thoughts(said: str) -> str:
    """Return what a model has said without its reasoning, which some leave in the text."""
    return _THOUGHT.sub("", said)


def _first_json_string(said: str) -> str | None:
    """Return the first string value of a JSON document, even of a truncated one."""
    found = re.search(r"[{\[].*", said, re.DOTALL)
    if found is None or not re.fullmatch(
        r"\W*(?:```)?(?:json)?\s*", said[: found.start()], re.IGNORECASE
    ):
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(found[0])
    except (ValueError, RecursionError):
        value = re.search(r':\s*"((?:[^"\\]|\\.)+)', found[0])
        return value[1] if value else None
    while isinstance(document, (dict, list)):
        values = list(document.values()) if isinstance(document, dict) else document
        document = next((value for value in values if isinstance(value, (str, dict, list))), None)
    return document if isinstance(document, str) else None


def _title_in_line(line: str) -> str | None:
    """Return the title in a line; None when the line only introduces it."""
    line = _HTML.sub("", line)
    if re.fullmatch(rf"\W*(?:{_TITLE}|{_ROLE})\W*", line, re.IGNORECASE):
        return None
    has_word = re.search(_TITLE, line, re.IGNORECASE) is not None
    if has_word and not _LABEL.search(line) and (bold := re.search(r"\*\*([^*]{2,60})\*\*", line)):
        return _strip_decoration(bold[1]) or None  # "A good title is **Rain**."
    line = re.sub(r"\\(?:boxed|text|textbf|title)\{([^{}]*)\}", r"\1", line)
    line = _NUMBER.sub("", _BOLD_LABEL.sub("", line))
    line = re.sub(r"\*\*|__|^#+\s*|`+", "", line).strip()
    line = _NUMBER.sub("", line)
    has_lead = False
    if _POLITE.search(line):
        has_lead = True
        line = _AFTER_POLITE.sub("", line) if _AFTER_POLITE.search(line) else line
        if _POLITE.search(line):  # "Sure! Here is a title: …"
            line = _AFTER_POLITE.sub("", line)
    bare = _LABEL_WITHOUT_SPACES.sub("", _LABEL.sub("", _ROLE_LABEL.sub("", line)))
    if bare != line:
        line, has_lead = bare, True
    elif has_word and (quoted := _QUOTED.search(line)):
        return _strip_decoration(quoted[1]) or None  # "A good title would be "Rain"."
    line = re.sub(r"\s*\(\s*\d+ \w+\s*\)\W*$", "", line)  # "(3 words)"
    if line.rstrip(" *_").endswith((":", "：")) and not has_lead:
        return None
    return _strip_decoration(_NUMBER.sub("", line)) or None


def _strip_decoration(text: str) -> str:
    """Strip the quotation marks, Markdown and full stops around a text."""
    text = " ".join(text.split())
    stripped = text.strip(_ENDS)
    if found := re.fullmatch(r"[(\[{（［](.*)[)\]}）］]", stripped):
        stripped = found[1].strip(_ENDS)
    for mark in _MAY_END:
        if text.rstrip(_QUOTES + "*_ ").endswith(mark) and stripped:
            return stripped + mark
    return stripped
