"""The examples of CommonMark and GFM, and the reasons for differences in this dialect.

Both sides are normalised first: changes that the dialect makes everywhere (a line break is shown,
headings are two levels lower, code has a frame) do not count as differences. Links and images of
the examples have relative addresses (``/url``), which the dialect removes; their addresses are
compared before that.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it.token import Token

from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import render

SPECS = Path(__file__).parent / "specs"
MARKUP = Markup(frozenset())
UNFINISHED = Markup(frozenset())
UNFINISHED._md.core.ruler.disable("inline_finish")

BARE_LINKS = "bare addresses are links, as in GFM"
LANGUAGE = "a language is a word"
FORMULA = "an escaped bracket begins a formula"
FTP = "only web and mail addresses are links"
HTML_IS_TEXT = "HTML is shown as it is written, but for a few tags without attributes"
LONE_PARAGRAPH = "an item of one paragraph has no <p>, so that a growing list does not change"
DIFFERENT: dict[str, dict[str, set[int]]] = {
    "commonmark-0.31.2": {
        HTML_IS_TEXT: {
            *(21, 31, 201, 308, 309, 344, 475, 476, 477, 491, 494, 524, 536, 642, 643),
            *(set(range(148, 192)) - {168}),
            *(613, 614, 615, 616, 617, 623, 625, 626, 627, 628, 629, 630, 631),
        },
        LONE_PARAGRAPH: {
            *(5, 109, 254, 264, 270, 271, 273, 274, 286, 287, 288, 290),
            *(306, 311, 313, 314, 315, 316, 317, 324, 326),
        },
        BARE_LINKS: {602, 606, 608, 611, 612},
        FORMULA: {12},
        LANGUAGE: {144},
    },
    "gfm-0.29": {FTP: {628}, HTML_IS_TEXT: {652}},
}
"""Examples with an intentionally different result, by reason."""


class Form(HTMLParser):
    """HTML as a list of tags and texts, normalised for both sides."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._pre = 0
        self._dropped: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        classes = values.get("class", "").split()
        match tag:
            case "br":
                self.parts.append("\n")
            case "hr":
                self.parts.append("<hr>")
            case "img":
                self._text(values.get("alt", ""))
            case "input":
                self.parts.append("[x]" if "checked" in values else "[ ]")
            case "span" if "ws-check" in classes:
                self.parts.append("[x]" if "data-on" in values else "[ ]")
                self._dropped.append(tag)
            case "span" if not classes:
                self.parts.append("<a>")
            case "div" | "tbody" | "thead" | "span":
                self._dropped.append(tag)
                if values.get("data-lang"):
                    self.parts.append(f"<lang {values['data-lang']}>")
            case "a" if "ws-image" in classes:
                self._dropped.append(tag)
            case "code" if self._pre:
                lang = next((c for c in classes if c.startswith("language-")), "")
                if lang:
                    self.parts.insert(len(self.parts) - 1, f"<lang {lang[9:].lower()}>")
            case "th" | "td":
                align = values.get("align") or "".join(classes).removeprefix("ws-")
                place = f" {align}" if align in ("right", "center") else ""
                self.parts.append(f"<{tag}{place}>")
            case _:
                self._pre += tag == "pre"
                start = f" {values['start']}" if tag == "ol" and "start" in values else ""
                self.parts.append(f"<{self._name(tag)}{start}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("br", "hr", "img", "input") or (tag == "code" and self._pre):
            return
        if tag in ("div", "tbody", "thead"):
            return
        if tag == "span":
            self.parts.append("</a>" if "span" not in self._dropped else "")
            if "span" in self._dropped:
                self._dropped.remove("span")
            return
        self._pre -= tag == "pre"
        self.parts.append(f"</{self._name(tag)}>")

    def handle_data(self, data: str) -> None:
        self._text(data)

    def _text(self, data: str) -> None:
        if self._pre:  # white space in code is kept
            data = data.replace("\n", "␤").replace(" ", "␣").replace("\t", "→")
        self.parts.append(data.replace("<", "‹"))

    def _name(self, tag: str) -> str:
        if re.fullmatch("h[1-5]", tag) and not self._ours:
            return f"h{min(int(tag[1]) + 2, 6)}"
        return {"del": "s"}.get(tag, tag)

    _ours = False


class OurForm(Form):
    _ours = True


class Addresses(HTMLParser):
    """The addresses of an example's links and images, and their titles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("a", "img"):
            self.found.append((values.get("href", values.get("src", "")), values.get("title", "")))


def addresses(text: str) -> list[tuple[str, str]]:
    """The same from the dialect's parser, before it removes relative addresses."""

    def walk(tokens: list[Token]) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for token in tokens:
            if token.type in ("link_open", "image"):
                address = token.attrs.get("href", token.attrs.get("src", ""))
                found.append((str(address), str(token.attrs.get("title", ""))))
            if token.type != "image":
                found += walk(token.children or [])
        return found

    return walk(UNFINISHED.parse(text, {}))


def form(html: str, kind: type[Form]) -> str:
    text = "".join(kind(html).parts)
    block = r"</?(?:p|ul|ol|li|blockquote|h[1-6]|hr|table|tr|th|td|pre|details|summary)(?: \w+)?>"
    text = re.sub(rf"\s*({block})", r"\1", text)
    text = re.sub(rf"((?!<pre>){block})\s+", r"\1", text)
    text = re.sub(r"(\[[ x]\])\s*", r"\1", text)
    return re.sub(r"[ \t]*\n\s*", "\n", text).strip()


def examples(name: str) -> list[Any]:
    found = json.loads((SPECS / f"{name}.json").read_text("utf-8"))
    return [pytest.param(name, *example, id=f"{name}-{example[0]}") for example in found]


def reason_for(name: str, number: int) -> str | None:
    for reason, numbers in DIFFERENT[name].items():
        if number in numbers:
            return reason
    return None


def test_each_difference_has_one_reason() -> None:
    for name, reasons in DIFFERENT.items():
        numbers = [number for found in reasons.values() for number in found]
        assert len(numbers) == len(set(numbers))
        known = {param.values[1] for param in examples(name)}
        assert set(numbers) <= known


@pytest.mark.parametrize(
    ("name", "number", "section", "text", "html"),
    [*examples("commonmark-0.31.2"), *examples("gfm-0.29")],
)
def test_an_example_comes_out_as_specified_or_as_meant(
    name: str, number: int, section: str, text: str, html: str
) -> None:
    ours, theirs = form(render(text, MARKUP), OurForm), form(html, Form)
    reason = reason_for(name, number)
    if reason is None:
        assert ours == theirs, section
    else:
        assert ours != theirs, f"no difference any more: {reason}"


@pytest.mark.parametrize(
    ("name", "number", "section", "text", "html"),
    [
        param
        for param in examples("commonmark-0.31.2")
        if reason_for("commonmark-0.31.2", int(str(param.values[1]))) is None
    ],
)
def test_links_and_images_lead_where_they_should(
    name: str, number: int, section: str, text: str, html: str
) -> None:
    assert addresses(text) == Addresses(html).found, section
