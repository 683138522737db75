#!/usr/bin/env python3
"""Debian's i386 kernel finds and uses disk, CD-ROM, floppy, clock, keyboard and mouse.

test_linux_devices.py DRAGOMAN FLAVOUR"""

import hashlib
import os
import random
import shutil
import sys
import tempfile
import time

from machine import Failure, Machine, Skip, run_cases

program, flavour = sys.argv[1:3]
cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")
kernel = os.path.join(cache, f"vmlinuz-{flavour}")
folder = tempfile.mkdtemp(prefix="dragoman-linux-")
PROMPT = r"^.*# (\x1b\[6n)?"
MIB = 1 << 20


def md5(data):
    return hashlib.md5(data).hexdigest()


def image(name, size, seed):
    data = random.Random(seed).randbytes(size)
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path, data


def read_image(path):
    with open(path, "rb") as file:
        return file.read()


def initrd():
    """BusyBox and the modules, one archive behind the other."""
    path = os.path.join(folder, "initrd")
    with open(path, "wb") as out:
        for name in ("initramfs.gz", f"modules-{flavour}.gz"):
            source = os.path.join(cache, name)
            if not os.path.exists(source):
                raise Skip(f"no {source}; scripts/make-default-guest.sh {flavour} makes it")
            with open(source, "rb") as file:
                shutil.copyfileobj(file, out)
    return path


def command(machine, line, *answers):
    machine.send(line + "\n")
    for answer in answers:
        machine.expect(answer)
    machine.expect(PROMPT)


def boot(*arguments, append=""):
    if not os.path.exists(kernel):
        raise Skip(f"no {kernel}; scripts/make-default-guest.sh {flavour} makes it")
    line = f"console=ttyS0 {append}"
    return Machine(program, ["-m", "128", "-kernel", kernel, "-initrd", initrd(), "-append", line, *arguments])


def load_modules(machine):
    machine.expect(r"A BusyBox shell")
    machine.expect(PROMPT)
    # Each needs others: after a few rounds all are there.
    rounds = "for n in 1 2 3 4 5 6; do for m in *.ko; do insmod $m 2>/dev/null; done; done"
    command(machine, f"cd /modules; dmesg -n 1; {rounds}; cd /; sleep 2; echo mod''ules", r"^modules$")


def drives(*firmware):
    disk, disk_data = image("disk.img", 12 * MIB, 1)
    disc, disc_data = image("disc.iso", 3 * MIB, 2)
    floppy, floppy_data = image("floppy.img", 1440 << 10, 3)
    with boot("-hda", disk, "-cdrom", disc, "-fda", floppy, *firmware) as machine:
        load_modules(machine)
        command(machine, "md5sum /dev/sda /dev/sr0 /dev/fd0", *(rf"^{md5(d)}  /dev/{n}" for n, d in
                (("sda", disk_data), ("sr0", disc_data), ("fd0", floppy_data))))
        # By DMA through the cache, then read again from the drive.
        command(machine, "dd if=/dev/sda of=/dev/sda bs=1M count=3 seek=8 conv=fsync 2>/dev/null; echo st=$?", r"^st=0$")
        command(machine, "dd if=/dev/sr0 of=/dev/fd0 bs=18k count=20 seek=40 conv=fsync 2>/dev/null; echo st=$?", r"^st=0$")
        command(machine, "echo 3 >/proc/sys/vm/drop_caches")
        disk_data = disk_data[: 8 * MIB] + disk_data[: 3 * MIB] + disk_data[11 * MIB :]
        floppy_data = floppy_data[: 40 * 18432] + disc_data[: 20 * 18432] + floppy_data[60 * 18432 :]
        command(machine, "md5sum /dev/sda /dev/fd0", rf"^{md5(disk_data)}  /dev/sda", rf"^{md5(floppy_data)}  /dev/fd0")
        command(machine, "dd if=/dev/sda of=/dev/sr0 bs=2k count=1 2>&1 | grep -c 'ermi\\|ead-only'", r"^[1-9]")
        command(machine, "dmesg | grep -ci 'ata[12].*\\(error\\|exception\\|timeout\\)\\|I/O error\\|lost interrupt'", r"^0$")
        machine.send("poweroff\n")
        machine.expect_exit(0)
    if read_image(disk) != disk_data or read_image(floppy) != floppy_data:
        raise Failure("the images do not hold what the guest has written")


def drives_under_firmware():
    drives("-bios", "bios-256k.bin")


def media():
    """A disc is put in, taken out and kept in by a lock."""
    first, first_data = image("first.iso", MIB, 4)
    with boot() as machine:
        load_modules(machine)
        command(machine, "head -c 2048 /dev/sr0 2>&1 | grep -c 'medium'", r"^1$")
        machine.monitor(f"change ide1-cd0 {first}")
        command(machine, "md5sum /dev/sr0", rf"^{md5(first_data)}")
        # The driver opens the tray on the last close, and closes it when the drive is wanted again; then it does not
        # trust its size of the disc until the next time.
        command(machine, "echo 1 >/proc/sys/dev/cdrom/autoeject; head -c 1 /dev/sr0 >/dev/null; sleep 1; echo st=$?", r"^st=0$")
        if "tray open" not in machine.monitor("info block ide1-cd0"):
            raise Failure("the guest cannot open the tray")
        command(machine, "echo 0 >/proc/sys/dev/cdrom/autoeject; head -c 1 /dev/sr0 >/dev/null 2>&1")
        command(machine, "md5sum /dev/sr0", rf"^{md5(first_data)}")
        if "tray closed" not in machine.monitor("info block ide1-cd0"):
            raise Failure("the guest cannot close the tray")
        command(machine, "exec 3</dev/sr0; sleep 1")
        if "locked" not in machine.monitor("eject ide1-cd0"):
            raise Failure("an open drive is not locked")
        command(machine, "exec 3<&-; sleep 1; echo clo''sed", r"^closed$")
        if machine.monitor("eject ide1-cd0"):
            raise Failure("a drive that nobody uses cannot be opened")
        command(machine, "head -c 2048 /dev/sr0 2>&1 | grep -c 'medium'", r"^1$")
        machine.monitor("quit")
        machine.expect_exit(0)


def clock_and_input():
    with boot("-rtc", "base=2001-02-03T04:05:06") as machine:
        load_modules(machine)
        command(machine, "cat /sys/class/rtc/rtc0/date", r"^2001-02-03$")
        command(machine, "cat /proc/bus/input/devices", r"AT Translated Set 2 keyboard", r"PS/2.*Mouse")
        # An event is 16 bytes: time 8, type 2, code 2, value 4. Key A is 30, button left 272.
        find = "$(grep -A4 '%s' /proc/bus/input/devices | sed -n 's/.*\\(event[0-9]*\\).*/\\1/p')"
        show = "hexdump -v -e '16/1 \"%02x \" \"\\n\"'"
        for name, monitor, pattern in (
            ("AT Trans", ["sendkey a"], r" 01 00 1e 00 01 00 00 00"),
            ("Mouse", ["mouse_move 5 -3", "mouse_button 1"], r"(?s) 02 00 00 00 05 00 00 00\n.* 02 00 01 00 fd ff ff ff\n.* 01 00 10 01 01 00 00 00"),
        ):
            machine.send(f"(cat /dev/input/{find % name} & sleep 4; kill $!) | {show}; echo en''d\n")
            time.sleep(1.5)
            for line in monitor:
                machine.monitor(line)
                time.sleep(0.3)
            machine.expect(pattern)
            machine.expect(r"^end$")
        machine.send("poweroff\n")
        machine.expect_exit(0)


try:
    status = run_cases(
        [
            ("drives", drives),
            ("drives under firmware", drives_under_firmware),
            ("media", media),
            ("clock and input", clock_and_input),
        ]
    )
finally:
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(status)
