"""Renders markdown-it tokens to HTML, which is not sanitised yet."""

import html as html_text
from collections.abc import Sequence

from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from wireside_ui.markdown.highlighting import HighlightBudget, code_block, code_label, highlight
from wireside_ui.markdown.math import rules as math


class HtmlRenderer(RendererHTML):
    """Renders HTML without white space between blocks, which would add DOM nodes."""

    # overrides
    def renderToken(  # noqa: N802
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        token = tokens[idx]
        if token.hidden or not token.tag:
            return ""
        return (
            f"</{token.tag}>" if token.nesting == -1 else f"<{token.tag}{self.renderAttrs(token)}>"
        )

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        label, code = code_label(unescapeAll(tokens[idx].info)), tokens[idx].content
        highlighted = highlight(code, label, env.setdefault("allowance", HighlightBudget()))
        return code_block(label, highlighted or html_text.escape(code, quote=False))

    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return code_block("", html_text.escape(tokens[idx].content, quote=False))

    def softbreak(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "<br>"

    hardbreak = softbreak

    def heading_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f"<h{_heading_level(tokens[idx])}>"

    def heading_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f"</h{_heading_level(tokens[idx])}>"

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return '<div class="ws-table"><table dir="auto">'

    def blockquote_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        tokens[idx].attrs["dir"] = "auto"
        return self.renderToken(tokens, idx, options, env)

    # The direction of a list is that of its text; code and addresses, which have their own
    # direction, are not considered.
    bullet_list_open = ordered_list_open = blockquote_open

    def code_inline(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f'<code dir="ltr">{html_text.escape(tokens[idx].content)}</code>'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "</table></div>"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _cell(tokens[idx])

    td_open = th_open

    def list_item_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        meta = tokens[idx].meta
        is_only_code = _is_only_code(tokens, idx)
        if "checked" not in meta:
            return '<li class="ws-only-code">' if is_only_code else "<li>"
        state = ' data-on="1" aria-label="☑"' if meta["checked"] else ' aria-label="☐"'
        names = "ws-task ws-only-code" if is_only_code else "ws-task"
        return f'<li class="{names}"><span class="ws-check" role="img"{state}></span>'

    def link_host(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f' <span class="ws-host">({html_text.escape(tokens[idx].content)})</span>'

    def image_shown(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        token = tokens[idx]
        alt, url = html_text.escape(token.content), html_text.escape(token.meta["url"])
        privacy = 'loading="lazy" referrerpolicy="no-referrer"'
        return f'<img class="ws-img" src="{url}" alt="{alt}" {privacy}>'

    def image_card(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        token = tokens[idx]
        url, host = html_text.escape(token.meta["url"]), html_text.escape(token.meta["host"])
        alt = html_text.escape(token.content)
        return (
            f'<a class="ws-image" href="{url}" target="_blank" title="{url}">'
            f'<span class="ws-image-alt">{alt}</span><span class="ws-host">{host}</span></a>'
        )

    def math_inline(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        source = html_text.escape(tokens[idx].content)
        return f'<span class="{math.classes(tokens[idx])}" role="math">{source}</span>'

    def math_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        source = html_text.escape(tokens[idx].content)
        is_open = ' data-open="1"' if tokens[idx].meta["open"] else ""
        return f'<div class="{math.classes(tokens[idx])}" role="math"{is_open}>{source}</div>'

    def footnote_ref(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        number = tokens[idx].meta["id"] + 1
        return f'<sup class="ws-fn" role="link" tabindex="0" data-fn="{number}">{number}</sup>'

    def footnote_block_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return '<ol class="ws-footnotes">'

    def footnote_block_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "</ol>"

    def footnote_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f'<li data-fn="{tokens[idx].meta["id"] + 1}">'

    def footnote_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "</li>"

    def footnote_anchor(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return ""


def _heading_level(token: Token) -> int:
    return min(int(token.tag[1]) + 2, 6)  # below those of the page (1) and of the turn (2)


def _is_only_code(tokens: Sequence[Token], idx: int) -> bool:
    """Return whether a list item begins with code and nothing else, which has no direction.

    Such an item takes the direction of the list: its own would be left to right.
    """
    inline = tokens[idx + 2] if tokens[idx + 1].type == "paragraph_open" else None
    kinds = {child.type for child in (inline.children or ())} if inline else set()
    return "code_inline" in kinds and kinds <= {"code_inline", "softbreak"}


def _cell(token: Token) -> str:
    style = str(token.attrs.get("style", ""))
    place = {
        "text-align:right": ' class="ws-right"',
        "text-align:center": ' class="ws-center"',
    }.get(style, "")
    span = f' colspan="{token.meta["span"]}"' if "span" in token.meta else ""
    return f"<{token.tag}{span}{place}>"
