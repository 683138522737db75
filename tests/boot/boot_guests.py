#!/usr/bin/env python3
"""Systems that nobody here wrote, on floppy images, reach what they reach on a real PC.

boot_guests.py DRAGOMAN FOLDER [NAME...]       FOLDER holds the images; NAME: only these

A guest's row says what the screen must show, in order, and what is typed in between. One screen may
ask for several texts."""

import os
import sys
import time

import pictures
from machine import Failure, Machine, Skip, run_cases

program, images = sys.argv[1:3]
wanted = sys.argv[3:]

TYPE, SHOW = "type", "show"

GUESTS = {
    "freedos": [(SHOW, "A:\\>"), (TYPE, "dir\n"), (SHOW, "bytes free")],
    "freedos-emm386": [(SHOW, "V86-READY", "Free Expanded (EMS)")],
    "elks": [
        (SHOW, "VFS: Mounted root 0x0380 (minix filesystem).", "\n#"),
        (TYPE, "ls /bin\n"),
        (SHOW, "meminfo", "unreal16"),
    ],
    "floppinux": [(SHOW, "FLOPPINUX 0.2.4", "/root #")],
    "mikeos": [
        (SHOW, "Thanks for trying out MikeOS!"),
        (TYPE, "\n"),
        (SHOW, "Please select a file using the cursor", "KERNEL.BIN"),
    ],
    "bootos": [(SHOW, "bootOS", "$"), (TYPE, "dir\n"), (SHOW, "fbird", "pillman", "cubicdoom", "bootle")],
}

# Programs of bootos: those that draw a screen of their own, and those that write something.
BOOTOS_PICTURES = """fbird pillman invaders textmode bootslide tetranglix snake mine rogue bricks cubicdoom sokoban
heart pi bootle""".split()
BOOTOS_TEXTS = {"basic": "$basic\n>", "counter": "$counter\n*", "atomchess": "pppppppp\n........", "pi": "3.14159265358979323846"}


def start(name, memory="32"):
    path = os.path.join(images, f"{name}.img")
    if not os.path.exists(path):
        raise Skip(f"no {path}")
    drive = f"file={path.replace(',', ',,')},format=raw,if=floppy,snapshot=on"
    return Machine(program, ["-drive", drive, "-boot", "a", "-m", memory], screen=True)


def run_guest(name):
    with start(name) as machine:
        for action, *texts in GUESTS[name]:
            if action == SHOW:
                machine.expect_screen(*texts)
            else:
                machine.type_keys(texts[0])


def picture(machine):
    path = os.path.join(machine.folder, "screen.ppm")
    answer = machine.monitor(f'screendump "{path}"')
    if answer:
        raise Failure(f"screendump: {answer}")
    return pictures.read_ppm(path)


def bootos_picture(name):
    """Something other than what was there before is to be seen, more than the name that was typed."""
    with start("bootos") as machine:
        machine.expect_screen("bootOS", "$")
        before = picture(machine)
        machine.type_keys(name + "\n")
        while True:
            now = picture(machine)
            if now.width != before.width or now.height != before.height or now.differences(before) > 1200:
                return
            if time.monotonic() > machine.deadline:
                raise Failure(f"{name} drew nothing")
            time.sleep(0.5)


def bootos_programs():
    for name in BOOTOS_PICTURES:
        bootos_picture(name)
    for name, text in BOOTOS_TEXTS.items():
        with start("bootos") as machine:
            machine.expect_screen("bootOS", "$")
            machine.type_keys(name + "\n")
            machine.expect_screen(text)


def wait_for_picture(machine, good, what):
    while True:
        now = picture(machine)
        if good(now):
            return now
        if time.monotonic() > machine.deadline:
            raise Failure(f"{what} did not come")
        time.sleep(1)


def kolibri():
    """The desktop as in the picture beside the image, and its menu on a click."""
    menu, clock = (0, 280, 150, 570), 1000
    with start("kolibri", "128") as machine:
        expected = pictures.read_png(os.path.join(images, "kolibri.png"))

        def is_desktop(now):
            same_size = (now.width, now.height) == (expected.width, expected.height)
            return same_size and now.differences(expected) < clock

        desktop = wait_for_picture(machine, is_desktop, "the desktop")
        for _ in range(8):  # to the lower left corner, which stops the pointer; then onto the button
            machine.monitor("mouse_move -200 200")
            time.sleep(0.2)
        for _ in range(7):
            machine.monitor("mouse_move 2 -2")
            time.sleep(0.2)
        machine.monitor("mouse_button 1")
        time.sleep(0.3)
        machine.monitor("mouse_button 0")
        wait_for_picture(machine, lambda now: now.differences(desktop, menu) > 20000, "the menu")


cases = [(name, lambda name=name: run_guest(name)) for name in GUESTS]
cases += [("bootos programs", bootos_programs), ("kolibri", kolibri)]
sys.exit(run_cases([case for case in cases if not wanted or case[0] in wanted]))
