"""Verdicts of the regression gate for machines: JUnit XML, and annotations of GitHub's workflows. No JAX here."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from bench.gate.regression import Check
from bench.gate.summary import by_task, failures, one_line, title
from bench.machine.printing import printable


def junit(check: Check) -> str:
    """Write a check as JUnit XML, one test case for each verdict.

    A regression is a failure, and so is a cell that is missing or a record that cannot be read. A verdict "unclear" is
    skipped, with its reason. A cell that could not be compared is an error.
    """
    suite = ElementTree.Element("testsuite", name="bench check")
    counts = {"tests": 0, "failures": 0, "skipped": 0, "errors": 0}
    for verdict in check.verdicts:
        case = _case(suite, verdict.cells[0].suite, title(verdict))
        counts["tests"] += 1
        if verdict.verdict in ("worse", "differs"):
            failure = ElementTree.SubElement(case, "failure", message=_legal(one_line(verdict)))
            failure.text = _legal(by_task(verdict))
            counts["failures"] += 1
        elif verdict.verdict == "unclear":
            ElementTree.SubElement(case, "skipped", message=_legal(one_line(verdict)))
            counts["skipped"] += 1
        else:
            ElementTree.SubElement(case, "system-out").text = _legal(one_line(verdict))
    for name, why in failures(check):
        ElementTree.SubElement(_case(suite, "records", name), "failure", message=_legal(why))
        counts["tests"] += 1
        counts["failures"] += 1
    for key, why in check.not_compared:
        ElementTree.SubElement(_case(suite, key.suite, f"{key.method} on {key.grid}"), "error", message=_legal(why))
        counts["tests"] += 1
        counts["errors"] += 1
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def annotations(check: Check) -> Iterator[str]:
    """Workflow commands of a check.

    A regression and missing results are errors, what could not be told is a warning, and an improvement is a notice.
    """
    kinds = {"worse": "error", "differs": "error", "unclear": "warning", "better": "notice"}
    for verdict in check.verdicts:
        if verdict.verdict in kinds:
            text = f"{one_line(verdict)}\n{by_task(verdict)}".strip()
            yield _command(kinds[verdict.verdict], title(verdict), text)
    for name, why in failures(check):
        yield _command("error", name, why)
    for key, why in check.not_compared:
        yield _command("warning", f"{key.method} on {key.grid}", f"not compared: {why}")


def _case(suite: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_legal(f"bench.{group}"), name=_legal(name))


def _legal(text: str) -> str:
    """Replace the control characters that XML 1.0 cannot hold."""
    return "".join(c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" else "?" for c in text)


def _command(kind: str, title: str, text: str) -> str:
    return f"::{kind} title={_escape(title).replace(':', '%3A').replace(',', '%2C')}::{_escape(text)}"


def _escape(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
