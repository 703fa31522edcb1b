#!/usr/bin/env python3
"""Compare a run of run_gabbi.py with the list of tests that must pass.

    must_pass.py [--update] REPORT.json must-pass.txt

The list holds `FILE: TEST` a line. A test on it that failed, or vanished from a file that was run, is an error. With
--update, tests that pass are added; nothing is ever taken out.
"""
import json
import sys


def main():
    args = sys.argv[1:]
    update = "--update" in args
    report_path, list_path = [arg for arg in args if arg != "--update"]
    report = json.load(open(report_path))
    if not report:
        sys.exit("the run made no report")
    strip = " (xfail)"
    passed = {"%s: %s" % (name, test[: -len(strip)] if test.endswith(strip) else test)
              for name, result in report.items() for test in result["passed"]}
    listed = [line.strip() for line in open(list_path) if line.strip() and not line.startswith("#")]
    due = [entry for entry in listed if entry.split(": ", 1)[0] in report]
    missing = [entry for entry in due if entry not in passed]
    new = sorted(passed.difference(listed))
    if update and new:
        with open(list_path, "a") as out:
            out.writelines(entry + "\n" for entry in new)
        print("%d tests added to %s" % (len(new), list_path))
    elif new:
        print("%d tests pass that are not on the list; add them with scripts/conformance --update" % len(new))
    for entry in missing:
        print("must pass, and does not: " + entry)
    print("%d of the %d tests that must pass do" % (len(due) - len(missing), len(due)))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
