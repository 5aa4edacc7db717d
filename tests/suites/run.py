"""Runs the public conformance suites against a running server, and says what is not clean.

    python tests/suites/run.py BASE_URL

`script/suites` starts the server and calls this, with a line `DIALECT TOKEN` for each connection on standard input. Each connection is judged by both suites; a finding counts unless an
entry of EXCEPTIONS excuses it. An entry that excuses nothing any longer is a failure too, so the list never outlives its
reasons, and so is a suite that checked less than it is known to check.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim_sanity.probe.runner import run_probe_api

TESTER, SANITY = "scim2-tester", "scim-sanity"
# Below these numbers something went wrong before the checks began.
FEWEST = {TESTER: 120, SANITY: 25}
CLEAN = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}


@dataclass
class Finding:
    """One check of a suite."""

    suite: str
    dialect: str
    name: str
    clean: bool
    message: str = ""
    data: Any = None


@dataclass
class Entry:
    """A finding that is not held against the server, and why."""

    suite: str
    why: str
    excuses: Callable[[Finding], bool]
    # None stands for every dialect.
    dialect: str | None = None
    used: int = 0


def parts(values: Any) -> list[dict[str, Any]]:
    """The elements of a multi-valued attribute as plain objects, without what is absent."""
    return [value.model_dump(exclude_none=True) for value in values or []]


def added_to_what_was_there(finding: Finding) -> bool:
    """An add of one element to a list that had one, of which the answer has both."""
    if not finding.name.endswith("check_add_attribute") or not isinstance(finding.data, dict):
        return False
    if not str(finding.data.get("urn")).startswith("urn:rollcall:"):
        return False
    expected = parts(finding.data["expected"])
    actual = parts(finding.data.get("modify_actual", finding.data.get("actual")))
    return len(actual) > len(expected) > 0 and all(element in actual for element in expected)


def differs_in_display_only(finding: Finding) -> bool:
    """A member came back as it was sent, with the name that the server knows it by."""
    if not isinstance(finding.data, dict) or finding.data.get("urn") != "members":
        return False
    expected = parts(finding.data.get("expected"))
    actual = parts(finding.data.get("modify_actual", finding.data.get("actual")))
    named = all(element.pop("display", None) for element in actual)
    return bool(expected) and named and expected == actual


# Where a suite is wrong by the text of the RFC: three at most.
EXCEPTIONS = [
    Entry(
        SANITY,
        "RFC 7643 §4.2: the value of a member is the id of a resource, and the suite adds one that is none",
        lambda f: f.name == "PATCH /Groups/{id} add member" and f.message == "Expected 200, got 400",
    ),
    Entry(
        TESTER,
        "RFC 7644 §3.5.2.1: an add to a multi-valued attribute adds to its values; the suite wants the new one alone",
        added_to_what_was_there,
    ),
    Entry(
        TESTER,
        "RFC 7643 §7: a read-only sub-attribute is the server's to give; the suite wants the element without it",
        differs_in_display_only,
    ),
]

# Where the lenient dialects answer otherwise for the sake of an identity provider.
LENIENCIES = [
    Entry(
        SANITY,
        "RFC 7644 §3.5.2 allows 204, which auto answers for groups (docs/adr/0012)",
        lambda f: f.name in ("PATCH /Groups/{id}", "PATCH /Groups/{id} remove members") and "got 204" in f.message,
        dialect="auto",
    ),
]

def run_tester(base: str, dialect: str, token: str) -> list[Finding]:
    client = Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    findings = []
    with client:
        for result in check_server(SyncSCIMClient(client)):
            name = " ".join(filter(None, [result.resource_type, result.title]))
            message = "" if result.status in CLEAN else f"{result.status.name}: {result.reason}"
            findings.append(Finding(TESTER, dialect, name, result.status in CLEAN, message, result.data))
    return findings


def run_sanity(base: str, dialect: str, token: str) -> list[Finding]:
    results = run_probe_api(base, token=token, strict=True)["results"]
    # Agents are resources of a draft, which the suite skips by itself where they are not offered.
    judged = [result for result in results if not (result["status"] == "skip" and result["name"].startswith("Agent"))]
    return [
        Finding(SANITY, dialect, result["name"], result["status"] == "pass", result.get("message") or "")
        for result in judged
    ]


def judge(findings: list[Finding], entries: list[Entry]) -> tuple[list[Finding], list[tuple[Finding, Entry]]]:
    """The findings that count, and those that are excused."""
    counting, excused = [], []
    for finding in findings:
        if finding.clean:
            continue
        matching = (
            entry
            for entry in entries
            if entry.suite == finding.suite and entry.dialect in (None, finding.dialect) and entry.excuses(finding)
        )
        entry = next(matching, None)
        if entry is None:
            counting.append(finding)
        else:
            entry.used += 1
            excused.append((finding, entry))
    return counting, excused


def main(base: str, connections: list[list[str]]) -> int:
    entries = EXCEPTIONS + LENIENCIES
    failures, findings = [], []
    print(f"{'suite':<14}{'connection':<12}{'checks':>7}{'clean':>7}{'excused':>9}{'failed':>8}")
    for dialect, token in connections:
        for suite, run in ((TESTER, run_tester), (SANITY, run_sanity)):
            found = run(base, dialect, token)
            counting, excused = judge(found, entries)
            findings.extend(excused)
            clean = sum(finding.clean for finding in found)
            print(f"{suite:<14}{dialect:<12}{len(found):>7}{clean:>7}{len(excused):>9}{len(counting):>8}")
            if len(found) < FEWEST[suite]:
                failures.append(f"{suite} made only {len(found)} checks on {dialect}; {FEWEST[suite]} are the least")
            failures.extend(f"{suite} on {dialect}: {finding.name}: {finding.message[:800]}" for finding in counting)
    if len(EXCEPTIONS) > 3:
        failures.append("more than three exceptions")
    print("\nexcused:")
    for (suite, name, why), times in Counter((f.suite, f.name, entry.why) for f, entry in findings).items():
        print(f"  {times} x {suite}: {name}\n      {why}")
    failures.extend(f"an entry excuses nothing any longer: {entry.why}" for entry in entries if not entry.used)
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/"), [line.split() for line in sys.stdin]))
