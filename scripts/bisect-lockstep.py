#!/usr/bin/env python3
"""Finds which optimisation pass of the translator makes a run go wrong, and shows the block.

    scripts/bisect-lockstep.py [OPTION...] -- build/dragoman ARGUMENT...

The command is run with `--engine lockstep`, which stops at the first block that interpreter and translation disagree about.
If they agree, its console and exit status with `--engine tier1` are compared with those of `--engine interp` instead; then the
passes are found all the same, but no block. Passes are switched off one by one (`-accel disable-passes=`) as long as the run still
goes wrong: what stays on is at fault. Then blocks are made as short as possible (`-accel block-limit=`).

    --seconds N      patience with one run (default 120); a run that takes longer counts as right
    --runs N         a run goes wrong if one of N does (default 1). Counted time (-icount) makes runs repeatable
    --trace          shows the block's IR after each pass, too (-d op,op_opt,out_asm: slow, and large for a whole system)

Exit status: 0 the passes were found, 1 the run never goes wrong, 2 it does without any pass: lifter or back end."""

import argparse
import re
import subprocess
import sys
import tempfile

DISAGREE = "lockstep: the engines disagree"


def say(text):
    print(f"bisect: {text}", file=sys.stderr, flush=True)


class Run:
    """One way to run the command; wrong() says what is wrong with it, or None."""

    def __init__(self, options):
        self.options, self.command, self.engine, self.right = options, options.command, "lockstep", None

    def output(self, engine, passes_off, limit, more=()):
        accelerator = [f"disable-passes={':'.join(passes_off)}"] if passes_off else []
        accelerator += [f"block-limit={limit}"] if limit else []
        command = self.command + ["--engine", engine] + (["-accel", "tcg," + ",".join(accelerator)] if accelerator else []) + list(more)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=self.options.seconds, check=False)
        except subprocess.TimeoutExpired:
            say(f"a run did not end within {self.options.seconds:g} s")
            return None
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def wrong(self, passes_off=(), limit=None, more=()):
        for _ in range(self.options.runs):
            result = self.output(self.engine, passes_off, limit, more)
            if self.engine == "lockstep":
                if result and DISAGREE in result[1]:
                    return result[1][result[1].index(DISAGREE):]
            elif result != self.right:
                return f"exit status {result[0]}" if result else "no end"
        return None


def known_passes(run):
    """From the message about one that does not exist."""
    status, text = run.output("interp", ["?"], None)
    found = re.search(r"there are all, (.*)", text)
    if not found:
        sys.exit(f"bisect: the program does not list its passes (status {status}): {text.strip()}")
    return found[1].strip().split(", ")


def find_passes(run, passes):
    """A smallest set of passes with which it goes wrong."""
    on = list(passes)
    for name in passes:
        without = [other for other in on if other != name]
        if run.wrong([other for other in passes if other not in without]):
            on = without
            say(f"still wrong without {name}")
        else:
            say(f"right without {name}")
    return on


def shortest_blocks(run, passes_off):
    low, high = 1, 64
    while low < high:
        middle = (low + high) // 2
        if run.wrong(passes_off, middle):
            high = middle
        else:
            low = middle + 1
    return low


def show_trace(run, passes_off, limit, report):
    """The last translation of the block: what -d wrote from its first line on."""
    found = re.search(r"^guest code at ([0-9a-f]{8})", report, re.M)
    if not found:
        return
    with tempfile.NamedTemporaryFile("r", suffix=".log", errors="replace") as log:
        run.wrong(passes_off, limit, ["-d", "op,op_opt,out_asm", "-D", log.name])
        kept, current, mine = [], [], False
        for line in log:
            if line.startswith("IR as lifted"):
                if mine:
                    kept = current
                current, mine = [], False
            mine |= line.strip().startswith(f"block eip={found[1]} ")
            current.append(line)
        print("".join(current if mine else kept) or "(the block is not in the trace)")


def main():
    parser = argparse.ArgumentParser(usage="%(prog)s [OPTION...] -- DRAGOMAN ARGUMENT...")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    run = Run(options)
    passes = known_passes(run)
    report = run.wrong()
    if not report:
        say("the engines agree in lockstep; comparing whole runs")
        run.right = run.output("interp", [], None)
        run.engine = "tier1"
        if not run.right:
            sys.exit("bisect: the interpreter's run does not end: nothing to compare with (--seconds)")
        if not run.wrong():
            say("the run goes right in every way")
            return 1
    if run.wrong(passes):
        say("it goes wrong with every pass switched off: lifter, flag pass or back end")
        on, off = [], passes
    else:
        on = find_passes(run, passes)
        off = [name for name in passes if name not in on]
    limit = shortest_blocks(run, off)
    final = run.wrong(off, limit) or report
    print(f"passes at fault: {' with '.join(on) or 'none'}")
    print(f"smallest: -accel {'disable-passes=' + ':'.join(off) + ',' if off else ''}block-limit={limit}")
    print(final or "")
    if options.trace and run.engine == "lockstep":
        show_trace(run, off, limit, final)
    return 0 if on else 2


if __name__ == "__main__":
    sys.exit(main())
