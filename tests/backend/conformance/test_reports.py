"""Reports: JUnit XML and JSON of results."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from wireside.conformance.reports import to_json, to_junit
from wireside.conformance.results import Fault, Result
from wireside.conformance.scenarios.catalogue import SCENARIOS

RESULTS = [
    Result(name="a", section="Ids", rule="A rule.", level=1, state="passed", seconds=0.5),
    Result(
        name="b",
        section="Resume",
        rule="Another rule.",
        level=2,
        state="failed",
        faults=(Fault("a pong", "\x00 <nothing> \ud83d"),),
        transcript=("→ ping", "← \x1b[31m"),
    ),
    Result(name="c", section="Ids", rule="", level=2, state="skipped", reason="No key."),
]


def test_junit_counts_and_names_what_failed() -> None:
    (suite,) = ET.fromstring(to_junit("ws://x", RESULTS))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    passed, failed, skipped = suite
    assert (passed.get("name"), passed.get("classname"), list(passed)) == ("a", "protocol.Ids", [])
    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == "expected a pong; came \ufffd <nothing> \ufffd"
    assert "Another rule." in str(failure.text)
    assert failed.findtext("system-out") == "→ ping\n← \ufffd[31m"
    reason = skipped.find("skipped")
    assert reason is not None
    assert reason.get("message") == "No key."


def test_json_has_everything() -> None:
    report = json.loads(to_json("ws://x", RESULTS[:1]))
    assert report["subject"] == "ws://x"
    assert report["counts"] == {"passed": 1, "failed": 0, "skipped": 0}
    assert report["results"][0]["rule"] == "A rule."


def test_the_document_names_all_scenarios() -> None:
    text = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text("utf-8")
    groups = ("cut-after-", "close-1")
    names = [one.name for one in SCENARIOS if not one.name.startswith(groups)]
    assert [name for name in names if f"`{name}`" not in text] == ["plain"]
