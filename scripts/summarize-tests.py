#!/usr/bin/env python3
"""Counts the single tests in a JUnit file that ctest wrote, and prints `N passed, N failed, N skipped`.

A ctest test that says how many cases it ran counts as that many: cmocka programs, and programs that
print a line `cases: N passed, N failed, N skipped`. Any other counts as one. Exit status 1 if
something failed or nothing ran."""

import re
import sys
import xml.etree.ElementTree as ElementTree

CASES = re.compile(r"^cases: (\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
CMOCKA = {
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M),
    "failed": re.compile(r"^\[  FAILED  \] (?:.*: )?(\d+) test\(s\), listed", re.M),
    "skipped": re.compile(r"^\[  SKIPPED \] (?:.*: )?(\d+) test\(s\), listed", re.M),
}


def count_cases(status, output):
    """(passed, failed, skipped) of one ctest test."""
    lines = CASES.findall(output)
    if lines:
        passed, failed, skipped = (sum(int(line[i]) for line in lines) for i in range(3))
    else:
        passed, failed, skipped = (sum(map(int, pattern.findall(output))) for pattern in CMOCKA.values())
    if status == "fail" and failed == 0:
        failed = 1  # a crash, a time-out, or a failure outside of the cases
    if status == "run" and passed + failed + skipped == 0:
        passed = 1
    if status in ("notrun", "disabled") and skipped == 0:
        passed, skipped = 0, 1
    return passed, failed, skipped


def main():
    try:
        root = ElementTree.parse(sys.argv[1]).getroot()
    except (OSError, ElementTree.ParseError) as problem:
        print(f"no test results: {problem}")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    totals = [0, 0, 0]
    for case in root.iter("testcase"):
        counts = count_cases(case.get("status"), case.findtext("system-out") or "")
        totals = [total + count for total, count in zip(totals, counts)]
        if counts[1]:
            print(f"failed:  {case.get('name')}")
        elif counts[2]:
            reasons = re.findall(r"^skipped: (.*)$", case.findtext("system-out") or "", re.M)
            print(f"skipped: {case.get('name')} {'; '.join(reasons)}".rstrip())
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not totals[0] else 0


sys.exit(main())
