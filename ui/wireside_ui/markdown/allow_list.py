"""The allow-list of elements, attributes and classes in rendered Markdown."""

import nh3

from wireside_ui.markdown.highlighting import TOKEN_CLASSES
from wireside_ui.markdown.tags import PAIRED_TAGS, VOID_TAGS

# fmt: off
_TAGS = frozenset([
    "a", "b", "blockquote", "br", "code", "del", "div", "em", "h3", "h4", "h5", "h6",
    "hr", "img", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody",
    "td", "th", "thead", "tr", "ul",
])
# fmt: on

CLASSES = {
    "a": {"ws-image"},
    "img": {"ws-img"},
    "div": {"ws-code", "ws-table", "ws-math", "ws-tex"},
    "li": {"ws-task", "ws-only-code"},
    "ol": {"ws-footnotes"},
    "span": {"ws-math", "ws-tex", "ws-check", "ws-host", "ws-image-alt", *TOKEN_CLASSES},
    "sup": {"ws-fn"},
    "td": {"ws-right", "ws-center"},
    "th": {"ws-right", "ws-center"},
}
"""The classes of each element. Exported pages have them too."""

CLEANER = nh3.Cleaner(
    tags={
        *_TAGS,
        *VOID_TAGS,
        *PAIRED_TAGS - {"strike"},
        "details",
        "summary",
    },
    attributes={
        "a": {"href", "title"},
        "details": {"open"},
        "td": {"colspan"},
        "img": {"src", "alt"},
        "ol": {"start"},
        "li": {"data-fn"},
        "div": {"data-lang", "data-open"},
        "span": {"data-on", "aria-label"},
        "sup": {"data-fn"},
    },
    tag_attribute_values={
        "a": {"target": {"_blank"}, "dir": {"ltr"}},
        "code": {"dir": {"ltr"}},
        **{name: {"dir": {"auto"}} for name in ("ul", "ol", "blockquote", "table")},
        "div": {"role": {"math"}},
        "span": {"role": {"img", "math"}},
        "sup": {"role": {"link"}, "tabindex": {"0"}},
        "img": {"loading": {"lazy"}, "referrerpolicy": {"no-referrer"}},
    },
    allowed_classes=CLASSES,
    set_tag_attribute_values={"a": {"target": "_blank"}},
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)

PART_WRAPS = {
    "tr_open": ("<table><tbody>", "</tbody></table>"),
    "list_item_open": ("<ul>", "</ul>"),
}
"""Tags around a part that is cleaned alone: the HTML parser drops a row outside a table."""
