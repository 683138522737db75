#!/usr/bin/env python3
"""The built-in guest under gdb: breakpoints, steps and watchpoints, as gdb sees them.

test_gdb.py DRAGOMAN TEACHING.elf"""

import os
import re
import shutil
import subprocess
import sys
import time

from machine import Failure, Machine, Skip, run_cases

program, kernel = sys.argv[1:3]
TICKS = "*(unsigned *)&timer_ticks"


def debug(machine, commands):
    """Runs gdb with COMMANDS on the machine; what it says between one command's marker and the next, in a list."""
    gdb = shutil.which("gdb")
    if not gdb:
        raise Skip("no gdb on this host")
    path = os.path.join(machine.folder, "gdb")
    line = [gdb, "-nx", "-batch", "-iex", "set auto-load no", "-ex", "set architecture i386", "-ex", "set width 0"]
    line += ["-ex", "set remotetimeout 60", "-ex", f"target remote {path}"]
    for number, command in enumerate(commands):
        line += ["-ex", f"echo \\n=={number}==\\n", "-ex", command]
    while not os.path.exists(path):
        if machine.process.poll() is not None or time.monotonic() > machine.deadline:
            raise Failure("the program does not serve gdb")
        time.sleep(0.05)
    try:
        ran = subprocess.run(
            line + [kernel],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=max(1, machine.deadline - time.monotonic()),
        )
    except subprocess.TimeoutExpired as late:
        raise Failure(f"gdb did not come to its end: {(late.stdout or b'').decode()[-2000:]}") from None
    said = ran.stdout.decode("utf-8", "replace")
    parts = re.split(r"^==\d+==$", said, flags=re.M)[1:]
    if len(parts) != len(commands):
        raise Failure(f"gdb left early: {said[-2000:]}")
    return parts


def expect(parts, number, pattern):
    if not re.search(pattern, parts[number]):
        raise Failure(f"gdb's answer to command {number} is not {pattern!r} but {parts[number]!r}")
    return re.search(pattern, parts[number])


def start():
    machine = Machine(program, ["-m", "16", "-kernel", kernel, "-append", "test", "-S"], timeout=120)
    machine.command += ["-gdb", f"unix:{machine.folder}/gdb,server=on,wait=off"]
    return machine


def finish(machine):
    """gdb has left: the guest goes on as if nothing had been."""
    machine.expect(r"^teaching kernel: PASS$")
    machine.expect_exit(0)


def breakpoints():
    with start() as machine:
        parts = debug(machine, ["break timer_interrupt", "continue", "stepi", "info symbol $pc", "detach"])
        expect(parts, 1, r"Breakpoint 1, 0x[0-9a-f]+ in timer_interrupt")
        expect(parts, 3, r"^\s*timer_interrupt \+ \d+ in section")
        finish(machine)


def write():
    """Each tick, from the first, which the guest counts in an interrupt handler."""
    commands = [f"watch {TICKS}"]
    for _ in range(3):
        commands += ["continue", "info symbol $pc"]
    with start() as machine:
        parts = debug(machine, commands + ["delete", "detach"])
        expect(parts, 0, r"Hardware watchpoint 1: ")
        for tick in range(3):
            expect(parts, 1 + 2 * tick, rf"Hardware watchpoint 1: [^\0]*Old value = {tick}\nNew value = {tick + 1}\n")
            expect(parts, 2 + 2 * tick, r"^\s*timer_interrupt \+ \d+ in section")
        finish(machine)


def read():
    """Reads alone, once the code that makes them has run many times."""
    stop = r"Hardware read watchpoint 2: [^\0]*Value = \d+\n"
    with start() as machine:
        parts = debug(
            machine,
            [f"break timer_interrupt if {TICKS} == 5", "continue", "delete 1"]
            + [f"rwatch {TICKS}", "continue", "continue", "delete", "detach"],
        )
        expect(parts, 1, "Breakpoint 1, ")
        expect(parts, 4, stop)
        expect(parts, 5, stop)
        finish(machine)


def access():
    """The user's memory, at the same address in each task; and a watchpoint wider than an operand."""
    with start() as machine:
        parts = debug(
            machine,
            ["break timer_interrupt", "continue", "delete 1"]
            + ["awatch *(unsigned (*)[64])0x40000000", "continue", "print $cs & 3", "delete", "detach"],
        )
        expect(parts, 3, r"Hardware access \(read/write\) watchpoint 2: ")
        expect(parts, 4, r"Hardware access \(read/write\) watchpoint 2: ")
        expect(parts, 5, r"= 3\n")
        finish(machine)


sys.exit(
    run_cases(
        [
            ("breakpoints", breakpoints),
            ("watchpoint: write", write),
            ("watchpoint: read", read),
            ("watchpoint: access", access),
        ]
    )
)
