#!/usr/bin/env python3
"""Debian's i386 kernels reach a shell, run commands and power off through ACPI.

test_linux.py DRAGOMAN FLAVOUR [CASE...]        FLAVOUR: 686 or 686-pae; CASE: only these"""

import os
import sys

from machine import Failure, Machine, Skip, run_cases

program, flavour = sys.argv[1:3]
cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")
kernel = os.path.join(cache, f"vmlinuz-{flavour}")
initrd = os.path.join(cache, "initramfs.gz")
PROMPT = r"^.*# (\x1b\[6n)?"

# What is typed, and what the shell must answer. The answers never appear in the commands themselves.
DIALOGUE = [
    ("echo $((6 * 7))", r"^42$"),
    ("uname -s -m", r"^Linux i686$"),
    ("seq 1 2000 | md5sum", r"^ea4d0a24dabcaa11f9aa979b872d162b  -$"),
    ("for i in 1 2 3; do sh -c \"echo fork$i\"; done", r"^fork1\nfork2\nfork3$"),
    ("echo x >/tmp/f; cat /tmp/f /tmp/none; echo status=$?", r"^x\n.*No such file.*\nstatus=1$"),
    ("awk 'BEGIN { printf \"%.6f\\n\", 355 / 113 }'", r"^3\.141593$"),
    ("sh -c 'kill -SEGV $$'; echo status=$?", r"status=139$"),
]


def boot(append, memory="128"):
    for path in (kernel, initrd):
        if not os.path.exists(path):
            raise Skip(f"no {path}; scripts/make-default-guest.sh {flavour} makes it")
    return Machine(program, ["-m", memory, "-kernel", kernel, "-initrd", initrd, "-append", f"console=ttyS0 {append}"])


def shell():
    with boot("") as machine:
        machine.expect(r"Linux version \d+\.\d+\.\d+.*-" + flavour)
        machine.expect(r"A BusyBox shell")
        machine.expect(PROMPT)
        for command, answer in DIALOGUE:
            machine.send(command + "\n")
            machine.expect(answer)
            machine.expect(PROMPT)
        # Job control: ^C ends what runs in the foreground, not the shell.
        machine.send("sh -c 'echo start''ed; sleep 1000'\n")
        machine.expect(r"^started$")
        machine.send("\x03")
        machine.expect(PROMPT)
        machine.send("echo status=$?\n")
        machine.expect(r"^status=130$")
        machine.send("poweroff\n")
        machine.expect(r"reboot: Power down")
        machine.expect_exit(0)


def acpi():
    """What the kernel found of the machine; a command list on the kernel command line; exit by itself."""
    commands = "dmesg | grep -c 'ACPI: [0-9].*tables successfully'; cat /proc/interrupts; ls /sys/bus/pci/devices"
    with boot(f'dragoman.run="{commands}"') as machine:
        machine.expect(r"^dragoman.run: begin$")
        machine.expect(r"^1$")
        machine.expect(r"^ *0: +\d+ +XT-PIC +timer")
        machine.expect(r"^ *9: +\d+ +XT-PIC +acpi")
        machine.expect(r"^0000:00:00.0\b")
        machine.expect(r"^dragoman.run: end, status 0$")
        machine.expect(r"reboot: Power down")
        machine.expect_exit(0)


def little_memory():
    """A kernel that cannot fit is refused before it starts, in one line that names it."""
    with boot("", memory="4") as machine:
        machine.expect(r"^dragoman: .*vmlinuz-" + flavour + r".*MiB.*-m")
        if machine.console.count("\n") != 1:
            raise Failure(f"more than one line: {machine.console!r}")
        machine.expect_exit(1)


cases = [("shell", shell), ("acpi", acpi), ("little memory", little_memory)]
wanted = sys.argv[3:]
sys.exit(run_cases([(f"{flavour} {name}", function) for name, function in cases if not wanted or name in wanted]))
