#!/usr/bin/env python3
"""Machines that start in SeaBIOS: what it finds, in which order, and what INT 13h reads and writes.

test_firmware.py DRAGOMAN"""

import os
import resource
import shutil
import sys
import tempfile

import disk_images
from machine import Failure, Machine, Skip, run_cases

program = sys.argv[1]
folder = tempfile.mkdtemp(prefix="dragoman-disks-")
EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
FLOPPY_SECTOR, DISK_SECTOR = 1234, 19999


def start(*arguments):
    if not any(os.path.exists(f"{d}/bios-256k.bin") for d in ("/usr/share/seabios", "/usr/share/qemu")):
        raise Skip("SeaBIOS is not installed (Debian's package seabios)")
    return Machine(program, ["-m", "8", *arguments], screen=True)


def floppy(name="floppy", sectors=2880, track=18, **defines):
    return disk_images.write_disk(folder, name, sectors, FLOPPY_SECTOR, SECTORS=track, HEADS=2, **defines)


def disk(name="disk", sectors=20160, **defines):
    return disk_images.write_disk(folder, name, sectors, DISK_SECTOR, **defines)


def check_written(path, sector, written):
    """Whether boot_sector.asm's write has reached the file."""
    with open(path, "rb") as file:
        file.seek((sector + 1) * 512)
        there = file.read(512) == bytes(byte ^ 0xFF for byte in disk_images.test_sector())
    if there != written:
        raise Failure(f"{path}: sector {sector + 1} was {'not ' if written else ''}written")


def boots(name, path, *arguments, sector=None, written=True):
    with start(*arguments, *EXIT) as machine:
        try:
            machine.expect_exit(ord("P") | 1)
        except Failure as problem:
            raise Failure(f"{name}: {problem}") from None
    if sector is not None:
        check_written(path, sector, written)


def no_device():
    with start() as machine:
        machine.expect_screen("SeaBIOS (version", "No bootable device.")
    with start("-nodefaults", "-boot", "strict=on") as machine:
        machine.expect_screen("No bootable device.")


def boots_floppies():
    for name, sectors, track in (("f1440", 2880, 18), ("f720", 1440, 9), ("f1200", 2400, 15), ("f2880", 5760, 36)):
        path = floppy(name, sectors, track)
        boots(name, path, "-fda", path, sector=FLOPPY_SECTOR)
    path = floppy("protected")
    boots("snapshot", path, "-drive", f"file={path},if=floppy,snapshot=on", sector=FLOPPY_SECTOR, written=False)


def boots_disks():
    for option in ("-hda", "-hdb", "-hdc", "-hdd"):
        path = disk()
        boots(option, path, option, path, sector=DISK_SECTOR)
    path = disk("big", sectors=9 << 21)  # 9 GiB, sparse: INT 13h needs LBA
    boots("9 GiB", path, "-drive", f"file={path},format=raw", sector=DISK_SECTOR)
    path = disk("chs", SECTORS=63, HEADS=16)  # by cylinder, head and sector
    boots("CHS", path, "-hda", path, sector=DISK_SECTOR)
    path = disk("kept")
    boots("-snapshot", path, "-snapshot", path, sector=DISK_SECTOR, written=False)


def boots_cd():
    path = disk_images.write_cd(folder, "cd")
    boots("-cdrom", path, "-cdrom", path)
    boots("media=cdrom", path, "-drive", f"file={path},media=cdrom,index=1", "-boot", "d")


def boot_order():
    images = ["-fda", floppy("first", KEEP=None), "-hda", disk("second", KEEP=None)]
    images += ["-cdrom", disk_images.write_cd(folder, "third", KEEP=None)]
    for order, name in (("a", "first"), ("c", "second"), ("d", "third"), ("dca", "third"), ("order=ac", "first")):
        with start(*images, "-boot", order) as machine:
            machine.expect_screen(f"{name} booted")
    machine = Machine(program, ["-m", "8", *images, "-boot", "order=c,once=d"], screen=True)
    machine.command.remove("-no-reboot")
    with machine:
        machine.expect_screen("third booted")
        machine.monitor("system_reset")
        machine.expect_screen("second booted")
        machine.monitor("boot_set a")
        machine.monitor("system_reset")
        machine.expect_screen("first booted")


def boot_menu():
    images = ["-fda", floppy("first", KEEP=None), "-hda", disk("second", KEEP=None)]
    with start(*images, "-boot", "menu=on,splash-time=20000,order=a") as machine:
        machine.expect_screen("Press ESC for boot menu.")
        machine.monitor("sendkey esc")
        text = machine.expect_screen("Select boot device:", "1. ", "2. ")
        number = next(line[0] for line in text.splitlines() if "ata0-0" in line)
        machine.type_keys(number)
        machine.expect_screen("second booted")


def full_host_disk():
    """Writes that the host refuses are errors for the guest, and a line for the user."""
    path = disk("full", KEEP=None)
    limit = DISK_SECTOR * 512 + 512  # more than the guest's memory, which counts as a file, too
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        machine = start(path, "-accel", "tb-size=8")  # the code cache is such a file, too
        with machine:
            machine.expect_screen("full booted, drive 80: cannot write, status ")
            machine.qmp(("quit", {}))
            machine.expect_exit(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if "full.img: cannot write sector" not in machine.console:
        raise Failure(f"no message about full.img: {machine.console!r}")


def bad_images():
    empty = disk_images.write_image(os.path.join(folder, "empty"), 0, {})
    large = disk_images.write_image(os.path.join(folder, "large"), 4 << 20, {})
    cases = [
        (["-hda", "/nonexistent/x.img"], "-hda /nonexistent/x.img"),
        (["-cdrom", folder], folder),
        (["-fda", empty], "empty"),
        (["-fda", large], "large"),
        (["-hda", large, "-hdb", large], "in use"),
        (["-bios", "/nonexistent/rom"], "/nonexistent/rom"),
    ]
    for arguments, part in cases:
        with start(*arguments) as machine:
            machine.expect(r"^dragoman: .*\n")
            machine.expect_exit(1)
        if part not in machine.console or machine.console.count("\n") != 1:
            raise Failure(f"{arguments}: not one line with {part!r}: {machine.console!r}")


def media_change():
    first, second = floppy("first", KEEP=None), floppy("second", KEEP=None)
    machine = Machine(program, ["-m", "8", "-fda", first, "-cdrom", disk_images.write_cd(folder, "cd")], screen=True)
    machine.command.remove("-no-reboot")
    with machine:
        machine.expect_screen("first booted")
        machine.monitor(f"change floppy0 {second}")
        machine.qmp(("eject", {"device": "ide1-cd0"}), ("blockdev-close-tray", {"device": "ide1-cd0"}))
        trays = [(data["device"], data["tray-open"]) for name, data in machine.events if name == "DEVICE_TRAY_MOVED"]
        # The first two of them came to the connection that asked for the change.
        if trays != [("floppy0", True), ("floppy0", False), ("ide1-cd0", True), ("ide1-cd0", False)]:
            raise Failure(f"DEVICE_TRAY_MOVED: {trays}")
        (reply,) = machine.qmp(("query-block", {}))
        drives = {drive["device"]: drive for drive in reply["return"]}
        if drives["floppy0"]["inserted"]["file"] != second or "inserted" in drives["ide1-cd0"]:
            raise Failure(f"query-block: {drives}")
        machine.monitor("boot_set a")
        machine.monitor("system_reset")
        machine.expect_screen("second booted")
        (reply,) = machine.qmp(("blockdev-change-medium", {"device": "ide0-hd0", "filename": first}))
        if "not found" not in reply["error"]["desc"]:
            raise Failure(f"blockdev-change-medium: {reply}")


try:
    status = run_cases(
        [
            ("no boot device", no_device),
            ("floppies", boots_floppies),
            ("disks", boots_disks),
            ("CD", boots_cd),
            ("boot order", boot_order),
            ("boot menu", boot_menu),
            ("full host disk", full_host_disk),
            ("bad images", bad_images),
            ("media change", media_change),
        ]
    )
finally:
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(status)
