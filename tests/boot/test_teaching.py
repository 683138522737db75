#!/usr/bin/env python3
"""The built-in guest: its self-test, its prompt, and what the monitor sees of it.

test_teaching.py DRAGOMAN TEACHING.elf"""

import sys

from machine import Failure, Machine, run_cases

program, kernel = sys.argv[1:3]


def start(append):
    return Machine(program, ["-m", "16", "-kernel", kernel, "-append", append], timeout=120)


def self_test():
    with start("test") as machine:
        for line in (
            r"\[real mode\] hello from 16-bit code",
            r"\[real mode\] int 60h answered 42; 639 KiB of conventional memory",
            r"\[protected mode\] segments, gates",
            r"\[paging\] on; tasks see their own memory at 40000000",
            r"\[timer\] 100 interrupts a second",
        ):
            machine.expect(line)
        machine.expect(r"(?s)(?=.*counter: round 5\n)(?=.*intruder: round 5\n)")
        machine.expect(r"^counter: the kernel keeps its memory to itself$|^intruder: writing to kernel memory$")
        machine.expect(r"^\[scheduler\] preemption works$")
        machine.expect(r"^\[tasks\] exit codes as expected$")
        machine.expect(r"^teaching kernel: PASS$")
        machine.expect_exit(0)
        if "[task 2] ended by exception 14, error code 00000007, cr2 00100000" not in machine.console:
            raise Failure("the intruder's page fault is not as it should be")


def prompt():
    with start("") as machine:
        machine.expect(r"^> ")
        machine.send("help\r")
        machine.expect(r"^help  tasks  uptime")
        machine.send("tasks\r")
        for number, name in enumerate(("kernel", "counter", "intruder")):
            machine.expect(rf"^task {number}  {name}  ready, preempted \d+ times, cr3 [0-9a-f]{{8}}$")
        machine.expect(r"^> ")
        # The text screen, seen from outside: white on blue, "[real".
        screen = machine.monitor("xp /5hx 0xb8000")
        for cell in ("0x1f5b", "0x1f72", "0x1f65", "0x1f61", "0x1f6c"):
            if cell not in screen:
                raise Failure(f"no {cell} in the first line of the screen: {screen}")
        if "EIP=" not in machine.monitor("info registers"):
            raise Failure("info registers shows no EIP")
        machine.send("poweroff\r")
        machine.expect_exit(0)


def reset():
    """-no-reboot makes a reset the end of the program."""
    with start("") as machine:
        machine.expect(r"^> ")
        machine.send("reboot\r")
        machine.expect_exit(0)


def quit_by_monitor():
    with start("") as machine:
        machine.expect(r"^> ")
        machine.qmp(("quit", {}))
        machine.expect_exit(0)


sys.exit(run_cases([("self-test", self_test), ("prompt", prompt), ("reset", reset), ("quit", quit_by_monitor)]))
