#!/usr/bin/env python3
"""What translated code leaves to the interpreter while Debian's kernel boots, counted by instruction.

test_fallback.py DRAGOMAN FLAVOUR [--show]        FLAVOUR: 686 or 686-pae; --show: the monitor's whole list

Everything is translated at once, so nothing hides in the interpreter, and time is counted, so that somebody counts
instructions. x87, MMX, SSE and string instructions (those with REP) are its business so far."""

import os
import re
import sys

from machine import Failure, Machine, Skip, run_cases

program, flavour = sys.argv[1:3]
cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")
kernel = os.path.join(cache, f"vmlinuz-{flavour}")
initrd = os.path.join(cache, "initramfs.gz")
MOST = 0.1  # per cent


def fallback():
    for path in (kernel, initrd):
        if not os.path.exists(path):
            raise Skip(f"no {path}; scripts/make-default-guest.sh {flavour} makes it")
    arguments = ["-m", "128", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0", "-icount", "shift=0"]
    with Machine(program, arguments + ["--engine", "tier1"]) as machine:
        machine.expect(r"A BusyBox shell")
        machine.expect(r"^.*# (\x1b\[6n)?")
        machine.send("seq 1 2000 | md5sum; ls -lR /proc/sys | tail -n 1; echo do''ne\n")
        machine.expect(r"^done$")
        answer = machine.monitor("info jit -a").replace("\r", "")
    if "--show" in sys.argv:
        print(answer)
    found = re.search(r"^  apart from x87.*: \d+ \(([0-9.]+) % of (\d+) instructions\)$", answer, re.M)
    if not found:
        raise Failure(f"info jit does not say: {answer}")
    share, instructions = float(found[1]), int(found[2])
    print(f"of {instructions} instructions the interpreter ran {share} % for translated code")
    if instructions < 100_000_000:
        raise Failure(f"only {instructions} instructions: this cannot be a boot")
    if share > MOST:
        raise Failure(f"more than {MOST} %:\n{answer}")


sys.exit(run_cases([(f"{flavour} fallback", fallback)]))
