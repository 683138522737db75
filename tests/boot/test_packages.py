#!/usr/bin/env python3
"""Boot loaders and bare-metal programs from Debian packages (scripts/make-package-guests.sh).

test_packages.py DRAGOMAN"""

import os
import sys

from machine import Failure, Machine, Skip, run_cases

program = sys.argv[1]
cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")


def guest(name):
    path = os.path.join(cache, name)
    if not os.path.exists(path):
        raise Skip(f"no {path}; scripts/make-package-guests.sh makes it")
    return path


def start(*arguments, memory="64"):
    return Machine(program, ["-m", memory, *arguments], screen=True)


def grub(*arguments, device):
    """The menu; its command line answers."""
    with start(*arguments) as machine:
        machine.expect_screen("GNU GRUB  version 2", "Memtest86+")
        machine.type_keys("c")
        machine.expect_screen("grub>")
        machine.type_keys("ls\n")
        machine.expect_screen(device)
        machine.type_keys("echo done-grub\n")
        machine.expect_screen("done-grub")


def memtest():
    """A whole pass over a small memory. Counted time shortens the minutes in which it waits for bits to fade."""
    with start("-kernel", guest("memtest.bin"), "-icount", "shift=7", memory="6") as machine:
        text = machine.expect_screen("Memtest86+ v6", "Status: Pass", "Errors: 0")
        if "Pass:  0 " in text:
            raise Failure("no pass has been counted")


def ipxe():
    with start("-kernel", guest("ipxe.lkrn"), "-append", "shell") as machine:
        machine.expect_screen("iPXE initialising devices...ok", "iPXE>")
        machine.type_keys("echo works\n")
        machine.expect_screen("iPXE> echo works\nworks")


def ipxe_cd():
    with start("-cdrom", guest("ipxe.iso")) as machine:
        machine.expect_screen("ISOLINUX", "iPXE ISO boot image", "iPXE initialising devices...ok")


def invaders():
    """A multiboot kernel that draws and waits for keys."""
    with start("-kernel", guest("invaders.exec"), memory="16") as machine:
        machine.expect_screen("-*-", "/ \\")


cases = [
    ("GRUB floppy", lambda: grub("-fda", guest("grub-floppy.img"), "-snapshot", device="(fd0)")),
    ("GRUB CD", lambda: grub("-cdrom", guest("grub-cdrom.iso"), device="(cd")),
    ("memtest86+", memtest),
    ("iPXE", ipxe),
    ("iPXE CD", ipxe_cd),
    ("invaders", invaders),
]
sys.exit(run_cases(cases))
