"""Reports of results: JUnit XML for continuous integration, and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from wireside.conformance.results import Result, count_states

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 can't contain."""


def to_json(subject: str, results: Sequence[Result]) -> str:
    """Return a report about ``subject``, the URL or address under test, as JSON."""
    report: dict[str, Any] = {
        "subject": subject,
        "counts": count_states(results),
        "results": [asdict(result) for result in results],
    }
    return json.dumps(report, indent=2, ensure_ascii=False)


def to_junit(subject: str, results: Sequence[Result]) -> str:
    """Return a report about ``subject`` as JUnit XML; sections of the protocol are the classes."""
    counts = count_states(results)
    suite = ET.Element(
        "testsuite",
        name=_xml_text(f"wireside conformance {subject}"),
        tests=str(len(results)),
        failures=str(counts["failed"]),
        errors="0",
        skipped=str(counts["skipped"]),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        suite.append(_test_case(result))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _test_case(result: Result) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"protocol.{result.section}",
        name=result.name,
        time=f"{result.seconds:.3f}",
    )
    if result.state == "skipped":
        ET.SubElement(case, "skipped", message=_xml_text(result.reason))
    if result.state == "failed":
        message = _xml_text("\n".join(str(fault) for fault in result.faults))
        failure = ET.SubElement(case, "failure", type="conformance", message=message)
        failure.text = _xml_text(f"{result.rule}\n{message}")
    if result.transcript:
        output = ET.SubElement(case, "system-out")
        output.text = _xml_text("\n".join(result.transcript))
    return case


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
