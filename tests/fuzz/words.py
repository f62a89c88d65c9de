"""The protocol's vocabulary, and near misses: words that random bytes would never produce."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from tests.fuzz.dice import Dice

KEYS: Final = (
    "type",
    "id",
    "message",
    "messages",
    "model",
    "key",
    "conversation",
    "system",
    "temperature",
    "max_tokens",
    "attachments",
    "sanitize",
    "offset",
    "stream",
    "t",
    "offsets",
    "max_frame_bytes",
)

TYPES: Final = ("chat", "batch", "ping", "cancel", "resume")

# as written in a frame
VALUES: Final = (
    *(json.dumps(word) for word in TYPES),
    *('"a"', '"b"', '"é😀"', '""', '" "', '"new"', '"gpt-4o"', '"A-Z_a.z:0"', f'"{"x" * 64}"'),
    *(f'"{"x" * 65}"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\udc00x"', '"<script>"'),
    *('"\\u2028"', '"ſ"', '"\\n"', '"\\"', '"\\x"', '"\t"', f'"{"long " * 50}"', '"é"'),
    *("0", "1", "-1", "2", "0.7", "2.1", "1e3", "1e999", "-1e999", "1e-999", "-0.0", "20", "00"),
    *("9007199254740991", "9007199254740992", "18446744073709551616", "-9223372036854775809"),
    *("1" * 400, "9" * 5_000, "1." + "3" * 400, "1000000", "1000001", "1.0", ".5", "5.", "+1"),
    *("true", "false", "null", "NaN", "Infinity", "-Infinity", "undefined", "'a'", "tru"),
    *('["a"]', '["a","b"]', "[]", '[""]', "[1]", "[[]]", '["a",null]', "{}", '{"a":{"a":1}}'),
    *("[" + ",".join(['"q"'] * count) + "]" for count in (19, 20, 21)),
    *("[" * depth + "]" * depth for depth in (62, 63, 64, 65, 1_100)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (62, 63, 64, 65)),
    *('[{"role":"user","content":"q"}]', '[{"role":"tool","content":""}]', '[{"role":1}]'),
    *("[0]", "[1,-1]", "8000", "1024", "1023"),
    *('{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '"[[[["', '"\\"["'),
)

MARKS: Final = ("{", "}", "[", "]", ":", ",", '"', " ", "\n", "\ufeff", "\\", "//", "\x00", "é")


def value(dice: Dice) -> str:
    """Return a JSON value, or nearly one."""
    return dice.pick(VALUES)


def frame(dice: Dice) -> str:
    """Return a frame: mostly one that could be served, with a few errors."""
    kind = dice.pick(TYPES)
    fields = {"type": json.dumps(kind)} | _SENSIBLE[kind](dice)
    for _ in range(dice.pick((0, 0, 0, 1, 1, 2, 4))):
        fields[dice.pick(KEYS)] = value(dice)
    for _ in range(dice.pick((0, 0, 0, 0, 1))):
        fields.pop(dice.pick(tuple(fields)), None)
    members = [f'"{name}":{text}' for name, text in fields.items()]
    if dice.byte() > 247:  # a duplicate key
        members.append(dice.pick(members or ("",)))
    text = "{" + ",".join(members) + "}"
    for _ in range(dice.pick((0, 0, 0, 0, 0, 1, 3))):
        at = dice.below(min(65_535, len(text)) + 1)
        text = text[:at] + dice.pick(MARKS) + text[at + dice.below(2) :]
    return text


def server_frame(dice: Dice) -> str:
    """Return a frame of a server: mostly one that could be sent, with a few errors."""
    fields = dict(dice.pick(_SERVED))
    for _ in range(dice.pick((0, 0, 1, 1, 2))):
        fields[dice.pick((*fields, "newer"))] = value(dice)
    for _ in range(dice.pick((0, 0, 0, 1))):
        fields.pop(dice.pick(tuple(fields)))
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


_SERVED = (
    {"type": '"chunk"', "content": '"Hi"'},
    {"type": '"chunk"', "id": '"q"', "content": '"Hi"', "offset": "2"},
    {"type": '"tool"', "id": '"q"', "offset": "1", "name": '"n"', "call": '"c"'}
    | {"state": '"done"', "arguments": '"{}"', "result": '"r"', "truncated": "true"},
    {"type": '"start"', "id": '"q"', "stream": '"s"', "model": '"m"', "index": "0"},
    {"type": '"resumed"', "id": '"q"', "stream": '"s"', "head": "7", "state": '"live"'},
    {"type": '"batch_done"', "id": '"q"', "done": "1", "failed": "0", "cancelled": "0"},
    {"type": '"done"'},
    {"type": '"done"', "id": '"q"', "reason": '"stop"', "offset": "7"}
    | {"usage": '{"input_tokens":null,"output_tokens":1}'},
    {"type": '"error"', "message": '"No."', "code": '"internal"', "retryable": "true"}
    | {"retry_after": "1.5"},
    {"type": '"pong"', "t": "1"},
    {"type": '"newer"', "id": '"q"'},
)


def _id(dice: Dice) -> dict[str, str]:
    return {"id": f'"{dice.pick("abcdefghij")}"'} if dice.byte() % 4 else {}


_TEXTS = ('"Hi"', '"a"', '"<script>"', '"é"', '"/lab say é"')

_SENSIBLE: Final[dict[str, Callable[[Dice], dict[str, str]]]] = {
    "chat": lambda dice: {"message": dice.pick(_TEXTS)} | _id(dice),
    "batch": lambda dice: (
        {"messages": "[" + ",".join(['"q"'] * (1 + dice.below(20))) + "]"}
        | _id(dice)
        | ({"key": '"k"'} if dice.byte() % 2 else {})
        | ({"parallel": str(dice.below(10))} if dice.byte() % 2 else {})
    ),
    "ping": lambda dice: {"t": value(dice)} if dice.byte() % 2 else {},
    "cancel": _id,
    "resume": lambda dice: {"stream": '"s"', "offset": str(dice.below(9))} | _id(dice),
}

PIECES: Final = (
    *("- a", "-", "* b", "+ p", "1. x", "2. y", "10) z", "1.", "  - n", "    code", "para"),
    *("**bold**", "**", "`", "`c`", "```", "```py", "~~~", "> q", ">", "# h", "#", "===", "---"),
    *("$$", "\\[", "\\]", "$x$", "[a](http://x.y)", "[a]", "[a]: http://e.x", "[^1]", "[^1]: n"),
    *("![i](http://h/i.png)", "<b>", "&amp;", "é😀", "\\", "- [ ] t", "_i_", "***"),
    *("\\begin{align}", "\\end{align}", "http://a.bc/d", "|", "\n", "\n\n", "\n\n\n", " ", "\t"),
    *("   ", "\r\n", "\r", "\u202e", "\x00", "\x0b", "\u2028", "\ud800", "|a|b|\n|-|-|\n"),
    *("|a|b|", "|1|2|", "x\n", "\n- ", "\n   ", "<script>", "[x](javascript:y)", "$\\frac{a}{b}$"),
    *("<br>", "</b>", "H<sub>2</sub>", "<kbd>", "</kbd>", "<i", "</", "<details>", "</details>"),
    *(
        "<details>\n",
        "\n</details>\n",
        "<summary>",
        "</summary>",
        "vector<int>",
        "a@b.cd",
        "www.a.b",
    ),
    *(
        "```md\n",
        "\n```py\n",
        "\n```\n",
        "語**「",
        "」**",
        "”**는",
        "~a~",
        "5~10",
        "https://a.b/了",
    ),
    *("$\\frac", "$$\n\\sqrt{", "}$$", "&#0;", "<!--", "<img src=x onerror=y>", "||||", "^", "~"),
)
"""Pieces of Markdown: each nearly equals another one, or becomes one by its successor."""

TAGS: Final = (
    "<",
    "<s",
    "<script",
    "<SCRIPT>",
    "<<scr",
    "ipt",
    "<ſcript",
    "<scrıpt",
    "a",
    "\n",
    "é",
)

CHUNKS: Final = (
    *(b"data: ", b"data:", b"data", b"event: error\n", b"event: x\r", b"id: 1\n", b": keep\n\n"),
    *(b"\n", b"\n\n", b"\r\n\r\n", b"\r", b"\r\r", b"\xef\xbb\xbf", b"[DONE]", b"data: [DONE]\n\n"),
    *(b'{"choices":[{"delta":{"content":"Hi"}}]}', b'{"choices":[]}', b'{"choices":null}'),
    *(b'{"choices":[{"delta":{"content":"\\ud83d"}}]}', b'{"choices":[{"delta":{"content":7}}]}'),
    *(b'{"choices":[{"delta":{"content":"\\ude00x"}}]}', b'{"choices":[{"delta":null}]}'),
    *(b'{"choices":[{"delta":{"content":[{"text":"\\ud800"}]}}]}', b'{"choices":[null]}'),
    *(b'{"choices":[{"delta":{"content":{"text":["a",{"content":"b"}]}}}]}', b'{"object":"error"}'),
    *(b'{"choices":[{"delta":{"reasoning_content":"\\udc00r"}}]}', b'{"choices":[{"index":1}]}'),
    *(b'{"choices":[{"delta":{"reasoning":"r","content":"c"}}]}', b'{"error":{"message":"e"}}'),
    *(
        b'{"choices":[{"delta":{"refusal":"\\ud800"}}]}',
        b'{"choices":[{"message":{"content":"m"}}]}',
    ),
    *(b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]}}]}',),
    *(b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"\\ud800{"}}]}}]}',),
    *(b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"a":"\\ud800"}}}]}}]}',),
    *(b'{"choices":[{"delta":{"function_call":{"name":"g","arguments":"1"}}}]}', b"null", b"{}"),
    *(b'{"choices":[{"delta":{},"finish_reason":"stop"}]}', b'{"choices":[{"finish_reason":"x"}]}'),
    *(b'{"choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1}}',),
    *(
        b'{"usage":{"prompt_tokens":"1","completion_tokens":1e30}}',
        b'{"usage":{"prompt_tokens":-1}}',
    ),
    *(b'{"usage":{"prompt_tokens":99999999999999999999}}', b'"x"', b"1e999", b"\xff", b"\xf0\x9f"),
    b'{"choices":[{"delta":{"content":' + b"[" * 300 + b"]" * 300 + b"}}]}",
    b'{"choices":[{"delta":{"content":' + b'{"text":' * 990 + b"1" + b"}" * 990 + b"}}]}",
    b'{"choices":[{"delta":{"content":"\xc3"}}]}',
    *(
        b'{"choices":[{"delta":{"content":"<think>"}}]}',
        b'{"choices":[{"delta":{"content":"</"}}]}',
    ),
    *(b'{"choices":[{"delta":{"content":"think>"}}]}', b'error: {"code":500}\n', b"data: ping\n\n"),
    *(b'{"choices":[{"delta":{"content":"\\n```"}}]}', b'{"choices":[{"delta":{"images":["x"]}}]}'),
    *(b'{"choices":[{"delta":{"content":"<|channel|>"}}]}', b'{"error":{"message":""}}'),
    b"x" * 1000,
)
"""Pieces of a provider's response: server-sent events and their data."""

HOSTS: Final = (
    *("localhost", "127.0.0.1", "[::1]", "127.1", "chat.example", "evil.example", "LOCALHOST."),
    *(
        "chat.example:8443",
        "chat.example:443",
        "localhost:8080",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
    ),
    *(
        "localhost:0",
        "localhost:99999",
        "localhost:",
        ":80",
        "",
        " ",
        "a b",
        "localhost@evil.example",
    ),
    *("chat.example.evil.example", "evilchat.example", "[::1", "[zz]", "é.example", "x" * 300),
    *(
        "localhost#",
        "localhost/",
        "localhost?x",
        "127.0.0.1.evil.example",
        "0x7f.1",
        "\x00",
        "١٢٧.0.0.1",
    ),
)

SCHEMES: Final = (
    "http://",
    "https://",
    "",
    "null",
    "chrome-extension://",
    "file://",
    "HTTP://",
    "//",
)


def dictionary() -> str:
    """Return the words as a dictionary file for libFuzzer."""
    words = [f'"{key}":'.encode() for key in KEYS]
    words += [text.encode("utf-8", "surrogatepass") for text in (*VALUES, *TAGS, *HOSTS)]
    words += list(CHUNKS)
    return "".join(
        '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'
        for word in words
        if 0 < len(word) < 64
    )
