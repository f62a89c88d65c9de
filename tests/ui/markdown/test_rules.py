"""Features beyond CommonMark: other scripts, HTML tags, bare links, nested fences."""

# ruff: noqa: E501  (a text and its HTML share a line)

import re

import pytest

from wireside_ui.markdown.autolinks import bare_links
from wireside_ui.markdown.dialect import Markup
from wireside_ui.markdown.emphasis import flanks
from wireside_ui.markdown.incremental import BlockStream, render
from wireside_ui.markdown.unfinished import close_open_marks

MARKUP = Markup(frozenset())


def body(text: str) -> str:
    """The HTML of one paragraph, without the paragraph's tags."""
    html = render(text, MARKUP)
    assert html.startswith("<p>")
    assert html.endswith("</p>")
    return html[3:-4]


class TestEmphasis:
    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("**「語」**の説明", "<strong>「語」</strong>の説明"),
            ("これは**「語」**です", "これは<strong>「語」</strong>です"),
            ("**結論（要点）。**次へ", "<strong>結論（要点）。</strong>次へ"),
            ("这是**“核心”**的说明", "这是<strong>“核心”</strong>的说明"),
            ("重点**(a)**和**[b]**与**\"c\"**了", ('重点<strong>(a)</strong>和<strong>[b]</strong>与'
             '<strong>"c"</strong>了')),
            ("**‘공개’**는 **네트워크(net)**를", "<strong>‘공개’</strong>는 <strong>네트워크(net)</strong>를"),
            ("*斜体（例）。*続き", "<em>斜体（例）。</em>続き"),
            ("~~削除（旧）。~~新", "<s>削除（旧）。</s>新"),
            ("これは_「語」_の", "これは<em>「語」</em>の"),
            ("__注意：__请看", "<strong>注意：</strong>请看"),
            ("***全部！***了", "<em><strong>全部！</strong></em>了"),
            ("**100%**增长", "<strong>100%</strong>增长"),
            ("**Rust：**快", "<strong>Rust：</strong>快"),
            ("คำว่า**“สำคัญ”**มาก", "คำว่า<strong>“สำคัญ”</strong>มาก"),
            ("前**`code`**后", '前<strong><code dir="ltr">code</code></strong>后'),
            ("**【注】**𠮷野家", "<strong>【注】</strong>𠮷野家"),
            ("まず**「一」**と**「二」**の", "まず<strong>「一」</strong>と<strong>「二」</strong>の"),
        ],
    )  # fmt: skip
    def test_marks_beside_punctuation_of_scripts_without_spaces(self, text: str, html: str) -> None:
        assert body(text) == html

    @pytest.mark.parametrize(
        "text",
        [
            'a*"foo"*',
            "a*(b)*c",
            'a_"b"_',
            "2 * 3 * 4",
            "snake_case_name",
            "报告_2024_最终版.docx",
            "🙂**(x)**y",
        ],
    )
    def test_in_other_scripts_it_stays_as_commonmark_says(self, text: str) -> None:
        assert "<em>" not in body(text)
        assert "<strong>" not in body(text)

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("~~Hi~~ Hello, ~there~ world!", "<s>Hi</s> Hello, <s>there</s> world!"),
            ("~3 days and ~5 people; 5~10 and 20~30", "~3 days and ~5 people; 5~10 and 20~30"),
            ("价格100~200元，大约3~5天", "价格100~200元，大约3~5天"),
            ("~/foo and ~/bar", "~/foo and ~/bar"),
            ("a ~~~b~~~ c", "a ~~~b~~~ c"),
            ("~~a~ b~~", "<s>a~ b</s>"),
        ],
    )
    def test_tildes(self, text: str, html: str) -> None:
        assert body(text) == html

    def test_the_text_between_two_bold_words_is_not_bold(self) -> None:
        text = "まず**「とても大事」**の説明。それから次へ。また**「別の語」**の話。"
        assert re.findall("<strong>(.*?)</strong>", body(text)) == ["「とても大事」", "「別の語」"]

    def test_the_end_of_a_text_counts_as_a_space(self) -> None:
        assert flanks("", "a", splits_words=True) == (True, False)
        assert flanks("a", "", splits_words=True) == (False, True)


class TestTags:
    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("H<sub>2</sub>O, x<sup>2</sup>", "H<sub>2</sub>O, x<sup>2</sup>"),
            ("<kbd>Ctrl</kbd>+<kbd>C</kbd>", "<kbd>Ctrl</kbd>+<kbd>C</kbd>"),
            ("a<br>b<br/>c<BR />d", "a<br>b<br>c<br>d"),
            ("a<br>\nb<BR/>  \nc", "a<br>b<br>c"),
            ("<mark>m</mark> <u>u</u> <ins>i</ins>", "<mark>m</mark> <u>u</u> <ins>i</ins>"),
            ("<b>a **b** c</b>", "<b>a <strong>b</strong> c</b>"),
            ("**a <i>b</i>**", "<strong>a <i>b</i></strong>"),
            ("<strike>x</strike>", "<s>x</s>"),
            ("<ruby>漢<rt>かん</rt></ruby>", "<ruby>漢<rt>かん</rt></ruby>"),
            ("<sub><sup>tiny</sup></sub>", "<sub><sup>tiny</sup></sub>"),
        ],
    )
    def test_harmless_ones_are_formatting(self, text: str, html: str) -> None:
        assert body(text) == html

    @pytest.mark.parametrize(
        "text",
        [
            "Use vector<int> and Map<String, List<T>> now",
            "Option<i>, Vec<u> and List<b>",
            "send <channel> and <exact lines>",
            "x <y> z; a < b and c > d",
            "a <b> without an end",
            "an end </sup> alone",
            "<b class=x>not plain</b>",
            "<b onclick=alert(1)>x",
            "<center>x</center>",
            "<!-- a comment -->",
            "**a <b>c**",
            "<sub/>",
            "</final> <tool_call>{}</tool_call>",
        ],
    )
    def test_all_others_are_seen(self, text: str) -> None:
        assert re.sub("</?strong>", "**", body(text)) == (
            text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        )

    def test_they_work_in_table_cells(self) -> None:
        html = render("| a |\n|---|\n| x<br>y <kbd>z</kbd> <b>open |\n| </b> |\n", MARKUP)
        assert "<td>x<br>y <kbd>z</kbd> &lt;b&gt;open</td>" in html
        assert "<td>&lt;/b&gt;</td>" in html

    def test_an_element_never_reaches_over_a_block(self) -> None:
        html = render("<b>a\n\nb</b>\n\n- <i>x\n- y</i>\n", MARKUP)
        assert "<b>" not in html
        assert "<i>" not in html

    @pytest.mark.parametrize("text", ["`<b>x</b>`", "    <b>x</b>", "```\n<b>x</b>\n```"])
    def test_code_shows_them(self, text: str) -> None:
        assert "&lt;b&gt;x&lt;/b&gt;" in render(text, MARKUP)

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            (
                "<details>\n<summary>More</summary>\n\nHidden **text**.\n\n- a\n\n</details>\n\nnext",
                ("<details><summary>More</summary><p>Hidden <strong>text</strong>.</p>"
                '<ul dir="auto"><li>a</li></ul></details><p>next</p>'),
            ),
            ("<details open><summary>s</summary>x</details>",
             '<details open=""><summary>s</summary><p>x</p></details>'),
            ("text\n<details>\nx\n</details>", "<p>text</p><details><p>x</p></details>"),
            ("> <details>\n> <summary>\n> two\n> </summary>\n> x\n> </details>",
             '<blockquote dir="auto"><details><summary>two</summary><p>x</p></details></blockquote>'),
            ("<details>\n<details>\ni\n</details>\no\n</details>",
             "<details><details><p>i</p></details><p>o</p></details>"),
            ("<details>\n```\n</details>\n```\n</details>",
             ('<details><div class="ws-code" data-lang=""><pre><code>&lt;/details&gt;\n'
             "</code></pre></div></details>")),
            ("<details>\nnever closed\n\nx", "<p>&lt;details&gt;<br>never closed</p><p>x</p>"),
            ("</details>\n\nx", "<p>&lt;/details&gt;</p><p>x</p>"),
            ("<summary>alone</summary>", "<p>&lt;summary&gt;alone&lt;/summary&gt;</p>"),
        ],
    )  # fmt: skip
    def test_folds(self, text: str, html: str) -> None:
        assert render(text, MARKUP) == html

    def test_a_fold_without_an_end_keeps_nothing_back_for_ever(self) -> None:
        stream = BlockStream(MARKUP)
        stream.feed("<details>\n" + "Some words.\n\n" * 2_000)
        settled = "".join(str(op[-1]) for op in stream.flush() if op[0] == "f")
        assert settled.count("Some words") > 1_900


class TestLinks:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("文档在 https://a.bc/docs（说明）里", "https://a.bc/docs"),
            ("看 https://a.bc/guide，然后", "https://a.bc/guide"),
            ("地址：https://a.bc/a。下", "https://a.bc/a"),
            ("「https://a.bc/q」も", "https://a.bc/q"),
            ("『https://a.bc/q』【https", "https://a.bc/q"),
            ("见https://a.bc/x了解更多", "https://a.bc/x"),
            ("见https://a.bc了解更多", "https://a.bc"),
            ("주소는 https://a.bc/ko입니다", "https://a.bc/ko"),
            ("ดูhttps://a.bc/thได้", "https://a.bc/th"),
            ("الرابط https://a.bc/ar، ثم", "https://a.bc/ar"),
            ("رابط https://a.bc/q؟ نعم", "https://a.bc/q"),
            ("हिन्दी https://a.bc/hi। अगला", "https://a.bc/hi"),
            ("see https://a.bc/x… and", "https://a.bc/x"),
            ("see https://a.bc/x→ next", "https://a.bc/x"),
            ("(https://a.bc/c_(d))", "https://a.bc/c_(d)"),
            ("https://a.bc/c(d", "https://a.bc/c(d"),
            ("https://a.bc/?q=1&r=2.", "https://a.bc/?q=1&r=2"),
            ("https://de.a.bc/wiki/Österreich,", "https://de.a.bc/wiki/Österreich"),
            ("https://ru.a.bc/wiki/Россия)", "https://ru.a.bc/wiki/Россия"),
            ("https://例え.jp/x です", "https://例え.jp/x"),
            ("a http://localhost:8000/x b", "http://localhost:8000/x"),
            ("See www.example.org/a and", "http://www.example.org/a"),
            ("(www.a.bc)", "http://www.a.bc"),
            ("请看www.a.bc。", "http://www.a.bc"),
            ("ask me@example.org.", "mailto:me@example.org"),
            ("联系a.b+c@d-e.fg了解", "mailto:a.b+c@d-e.fg"),
            ("mailto:me@a.bc now", "mailto:me@a.bc"),
        ],
    )
    def test_where_an_address_ends(self, text: str, address: str) -> None:
        assert next(link.url for link in bare_links(text)) == address

    @pytest.mark.parametrize(
        "text",
        ["awww.a.bc", "www.", "a@b", "a@b.c_d", "a@b.c-", "@a.bc", "http://", "https://。", "x@"]
        + ["npm i react@18.2.0", "git clone git@git.example:group/name.git"],
    )
    def test_what_is_none(self, text: str) -> None:
        assert not list(bare_links(text))

    def test_the_name_of_a_scheme_may_have_capitals(self) -> None:
        assert 'href="mailto:a@b.cd"' in render("<MAILTO:a@b.cd>", MARKUP)
        assert 'href="https://a.bc/"' in render("HTTPS://a.bc/", MARKUP)

    @pytest.mark.parametrize(
        "address",
        ["a.bc/x/__init__.py", "a.bc/_next_/b", "a.bc/*/b/*/c", "a.bc/**/*.js", "a.bc/x~~y~~z"],
    )
    def test_marks_inside_an_address_belong_to_it(self, address: str) -> None:
        url = f"https://{address}"
        html = render(f"*See* {url} or {url}, **{url}** and [{url}]({url})", MARKUP)
        assert html.count(f">{url}</a>") == 4
        assert re.findall("<(?:em|strong|s)>", html) == ["<em>", "<strong>"]
        assert close_open_marks(url) == url

    @pytest.mark.parametrize("mark", ["*", "**", "_", "__", "~~", "***"])
    def test_marks_around_an_address_do_not(self, mark: str) -> None:
        html = render(f"a {mark}https://a.bc/x_y{mark} {mark}再见https://a.bc/x{mark}, b", MARKUP)
        assert len(re.findall("<(?:em|strong|s)>", html)) == (4 if mark == "***" else 2)
        assert "https://a.bc/x</a>" in html
        assert "https://a.bc/x_y</a>" in html

    def test_code_and_links_are_left_alone(self) -> None:
        html = render("`www.a.bc` [www.a.bc](https://www.a.bc/) <https://a.bc>", MARKUP)
        assert html.count("<a ") == 2


class TestFences:
    FILE = "# My project\n\n```bash\npip install x\n```\n\n~~~js\nf()\n~~~\n\n```python\nx\n```\n\nMIT\n"

    @pytest.mark.parametrize("name", ["markdown", "md", "Markdown", "md title=x", "{.markdown}"])
    def test_a_markdown_file_may_hold_fences(self, name: str) -> None:
        html = render(f"```{name}\n{self.FILE}```\n\nThat is **all**.", MARKUP)
        assert html.count("ws-code") == 1
        assert "MIT" in html.partition("</pre>")[0]
        assert html.endswith("<p>That is <strong>all</strong>.</p>")

    @pytest.mark.parametrize(
        ("text", "after"),
        [
            ("````md\n```py\nx\n````\nafter", "after"),  # the inner fence can't end the outer one
            ("~~~md\n```py\nx\n~~~\nafter", "after"),
            ("```md\n```md\n```py\nx\n```\n```\n```\nafter", "after"),
            ("```md\n````py\nx\n```\n````\n```\nafter", "after"),
            ("```py\n```js\nx\n```\nafter", "after"),  # a language that is not Markdown
            ("- ```md\n  ```sh\n  x\n  ```\n  ```\n\nafter", "after"),
        ],
    )
    def test_which_line_ends_it(self, text: str, after: str) -> None:
        assert render(text, MARKUP).endswith(f"<p>{after}</p>")

    def test_it_grows_as_code_while_it_comes(self) -> None:
        stream, ops = BlockStream(MARKUP), []
        for letter in f"```markdown\n{self.FILE}```\n\nend":
            stream.feed(letter)
            ops += stream.flush()
        assert [op[0] for op in ops if op[0] != "a"] == ["c", "s", "t", "t", "t"]

    def test_a_language_may_have_escaped_signs(self) -> None:
        assert 'data-lang="foo+bar"' in render("```foo\\+bar\nx\n```", MARKUP)


class TestHalfWritten:
    @pytest.mark.parametrize(
        ("half", "shown"),
        [
            ("これは**「語", "これは**「語**"),
            ("まず**「語」**の", "まず**「語」**の"),
            ("a**b", "a**b"),
            ("H<sub>2", "H<sub>2</sub>"),
            ("H<su", "H"),
            ("H<sub>2</s", "H<sub>2</sub>"),
            ("press <kbd>", "press "),
            ("<b>a **b", "<b>a **b**</b>"),
            ("**a <b>c** d", "**a <b>c** d"),
            ("Option<i> and", "Option<i> and"),
            ("a < b", "a < b"),
            ("vector<int", "vector<int"),
            ("~3 days and", "~3 days and"),
            ("a&nbs", "a"),
            ("a &#8", "a "),
            ("a &", "a "),
            ("a & b", "a & b"),
            ("AT&T", "AT&T"),
        ],
    )
    def test_open_marks_and_tags_are_closed(self, half: str, shown: str) -> None:
        assert close_open_marks(half) == shown

    @pytest.mark.parametrize(
        "text",
        [
            "まず**「とても大事な言葉」**の説明を読み、**次（二）**へ。",
            "Water is H<sub>2</sub>O; press <kbd>Ctrl</kbd>.",
            "这是**“核心概念”**的说明，~~删除（旧）~~。",
        ],
    )
    def test_no_mark_is_seen_at_any_moment(self, text: str) -> None:
        stream, tail = BlockStream(MARKUP), ""
        for letter in text:
            stream.feed(letter)
            for name, keep, html in stream.flush():
                assert name == "t"
                tail = tail[:keep] + html
            assert not set(re.sub(r"<[^>]+>|&lt;$", "", tail)) & set("*<>~&")


class TestDirection:
    @pytest.mark.parametrize("text", ["- a", "1. a", "> a", "| a |\n|---|\n| b |"])
    def test_lists_quotes_and_tables_find_theirs(self, text: str) -> None:
        assert 'dir="auto"' in render(text, MARKUP)

    def test_code_and_addresses_do_not_decide_it(self) -> None:
        assert '<code dir="ltr">' in render("`x`", MARKUP)
        assert 'dir="ltr"' in render("https://a.bc/", MARKUP)


class TestTables:
    def test_missing_cells_are_one_wide_cell(self) -> None:
        html = render("|a|b|c|\n|-|-|-|\n|1|\n|1|2|3|4|\n", MARKUP)
        assert '<tr><td>1</td><td colspan="2"></td></tr>' in html
        assert "<tr><td>1</td><td>2</td><td>3</td></tr>" in html

    def test_escaped_bars_stay(self) -> None:
        assert "<td>a|b</td>" in render("|x|\n|-|\n|a\\|b|\n", MARKUP)
