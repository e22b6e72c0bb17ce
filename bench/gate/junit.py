"""Verdicts of the regression gate for machines: JUnit XML, and annotations of GitHub's workflows."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from bench.analysis.scores import CellKey
from bench.gate.regression import Check
from bench.gate.summary import detail, label, summary


def junit(check: Check) -> str:
    """One test case per verdict: worse is a failure, what cannot be told is skipped with the reason."""
    suite = ElementTree.Element("testsuite", name="bench check")
    counts = {"tests": 0, "failures": 0, "skipped": 0, "errors": 0}
    for comparison in check.comparisons:
        case = _case(suite, comparison.cells[0], label(comparison))
        counts["tests"] += 1
        if comparison.verdict in ("worse", "differs"):
            ElementTree.SubElement(case, "failure", message=_legal(summary(comparison))).text = _legal(
                detail(comparison)
            )
            counts["failures"] += 1
        elif comparison.verdict == "unclear":
            ElementTree.SubElement(case, "skipped", message=_legal(summary(comparison)))
            counts["skipped"] += 1
        else:
            ElementTree.SubElement(case, "system-out").text = _legal(summary(comparison))
    for key, why in check.gaps:
        ElementTree.SubElement(_case(suite, key, f"{key.method} on {key.grid}"), "error", message=_legal(why))
        counts["tests"] += 1
        counts["errors"] += 1
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def annotations(check: Check) -> Iterator[str]:
    """Workflow commands: an error for a regression, a warning for what could not be told, a notice for the better."""
    kinds = {"worse": "error", "differs": "error", "unclear": "warning", "better": "notice"}
    for comparison in check.comparisons:
        if comparison.verdict in kinds:
            text = f"{summary(comparison)}\n{detail(comparison)}".strip()
            yield _command(kinds[comparison.verdict], label(comparison), text)
    for key, why in check.gaps:
        yield _command("warning", f"{key.method} on {key.grid}", f"not compared: {why}")


def _case(suite: ElementTree.Element, key: CellKey, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_legal(f"bench.{key.suite}"), name=_legal(name))


def _legal(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" else "?" for c in text)


def _command(kind: str, title: str, text: str) -> str:
    return f"::{kind} title={_escape(title).replace(':', '%3A').replace(',', '%2C')}::{_escape(text)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
