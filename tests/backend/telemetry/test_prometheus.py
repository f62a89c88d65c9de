"""/metrics as Prometheus reads it: conventions, limits, and its documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families as parse

from wireside.errors import ProviderTimeout
from wireside.generation.commits import Backlog
from wireside.messages import End, Usage
from wireside.telemetry.counts import MODELS, Telemetry, error_codes
from wireside.telemetry.prometheus import DOORS, METRICS, Exposition, Metric
from wireside.telemetry.state import State

ROOT = Path(__file__).parents[3]
OPERATIONS = ROOT / "docs" / "operations.md"
DASHBOARD = ROOT / "assets" / "grafana" / "wireside.json"


@pytest.fixture
def telemetry() -> Telemetry:
    """Telemetry after every kind of event, and with more names than there should be labels."""
    telemetry = Telemetry()
    telemetry.connected()
    telemetry.count_error("bad_json")
    telemetry.count_error("an unknown code")
    telemetry.count_problem("not_found")
    telemetry.record_question("ask")
    telemetry.committed(0.003, 2, 40)
    telemetry.provider_failed("provider_timeout")
    telemetry.provider_retried("provider_timeout")
    telemetry.loop_lag_s.record_value(0.004)
    telemetry.frames.received["chat"] += 1
    telemetry.frames.received["an unknown type"] += 1
    telemetry.frames.sent["done"] += 2
    for size in (1, 2, 3, 4, 16_384):
        telemetry.frames.chunk_sizes[size.bit_length()] += 1
        telemetry.frames.chunk_chars += size
    for number in range(100):
        watch = telemetry.record_answer(f"s{number}", f'model "{number}"\n\\', None)
        watch.first_delta_received()
        end = End(None, ProviderTimeout()) if number % 2 else End("stop", usage=Usage(3, 9))
        watch.answer_ended(end, 12, str)
    return telemetry


async def exposed(telemetry: Telemetry, accept: str = "") -> str:
    state = State(
        telemetry=telemetry,
        open_pages=3,
        open_streams=2,
        lags=(0, 7, 40),
        backlog=Backlog(streams=1, length=5, writes=0, behind_s=0.5),
    )
    text, _ = await Exposition(lambda: state).render_metrics(accept)
    return text.decode()


@pytest.fixture
async def families(telemetry: Telemetry) -> dict[str, Family]:
    return {family.name: family for family in parse(await exposed(telemetry))}


def family_of(metric: Metric) -> str:
    return metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name


def value(families: dict[str, Family], sample: str, **labels: str) -> float:
    found = [
        each.value
        for family in families.values()
        for each in family.samples
        if each.name == sample and each.labels == labels
    ]
    assert len(found) == 1, (sample, labels)
    return found[0]


async def test_every_metric_is_there_with_its_type_and_help(families: dict[str, Family]) -> None:
    for metric in METRICS:
        family = families[family_of(metric)]
        assert family.type == metric.kind
        assert family.documentation == metric.help
        assert family.samples, metric.name
    ours = {name for name in families if name.startswith("wireside_")}
    assert ours == {family_of(metric) for metric in METRICS}


def test_names_and_units_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"wireside(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created")), metric.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|kib)(_|$)", metric.name)
        unit = metric.unit.replace(" ", "_")
        assert metric.name.removesuffix("_total").endswith(unit), metric.name
        assert metric.help.endswith("."), metric.name
        assert len(metric.labels) <= (3 if metric.name.endswith("_info") else 2)
        assert "le" not in metric.labels
    assert len({metric.name for metric in METRICS}) == len(METRICS)


async def test_samples_have_the_labels_that_are_told(families: dict[str, Family]) -> None:
    for metric in METRICS:
        for sample in families[family_of(metric)].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), sample


async def test_labels_are_bounded(families: dict[str, Family]) -> None:
    values: dict[str, set[str]] = {}
    for metric in METRICS:
        for sample in families[family_of(metric)].samples:
            for name, label in sample.labels.items():
                values.setdefault(name, set()).add(label)
    assert len(values["model"]) == MODELS + 1
    assert values["code"] == {*error_codes(), "other"}
    assert values["kind"] == {"raw", "page", "ask", "read"}
    assert values["door"] == {"raw", "http", *DOORS}
    assert "an unknown type" not in values["type"]
    assert sum(len(family.samples) for family in families.values()) < 2000


async def test_the_values_are_those_that_were_counted(families: dict[str, Family]) -> None:
    assert value(families, "wireside_connections", kind="raw") == 1
    assert value(families, "wireside_connections", kind="page") == 3
    assert value(families, "wireside_errors_total", door="raw", code="bad_json") == 1
    assert value(families, "wireside_errors_total", door="raw", code="other") == 1
    assert value(families, "wireside_errors_total", door="http", code="not_found") == 1
    assert value(families, "wireside_errors_total", door="raw", code="internal") == 0
    assert value(families, "wireside_frames_total", direction="in", type="chat") == 1
    assert value(families, "wireside_frames_total", direction="out", type="done") == 2
    assert value(families, "wireside_frames_total", direction="out", type="chunk") == 5
    assert value(families, "wireside_chunk_characters_count") == 5
    assert value(families, "wireside_chunk_characters_sum") == 16_394
    assert value(families, "wireside_chunk_characters_bucket", le="1.0") == 1
    assert value(families, "wireside_chunk_characters_bucket", le="3.0") == 3
    assert value(families, "wireside_chunk_characters_bucket", le="16383.0") == 4
    assert value(families, "wireside_chunk_characters_bucket", le="32767.0") == 5
    assert value(families, "wireside_readers") == 3
    assert value(families, "wireside_reader_lag_characters") == 40
    assert value(families, "wireside_reader_backlog_characters") == 47
    assert value(families, "wireside_commit_behind_seconds") == 0.5
    assert value(families, "wireside_provider_retries_total", code="provider_timeout") == 1
    assert value(families, "wireside_stream_errors_total", code="provider_timeout") == 50


async def test_histograms_are_whole(families: dict[str, Family]) -> None:
    for metric in METRICS:
        if metric.kind != "histogram":
            continue
        rows: dict[str, list[float]] = {}
        for sample in families[metric.name].samples:
            key = sample.labels.get("model", "")
            if sample.name.endswith("_bucket"):
                rows.setdefault(key, []).append(sample.value)
        for key, counts in rows.items():
            assert counts == sorted(counts), metric.name
            labels = {"model": key} if metric.labels else {}
            assert counts[-1] == value(families, f"{metric.name}_count", **labels)


async def test_memory_and_garbage_are_prometheus_own(families: dict[str, Family]) -> None:
    assert value(families, "process_resident_memory_bytes") > 10_000_000
    assert value(families, "process_open_fds") > 0
    assert "python_gc_collections" in families


async def test_open_metrics_is_spoken_where_it_is_asked_for(telemetry: Telemetry) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text = await exposed(telemetry, "application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {family_of(metric) for metric in METRICS} <= names


def test_the_table_of_metrics_is_true() -> None:
    """docs/operations.md has a line for each metric, and for no other."""
    rows = [
        f"| `{m.name}` | {m.kind} | {m.unit} | {', '.join(f'`{each}`' for each in m.labels)} "
        f"| {m.help} |".replace("|  |", "| |").replace("|  |", "| |")
        for m in METRICS
    ]
    text = OPERATIONS.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("| `wireside_")]
    assert found == rows, "lines for the table in docs/operations.md:\n" + "\n".join(rows)


class TestTheDashboard:
    def test_asks_for_nothing_that_is_not_there(self) -> None:
        names = {
            f"{metric.name}{suffix}"
            for metric in METRICS
            for suffix in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
        } | {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
        queries = [target["expr"] for panel in panels() for target in panel["targets"]]
        assert len(queries) > 15
        for query in queries:
            asked = set(re.findall(r"\b(?:wireside|process)_[a-z_]+", query))
            assert asked, query
            assert asked <= names, query

    def test_asks_by_labels_that_are_there(self) -> None:
        labels = {m.name: {*m.labels, "le", "instance", "job"} for m in METRICS}
        for panel in panels():
            for target in panel["targets"]:
                for name, inside in re.findall(r"(wireside_[a-z_]+)\{([^}]*)\}", target["expr"]):
                    base = re.sub(r"_(bucket|sum|count)$", "", name)
                    asked = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", inside))
                    assert asked <= labels[base], target["expr"]

    def test_groups_by_labels_that_are_there(self) -> None:
        labels = {m.name: {*m.labels, "le", "instance", "job"} for m in METRICS}
        for panel in panels():
            for target in panel["targets"]:
                grouped = re.findall(r"\b(?:by|without) \(([^)]*)\)", target["expr"])
                asked = {label.strip() for each in grouped for label in each.split(",")}
                for name in re.findall(r"(?:wireside|process)_[a-z_]+", target["expr"]):
                    base = re.sub(r"_(bucket|sum|count)$", "", name)
                    assert asked <= labels.get(base, set()), target["expr"]
                shown = {*re.findall(r"{{\s*(\w+)\s*}}", target.get("legendFormat", ""))}
                assert shown <= asked | {"instance"}, target["legendFormat"]

    def test_closes_what_it_opens(self) -> None:
        for panel in panels():
            for target in panel["targets"]:
                rest = re.sub(r'"[^"]*"', "", target["expr"])
                assert '"' not in rest, target["expr"]
                inner = re.compile(r"\([^()[\]{}]*\)|\[[^()[\]{}]*\]|\{[^()[\]{}]*\}")
                while inner.search(rest):
                    rest = inner.sub("", rest)
                assert not re.search(r"[()[\]{}]", rest), target["expr"]

    def test_shows_everything_that_the_table_has(self) -> None:
        """A new metric is added to the dashboard, or to the exceptions here."""
        text = DASHBOARD.read_text(encoding="utf-8")
        unseen = {m.name for m in METRICS if m.name not in text}
        assert unseen <= {"wireside_raw_connections_total", "wireside_kept_streams"}

    def test_can_be_imported(self) -> None:
        board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        assert board["title"] == "Wireside"
        assert {each["name"] for each in board["templating"]["list"]} == {"datasource", "instance"}
        ids = [panel["id"] for panel in panels()]
        assert len(ids) == len(set(ids))
        for panel in panels():
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            assert panel["datasource"]["uid"] == "${datasource}"


def panels() -> list[dict[str, Any]]:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]
