#!/usr/bin/env python3
"""Finds the first event in which two runs in counted time differ.

    scripts/bisect-trace-hash.py [OPTION...] -- build/dragoman -icount shift=0,stop=1000000000 ARGUMENT...

The command is run twice, with the hash of its trace written down every 2^N events; then both are run once more for the first
stretch in which the hashes differ, with every event in it. What is printed last of both is the first event that is not the same:
an interrupt, an exception, an access to a device (docs/debugging.md says what the columns are).

    --first OPTIONS   options of the first run alone (default "--engine interp")
    --second OPTIONS  options of the second run alone (default none; "" compares two equal runs if --first is "" as well)
    --every N         2^N events between two hashes (default 12)
    --context N       equal events shown before the first difference (default 8)
    --seconds N       patience with one run (default 600); one that takes longer is ended, and compared as far as it came

Exit status: 0 the runs are the same, 1 they are not, 2 something is wrong with the command."""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile


def say(text):
    print(f"bisect: {text}", file=sys.stderr, flush=True)


def run(options, more, log, extra):
    """Runs the command; the lines of its log."""
    command = list(options.command)
    where = next((i for i, word in enumerate(command) if word in ("-icount", "--icount")), None)
    if where is None or where + 1 == len(command):
        say("the command has no -icount")
        sys.exit(2)
    command[where + 1] += f",hash-log={log},hash-every={options.every}{extra}"
    with open(log + ".console", "wb") as console:
        try:
            subprocess.run(
                command + shlex.split(more), stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=options.seconds
            )
        except subprocess.TimeoutExpired:
            say(f"{more or 'the command'}: ended after {options.seconds} s")
    if not os.path.exists(log):
        with open(log + ".console", encoding="utf-8", errors="replace") as console:
            say("the command wrote no hashes: " + console.read()[-1000:])
        sys.exit(2)
    with open(log, encoding="ascii") as file:
        return [line for line in file.read().split("\n")[:-1]]


def first_difference(one, other):
    for i, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return i
    return min(len(one), len(other)) if len(one) != len(other) else None


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=True)
    parser.add_argument("--first", default="--engine interp")
    parser.add_argument("--second", default="")
    parser.add_argument("--every", type=int, default=12)
    parser.add_argument("--context", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    options.command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not options.command:
        parser.error("which command?")
    with tempfile.TemporaryDirectory(prefix="dragoman-bisect-") as folder:
        logs = [os.path.join(folder, name) for name in ("first", "second")]
        runs = [run(options, more, log, "") for more, log in zip((options.first, options.second), logs)]
        at = first_difference(*runs)
        if at is None:
            begin = len(runs[0]) << options.every  # what comes behind the last hash
            say(f"the first {begin} events are the same")
            end = begin + (1 << options.every)
        else:
            begin, end = at << options.every, (at + 1) << options.every
            say(f"the hashes differ between event {begin} and event {end}")
        runs = [
            run(options, more, log, f",hash-from={begin},hash-to={end}")
            for more, log in zip((options.first, options.second), logs)
        ]
        events = [[line for line in lines if line.startswith("event ")] for lines in runs]
        at = first_difference(*events)
        if at is None:
            say("no event differs" + (": the runs are the same" if end > begin else ""))
            sys.exit(0)
        for line in events[0][max(0, at - options.context) : at]:
            print("  " + line)
        for sign, lines in zip("-+", events):
            print(f"{sign} {lines[at] if at < len(lines) else '(the run is over)'}")
        sys.exit(1)


main()
