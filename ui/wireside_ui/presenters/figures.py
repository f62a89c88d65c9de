"""The data of Plotly figures, reduced to what draws and loads nothing.

A figure is untrusted: Plotly reads a few HTML tags in texts, with links and styles, loads images
and maps, and has buttons that change a figure to anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wireside_ui.presenters.json_values import clean, number_in

MAX_TRACES = 200
MAX_HEIGHT, MIN_HEIGHT = 900, 120
"""Height of a figure in pixels, if its layout has one."""

TRACES = frozenset(
    {
        *("bar", "barpolar", "box", "candlestick", "carpet", "cone", "contour", "contourcarpet"),
        *("funnel", "funnelarea", "heatmap", "histogram", "histogram2d", "histogram2dcontour"),
        *("icicle", "indicator", "isosurface", "mesh3d", "ohlc", "parcats", "parcoords", "pie"),
        *("sankey", "scatter", "scatter3d", "scattercarpet", "scattergl", "scatterpolar"),
        *("scatterpolargl", "scattersmith", "scatterternary", "splom", "streamtube", "sunburst"),
        *("surface", "table", "treemap", "violin", "volume", "waterfall"),
    }
)
"""Kinds of traces that are drawn. The others are maps and images, which are loaded."""

_LAYOUT_LEFT_OUT = frozenset(
    {
        # what other servers send
        *("geo", "mapbox", "map"),
        # commands for Plotly
        *("updatemenus", "sliders", "modebar", "newshape", "newselection"),
        # the page has its own look and size
        *("template", "width", "autosize", "paper_bgcolor"),
    }
)
_RASTER = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*")
_OTHER_TAG = re.compile(r"<(?!/?(?:b|i|em|strong|s|u|sub|sup|extra)>|br ?/?>)")
"""Matches the beginning of a tag that is not plain, and any other ``<``."""


def figure_in(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a figure with the keys ``data``, ``layout`` and ``height``; None if it has none."""
    figure = data.get("figure")
    if not isinstance(figure, dict):
        return None
    traces, layout = figure.get("data"), figure.get("layout")
    if not isinstance(traces, list) or not 0 < len(traces) <= MAX_TRACES:
        return None
    if not all(_is_drawn(trace) for trace in traces):
        return None
    kept = {
        key: value
        for key, value in (layout if isinstance(layout, dict) else {}).items()
        if not any(key.startswith(name) for name in _LAYOUT_LEFT_OUT)
    }
    height = number_in(kept.pop("height", None))
    return {
        "data": _harmless(clean(traces)),
        "layout": _harmless(clean(kept)),
        "height": None if height is None else max(MIN_HEIGHT, min(MAX_HEIGHT, int(height))),
    }


def _is_drawn(trace: Any) -> bool:
    kind = trace.get("type", "scatter") if isinstance(trace, dict) else None
    return isinstance(kind, str) and kind in TRACES


def _harmless(value: Any) -> Any:
    """Return a value whose texts have plain tags only, and whose images are not loaded."""
    match value:
        case str():
            return _OTHER_TAG.sub("&lt;", value) if "<" in value else value
        case list():
            return [_harmless(one) for one in value]
        case dict():
            return {
                key: _harmless(one)
                for key, one in value.items()
                if key not in ("source", "stream") or not _is_loaded(one)
            }
        case _:
            return value


def _is_loaded(value: Any) -> bool:
    """Return whether a source is an address. Sankey diagrams have lists of numbers there."""
    return isinstance(value, str) and _RASTER.fullmatch(value) is None
