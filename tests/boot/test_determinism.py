#!/usr/bin/env python3
"""Counted time: two runs of one boot have the same trace hash, whatever the engine.

test_determinism.py DRAGOMAN TEACHING.elf [CASE...]"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

from machine import EXTRA_OPTIONS, Failure, Machine, Skip, run_cases

program, teaching = sys.argv[1:3]
ENGINES = ("interp", "tier1", "auto")
scripts = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")
folder = tempfile.mkdtemp(prefix="dragoman-hash-")


def run(arguments, icount="shift=0", status=0):
    """The contents of the hash file as a dictionary."""
    path = os.path.join(folder, "hash")
    command = [program, "-display", "none", "-nodefaults", "-no-reboot", "-icount", f"{icount},hash={path}"]
    ran = subprocess.run(
        command + arguments + EXTRA_OPTIONS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1200,
    )
    if ran.returncode != status:
        raise Failure(f"exit status {ran.returncode} instead of {status}: {ran.stdout.decode(errors='replace')[-1000:]}")
    with open(path, encoding="ascii") as file:
        return dict(line.split() for line in file)


def all_the_same(arguments, icount="shift=0", engines=ENGINES + ENGINES, least_events=1000):
    first = run(arguments + ["--engine", engines[0]], icount)
    if int(first["events"]) < least_events:
        raise Failure(f"only {first['events']} events")
    for engine in engines[1:]:
        other = run(arguments + ["--engine", engine], icount)
        if other != first:
            raise Failure(f"{engines[0]}: {first}, {engine}: {other}; scripts/bisect-trace-hash.py finds the difference")
    return first


KERNEL = ["-m", "16", "-kernel", teaching, "-append", "test", "-serial", "null"]


def teaching_kernel():
    """To its end: timer interrupts, system calls, HLT."""
    one = all_the_same(KERNEL)
    other = all_the_same(KERNEL, "shift=3")
    if one["hash"] == other["hash"]:
        raise Failure("time makes no difference to the hash")


def settings():
    """The translator's settings make no difference either, a slow reader neither."""
    first = run(KERNEL)
    for more in (
        ["-accel", "block-limit=1"],
        ["-accel", "threshold=3,tb-size=1"],
        ["-accel", "disable-passes=all"],
        ["--host-features", "baseline"],
        ["-serial", f"file:{folder}/console"],
    ):
        arguments = [word for word in KERNEL if word not in ("-serial", "null")] if "-serial" in more else KERNEL
        other = run(arguments + more)
        if other != first:
            raise Failure(f"{more}: {other} instead of {first}")


def differences():
    """What a guest can tell is in the hash."""
    first = run(KERNEL)
    if run(KERNEL + ["-rtc", "base=2020-01-01"]) != first:
        raise Failure("the date that counted time begins with is another one")
    if run(KERNEL[:-1] + ["none"])["hash"] == first["hash"]:
        raise Failure("a serial port makes no difference to the hash")


def onlookers():
    """Whoever looks at the machine changes nothing: monitors, pictures of the screen, a debugger's breakpoint."""
    options = ["-vga", "std", "-accel", "threshold=5"]
    first = run(KERNEL + options)
    path = os.path.join(folder, "watched")
    arguments = KERNEL[:-2] + options + ["-icount", f"shift=0,hash={path}", "-S"]
    with Machine(program, arguments, timeout=120, screen=True) as machine:
        while not os.path.exists(machine.qmp_path):
            time.sleep(0.02)
        machine.qmp(("cont", {}))
        for _ in range(30):
            try:
                machine.qmp(
                    ("human-monitor-command", {"command-line": "info registers"}),
                    ("human-monitor-command", {"command-line": f"screendump {folder}/picture"}),
                    ("human-monitor-command", {"command-line": "xp /8xb 0xa0000"}),
                    ("stop", {}),
                    ("human-monitor-command", {"command-line": "info icount"}),
                    ("cont", {}),
                )
            except (OSError, ValueError):
                break  # it is over
        machine.expect_exit(0)
    with open(path, encoding="ascii") as file:
        watched = dict(line.split() for line in file)
    if watched != first:
        raise Failure(f"watched: {watched}, alone: {first}")


def stop():
    """At an exact instruction."""
    for count in (1, 12345, 1000000):
        ended = all_the_same(KERNEL, f"shift=0,stop={count}", engines=ENGINES, least_events=0)
        if int(ended["instructions"]) != count:
            raise Failure(f"stopped after {ended['instructions']} instructions instead of {count}")


def firmware():
    """SeaBIOS in real and protected mode, with the graphics adapter, looking for disks."""
    if not os.path.exists("/usr/share/seabios/bios-256k.bin"):
        raise Skip("no SeaBIOS on this host")
    image = os.path.join(folder, "floppy")
    with open(image, "wb") as file:  # writes to the screen's memory now and then
        # cld; es = b800h; l: di = 0; cx = 16; ax = 1f41h; rep stosw; inc si; ax = si; stosb; cx = 2000; loop $; jmp l
        code = bytes.fromhex("fc b800b8 8ec0 31ff b91000 b8411f f3ab 46 89f0 aa b9d007 e2fe ebeb".replace(" ", ""))
        file.write(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1474560 - 512))
    drive = ["-m", "16", "-drive", f"file={image},format=raw,if=floppy,snapshot=on", "-boot", "a"]
    all_the_same(drive, "shift=1,stop=30000000")


def debian():
    """The default guest's boot, as far as patience goes: the kernel takes 2.4e9 instructions to unpack itself."""
    kernel, initrd = os.path.join(cache, "vmlinuz-686"), os.path.join(cache, "initramfs.gz")
    for path in (kernel, initrd):
        if not os.path.exists(path):
            raise Skip(f"no {path}; scripts/make-default-guest.sh 686 makes it")
    arguments = ["-m", "256", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0", "-serial", "null"]
    all_the_same(arguments, "shift=3,stop=2600000000", engines=("auto", "tier1", "auto", "interp"), least_events=50000)


def bisecting():
    """The tool finds the first event that differs."""
    script = os.path.join(scripts, "bisect-trace-hash.py")

    def bisect(*more):
        return subprocess.run(
            [sys.executable, "-B", script, "--every", "5", *more, "--", program, "-display", "none", "-nodefaults"]
            + ["-no-reboot", "-icount", "shift=0"] + KERNEL[:-2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )

    same = bisect()
    if same.returncode != 0:
        raise Failure(f"the engines differ, it says: {same.stdout}")
    other = bisect("--second", "-accel threshold=5 -serial null")
    if other.returncode != 1 or "\n- event" not in other.stdout or "\n+ event" not in other.stdout:
        raise Failure(f"it does not find the difference: {other.stdout}")


CASES = (
    ("teaching kernel", teaching_kernel), ("settings", settings), ("differences", differences), ("onlookers", onlookers),
    ("stop", stop),
    ("firmware", firmware), ("bisecting", bisecting), ("Debian", debian),
)
wanted = sys.argv[3:]
try:
    sys.exit(run_cases([case for case in CASES if not wanted or case[0] in wanted]))
finally:
    shutil.rmtree(folder, ignore_errors=True)
