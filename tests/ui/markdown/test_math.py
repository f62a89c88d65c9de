"""Formulas in Markdown, and dollars and brackets that are not formulas."""

from __future__ import annotations

import random
import re
import sys
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.incremental import BlockStream, render

MARKUP = Markup()
ELEMENT = re.compile(r'<(span|div) class="(ws-tex[^"]*)" role="math"[^>]*>(.*?)</\1>', re.DOTALL)


def formulas(text: str) -> list[str]:
    """The sources of a text's formulas, with their delimiters."""
    return [unescape(found[3]) for found in ELEMENT.finditer(render(text, MARKUP))]


def shown(text: str) -> str:
    """The text that a page without scripts shows."""
    return unescape(
        re.sub(r"<[^>]+>", "", re.sub(r"</(p|div|li)>|<br>", "\n", render(text, MARKUP)))
    )


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "from $5-$10, or $5–$10 a month",
        "US$5 or US$6, US$ 40 (HK$ 310)",
        "$5/$6; US$ 40",
        "R$ 12,29 (aprox.), depois R$ 15,83, R$10 ou R$20",
        "It was $5 (US$) then and $7 (CA$) now.",
        "Price: $100. Discount: 20$. Total 80$.",
        "From 5$ to 10$ a month, 20$-30$",
        "She paid $20,$30 and $40. Between $3-$5 and $6-$9.",
        "$10K flat to $8K later; ($18/month)–($20/month)",
        "**$5** off, save 20$ and _$7_ or 8$",
        "$5 = 4€ or 5$",
        "$1,000.50 gross, 800$ net",
        "$1.50 each: 3 for 4$",
        "价格是$5到$10元，或者$100美元，优惠20$",
        "値段は$5、割引は2$です",
        "가격은 $5이고 할인은 2$입니다",
        "Цена $5 за штуку, а доставка 10$",
        "Das kostet $5 oder 10$, je nach Größe",
        "Ça coûte $5 ou 10$ selon la taille",
        "السعر $5 والخصم 10$",
        "-$5 and -$6, +$7",
        "$5M→$7M, $3B",
        "$100 USD and 200$",
        "$20 per seat (was 30$)",
        "$5-10$ a head",
        "NZ$7/A$8 and CA$5/US$4",
        "5 $, 10 $ und 15 $",
        "$ 5 or 10 $",
        "Restaurants: $$ - cheap, $$$ - dear",
        "$$-$$$ or $$$$",
        "$1k-$2k, $1k–2k$",
        "$5.00 → $4.50 → 4$",
        "≈$5, ≈10$",
        "$AAPL and $TSLA rose; $BTC/$ETH pair",
        "I paid $5 for x_1 and $6 for x_2",
    ],
)
def test_prices_are_no_formulas(text: str) -> None:
    assert formulas(text) == []
    assert shown(text).replace("\n", "").count("$") == text.count("$")


@pytest.mark.parametrize(
    "text",
    [
        "Set $PATH and $HOME, or $PATH:$HOME and $USER@$HOST.",
        "${HOME}/${USER} and ${A}${B}",
        "In a shell $$ is the PID and $$ again.",
        "kill -9 $$ && echo $$; wait $$",
        "ps -p $$ -o pid= | grep $$",
        "My PID is $$, yours is $$",
        '{ $match: { a: 1 }, $group: { _id: "$name" } }',
        "$foo->$bar, $a.$b, $x['a'].$y",
        "$('a').on('b', $) or $.ajax and $.get",
        "$(date) and $(whoami), $1 and $2, $@ and $#",
        "https://a.example/?x=$y&z=$w",
        "It costs $5 `a$b` and 6$",
        r"\$x$ and \$y\$",
        "a $b",
        "$ x $",
        "as $name is read by$",
    ],
)
def test_programs_are_no_formulas(text: str) -> None:
    assert formulas(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$x$, $5x$ and $10^{-3}$", ["$x$", "$5x$", "$10^{-3}$"]),
        ("$0$ or $1$ or $-1$ or $3.14$", ["$0$", "$1$", "$-1$", "$3.14$"]),
        ("$1,000.50 and $x$", ["$x$"]),
        ("costs $5, where $x^2$ holds", ["$x^2$"]),
        ("$5/$x^2$", ["$x^2$"]),
        ("$2 + 3 = 5$, $1/2$, $3:4$ no", ["$2 + 3 = 5$", "$1/2$"]),
        ("$2xy$ and $3 < 4$", ["$2xy$", "$3 < 4$"]),
        ("$f(x) = 0$; $(a, b)$; $[0,1]$; $|x|$", ["$f(x) = 0$", "$(a, b)$", "$[0,1]$", "$|x|$"]),
        ("$ABC$ and $ABCD$", ["$ABC$", "$ABCD$"]),
        ("the $n$th and $k$-means", ["$n$", "$k$"]),
        ("设$x$为$y$的根，$x=1$。", ["$x$", "$y$", "$x=1$"]),
        ("변수 $x$는 $y$와", ["$x$", "$y$"]),
        ("H$_2$O at 30$^\\circ$C, 5$\\mu$m", ["$_2$", "$^\\circ$", "$\\mu$"]),
        (r"$ \alpha $ and $ \frac{1}{2} $", [r"$ \alpha $", r"$ \frac{1}{2} $"]),
        (r"a \$5 bill and $x + \$5$", [r"$x + \$5$"]),
        (r"$\text{price} = \$5$", [r"$\text{price} = \$5$"]),
        ("$f'(x)$, $x_1, \\dots, x_n$", ["$f'(x)$", "$x_1, \\dots, x_n$"]),
        (r"**$x$** *$y$* [$z$](https://a.example)", ["$x$", "$y$", "$z$"]),
        (r"xxx\(\alpha\)zzz, \(5\), \(ab\)", [r"\(\alpha\)", r"\(5\)", r"\(ab\)"]),
        (r"so \[ E = mc^2 \] holds", [r"\[ E = mc^2 \]"]),
        ("**Result:** $$z = 1$$ done", ["$$z = 1$$"]),
        ("$$a$$ and $$\\alpha$$.", ["$$a$$", "$$\\alpha$$"]),
        ("It costs $5. $$x = 5$$", ["$$x = 5$$"]),
    ],
)
def test_formulas_in_a_sentence(text: str, expected: list[str]) -> None:
    assert formulas(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        r"\[note\] and \[1\] and \[x\](y)",
        r"- \[ \] task" + "\n" + r"- \[x\] done",
        r"\[see the" + "\n" + r"note\] below",
        r"text" + "\n" + r"\[sic\] more",
        r"\[--key=value\] \[a-z\] \[and/or\] \[0, 1\] \[TODO: x\] \[C++\]",
        r"\(optional\) and \(see below\) and \(e.g. this one\)",
        r"\[^1\]",
    ],
)
def test_escaped_brackets_are_brackets(text: str) -> None:
    assert formulas(text) == []
    assert "\\" not in shown(text)


def test_a_line_that_begins_with_an_escaped_bracket_does_not_split_its_paragraph() -> None:
    assert render("one\n\\[two\\] three\nfour", MARKUP) == "<p>one<br>[two] three<br>four</p>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$$\na\n$$", ["$$\na\n$$"]),
        ("$$\nr\n\n= s\n$$", ["$$\nr\n\n= s\n$$"]),
        ("\\[\n\na\n\n\\]", ["\\[\n\na\n\n\\]"]),
        ("Text: $$\np\n- q\n$$", ["$$\np\n- q\n$$"]),
        ("Text: \\[\n1. a\n# b\n\\]", []),
        ("Text: \\[\n+ a\n> b\n\\]", []),
        ("one\ntwo: $$\n- q\n$$ three\nfour", ["$$\n- q\n$$"]),
        ("a \\[ x = 1 \\] then \\[\n- c\n\\]", ["\\[ x = 1 \\]", "\\[\n- c\n\\]"]),
        ("a \\begin{align}\n- b\n\\end{align}", ["\\begin{align}\n- b\n\\end{align}"]),
        ("$$\nx\n$$.", ["$$\nx\n$$."]),
        ("$$ x^2 $$,", ["$$ x^2 $$,"]),
        ("$$\nx\n$$ where x is one", ["$$\nx\n$$"]),
        ("$$\na\n> b\n$$", ["$$\na\n> b\n$$"]),
        ("so \\(a\n= b\\) and", ["\\(a\n= b\\)"]),
        ("so $$a\n= b$$ and", ["$$a\n= b$$"]),
        ("so \\begin{align} x = 1 \\end{align} and", ["\\begin{align} x = 1 \\end{align}"]),
        ("## $$E = mc^2$$", ["$$E = mc^2$$"]),
        ("x[^1]\n\n[^1]: y $z$", ["$z$"]),
        ("1. one\n$$\nx = 1\n$$\n2. two", ["$$\nx = 1\n$$"]),
        # a stopped answer
        ("so:\n\n\\[\n\\frac{a}{b} \\\\\nc", ["\\[\n\\frac{a}{b} \\\\\nc"]),
        ("so: $$\nx^2\n- y", ["$$\nx^2\n- y"]),
        ("\\begin{cases}\na\n\nb\n\\end{cases}", ["\\begin{cases}\na\n\nb\n\\end{cases}"]),
        ("> $$\n> a\n>\n> b\n> $$", ["$$\na\n\nb\n$$"]),
        ("- one: $$\n  - q\n  $$\n- two", ["$$\n- q\n$$"]),
        ("1. one:\n   \\[\n   a\n\n   b\n   \\]\n2. two", ["\\[\na\n\nb\n\\]"]),
        ("$$\\begin{matrix} a \\\\[2pt] b \\end{matrix}$$", None),
        ("\\[\na \\\\[2pt]\nb\n\\]", ["\\[\na \\\\[2pt]\nb\n\\]"]),
    ],
)
def test_displayed_formulas(text: str, expected: list[str] | None) -> None:
    assert formulas(text) == ([text] if expected is None else expected)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("| abs | $|x|$ |", ["abs", "$|x|$"]),
        (r"| \(|x|\) | b |", [r"\(|x|\)", "b"]),
        ("| $|a| + |b|$ | $c$ |", ["$|a| + |b|$", "$c$"]),
        ("| $P(A | B)$ | b |", ["$P(A | B)$", "b"]),
        ("| $a | b$ |", ["$a", "b$"]),
        ("|$a$|$b$|", ["$a$", "$b$"]),
        ("| $5 | $6 |", ["$5", "$6"]),
        ("| 5$ | 6$ |", ["5$", "6$"]),
        (r"| \$5 | \$6 |", ["$5", "$6"]),
    ],
)
def test_a_bar_in_a_formula_ends_no_cell(row: str, cells: list[str]) -> None:
    html = render(f"| a | b |\n|---|---|\n{row}\n", MARKUP).partition("<tbody>")[2]
    assert [unescape(re.sub("<[^>]+>", "", c)) for c in re.findall("<td>(.*?)</td>", html)] == cells


def test_the_text_around_a_formula_stays() -> None:
    html = render("one: $$\n- q\n$$ two\nthree", MARKUP)
    assert re.sub("<div.*</div>", "|", html, flags=re.DOTALL) == "<p>one:</p>|<p>two<br>three</p>"


@pytest.mark.parametrize(
    "text",
    [
        "$$ is the PID\nand so on\n\n$$ again",
        "kill $$\nThen wait for it.\n\nkill $$",
        "$$\n\nThen we see that.\n\n$$",
        "$$\n```\ncode\n```\n$$",
        "kill $$\nwait $$",
        "a $$ b\n\nc $$ d",
        "The PID is $$\nand the parent is $$",
        "price $$\n\nnot a formula",
        "$$\n" + "x + y\n" * 1_000 + "$$",
    ],
)
def test_what_is_no_displayed_formula_is_text(text: str) -> None:
    assert formulas(text) == []


def test_an_open_formula_says_so_while_it_is_written() -> None:
    stream = BlockStream(MARKUP)
    stream.feed("So:\n\n$$\n\\frac{a}{b}\n\n= c\n")
    sent = "".join(op[-1] for op in stream.flush())
    assert 'data-open="1"' in sent
    stream.feed("$$\n\nThus.\n")
    assert 'data-open="1"' not in "".join(str(op[-1]) for op in stream.flush())


@pytest.mark.parametrize("text", [r"so $\frac{a}{b", r"so $x^2 + ", r"so \(\alpha"])
def test_half_a_formula_is_not_shown_as_text(text: str) -> None:
    stream = BlockStream(MARKUP)
    stream.feed(text)
    assert "".join(op[-1] for op in stream.flush()) in ("<p>so</p>", "<p>so </p>")


def test_half_a_price_is_shown() -> None:
    stream = BlockStream(MARKUP)
    stream.feed("it costs $5 or")
    assert "$5" in "".join(op[-1] for op in stream.flush())


PIECES = st.lists(
    st.sampled_from(
        [
            "$$",
            "$",
            r"\[",
            r"\]",
            r"\(",
            r"\)",
            "\n",
            "\n\n",
            "x",
            "x^2",
            "5",
            " ",
            "- ",
            "> ",
            "1. ",
        ]
        + [
            "word ",
            "two words ",
            "a: ",
            "```\n",
            "# ",
            r"\begin{align}",
            r"\end{align}",
            "|",
            "   ",
        ]
    ),
    max_size=25,
)


@given(PIECES, st.integers(0, 2**32))
def test_the_cut_does_not_change_the_formulas(pieces: list[str], seed: int) -> None:
    text, rng = "".join(pieces), random.Random(seed)
    stream, html, at = BlockStream(MARKUP), "", 0
    place: list[str] = []
    tail = ""
    while at < len(text):
        size = rng.randint(1, 6)
        stream.feed(text[at : at + size])
        at += size
        html, tail = _applied(stream, html, tail, place, final=False)
    html, tail = _applied(stream, html, tail, place, final=True)
    assert html + tail == render(text, MARKUP)


def _applied(
    stream: BlockStream, html: str, tail: str, place: list[str], *, final: bool
) -> tuple[str, str]:
    for op in stream.flush(final=final):
        match op:
            case ["t", keep, new]:
                tail = tail[:keep] + new
            case ["f", keep, new]:
                html, tail = html + tail[:keep] + new, ""
            case ["c", label, code]:
                place.append(f'<div class="ws-code" data-lang="{label}"><pre><code>')
                tail = place[-1] + code.replace("&", "&amp;").replace("<", "&lt;").replace(
                    ">", "&gt;"
                )
            case ["a", code]:
                tail += code.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            case ["s"]:
                html, tail = html + tail + "</code></pre></div>", ""
            case ["o", new]:
                end = re.search(r"(</tbody></table></div>|</[uo]l>)$", new)
                assert end is not None
                place.append(end[0])
                html, tail = html + new[: end.start()], ""
            case ["z"]:
                html += place.pop()
            case ["r", new]:
                html, tail = new, ""
    return html, tail


@pytest.mark.parametrize(
    "piece",
    ["$$\n", "\\[\n", "$", "$5 ", "$x ", "\\(", "\\(x ", "$$x\n\n", "a $$\n", "a \\[ x\n", "$$$"]
    + ["| \\(x|", "|$x|", "\\begin{align}\n", "\\begin{align}", "$x^", "\\[\n\nfoo bar\n", "\\[\n"],
)
def test_many_marks_cost_little(piece: str) -> None:
    """The work is linear in the text, not quadratic: it is counted in calls, not in seconds."""

    def calls(count: int) -> int:
        counted = 0

        def on_event(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        text = piece * count + "\n\nsome words here\n\n\\]"
        sys.setprofile(on_event)
        try:
            render(text, MARKUP)
        finally:
            sys.setprofile(None)
        return counted

    calls(100)
    few, many = calls(2_000 // len(piece)), calls(8_000 // len(piece))
    assert many < 6 * few  # four times the text
