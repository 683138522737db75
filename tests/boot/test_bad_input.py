#!/usr/bin/env python3
"""What the user or the guest does wrong: one line that names the thing at fault and a documented exit status, or a
machine that goes on.

test_bad_input.py DRAGOMAN"""

import fcntl
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

import disk_images
from machine import Failure, Machine, Skip, run_cases

program = sys.argv[1]
folder = tempfile.mkdtemp(prefix="dragoman-bad-")
ENGINES = ("interp", "tier1", "auto", "lockstep")
NOBODY = 65534


def path(name):
    return os.path.join(folder, name)


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)
    return path(name)


# ---- the command line and files ----


def refused(arguments, *parts, **how):
    """The program refuses ARGUMENTS with exit status 1 and one line that has all of PARTS."""
    result = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=60, **how)
    lines = result.stderr.decode("utf-8", "replace").splitlines()
    if result.returncode != 1 or result.stdout or len(lines) != 1 or not lines[0].startswith("dragoman: "):
        raise Failure(f"{arguments}: status {result.returncode}, {lines}, {result.stdout[:200]}")
    for part in parts:
        if part not in lines[0]:
            raise Failure(f"{arguments}: no {part!r} in {lines[0]!r}")


def options():
    for arguments, *parts in (
        (["-frobnicate"], "-frobnicate"),
        (["--"], "--"),
        (["-hda"], "-hda", "argument"),
        (["-m", "lots"], "-m", "lots"),
        (["-m", "0"], "-m", "'0'"),
        (["-m", "5G"], "-m", "'5G'"),
        (["-m", "18446744073709551617"], "-m", "18446744073709551617"),
        (["-smp", "2"], "-smp"),
        (["-cpu", "z80"], "-cpu", "z80", "pentium"),
        (["-machine", "vax"], "-machine", "vax"),
        (["--engine", "diesel"], "--engine", "diesel", "interp"),
        (["-accel", "threshold=many"], "-accel", "many"),
        (["-accel", "kvm"], "-accel", "kvm"),
        (["-boot", "z"], "-boot", "'z'"),
        (["-drive", "file=x,colour=red"], "-drive", "colour"),
        (["-drive", "if=ide"], "-drive", "file="),
        (["-drive", "file=x,format=qcow2"], "-drive", "qcow2"),
        (["-serial", "telegraph"], "-serial", "telegraph"),
        (["-serial", "file:/nonexistent/log"], "/nonexistent/log"),
        (["-monitor", "tcp::70000"], "-monitor", "70000"),
        (["-qmp", "unix:/nonexistent/qmp,server=on,wait=off"], "/nonexistent/qmp"),
        (["-display", "curtain"], "-display", "curtain"),
        (["-vga", "cga"], "-vga", "cga"),
        (["-device", "toaster"], "-device", "toaster"),
        (["-icount", "shift=99"], "-icount", "99"),
        (["-rtc", "base=yesterday"], "-rtc", "yesterday"),
        (["-d", "everything"], "-d", "everything"),
        (["-D", "/nonexistent/log"], "/nonexistent/log"),
        (["-append", "quiet"], "-append", "-kernel"),
    ):
        refused(arguments, *parts)


def images():
    empty, odd = write("empty.img", b""), write("qcow2.img", b"QFI\xfb" + bytes(508))
    for option in ("-hda", "-fda", "-cdrom"):
        refused([option, "/nonexistent/x.img"], option, "/nonexistent/x.img")
        refused([option, folder], option, folder, "directory")
        refused([option, empty], option, empty, "empty")
        refused([option, odd], option, odd, "qcow2")
        refused([option, "/dev/zero"], option, "/dev/zero")
    refused([path("none.img")], path("none.img"))
    # A piece of a sector at the end counts, filled up with zeroes.
    part = disk_images.write_disk(folder, "part", 20160, 19999, KEEP=None)
    os.truncate(part, 20159 * 512 + 100)
    with Machine(program, ["-m", "8", part], screen=True) as machine:
        machine.expect_screen("part booted")
    # One that ends where its boot sector goes on.
    with Machine(program, ["-m", "8", "-hda", write("short.img", bytes(100))], screen=True) as machine:
        machine.expect_screen("No bootable device")


def kernels():
    text = write("text", b"This is no kernel.\n" * 100)
    refused(["-kernel", "/nonexistent/vmlinuz"], "-kernel", "/nonexistent/vmlinuz")
    refused(["-kernel", text], "-kernel", text, "not a kernel")
    refused(["-kernel", write("nothing", b"")], "-kernel", "nothing", "empty")
    refused(["-kernel", folder], "-kernel", folder, "directory")
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")
    linux = os.path.join(cache, "vmlinuz-686")
    if os.path.exists(linux):
        with open(linux, "rb") as file:
            whole = file.read()
        for length in (600, 5000, len(whole) // 2):
            refused(["-kernel", write("cut", whole[:length])], "-kernel", "cut")
        refused(["-kernel", linux, "-initrd", "/nonexistent/initrd"], "/nonexistent/initrd")
    # An ELF file whose only segment is not there.
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + bytes.fromhex("02000300010000000000100034000000000000000000000034002000010000000000")
    segment = b"".join(n.to_bytes(4, "little") for n in (1, 0x1000, 0x100000, 0x100000, 0x5000, 0x5000, 5, 0x1000))
    refused(["-kernel", write("cut.elf", head[:52] + segment)], "-kernel", "cut.elf")


def firmware():
    refused(["-bios", "/nonexistent/rom"], "ROM", "/nonexistent/rom")
    refused(["-bios", write("odd.rom", bytes(1000))], "odd.rom", "1000 bytes")
    refused(["-bios", write("small.rom", bytes(4096))], "small.rom", "4096 bytes")
    refused(["-bios", write("large.rom", bytes(8 << 20))], "large.rom")
    refused(["-bios", folder], folder)
    refused(["-L", folder, "-bios", "none.bin"], "-bios", "none.bin")


def not_readable():
    """As a user who may not read them; root may read everything."""
    names = {"-bios": 65536, "-kernel": 1000, "-hda": 65536}
    os.chmod(folder, 0o755)
    how = {}
    if os.getuid() == 0:
        how = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        try:
            subprocess.run([program, "-version"], stdout=subprocess.DEVNULL, check=True, **how)
        except (OSError, subprocess.SubprocessError):
            raise Skip("another user cannot run the program where it is") from None
    for option, size in names.items():
        name = write("secret" + option, bytes(size))
        os.chmod(name, 0)
        refused([option, name], name, "ermission denied", **how)
    # May be read, but not written.
    name = write("read-only.img", bytes(1 << 20))
    os.chmod(name, 0o444)
    if how:
        refused(["-hda", name], "-hda", name, "ermission denied", **how)


def too_much_memory():
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    refused(["-m", "3584"], "3584 MiB", preexec_fn=limit)
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 3584 << 20:
        refused(["-m", "3584"], "3584 MiB", "host")


def full_disk():
    """On a file system that is really full; for the guest that is an error of the drive."""
    enter = ["unshare", "--map-root-user", "--mount", "--"]
    try:
        subprocess.run([*enter, "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        raise Skip("this user cannot mount a small file system") from None
    image = disk_images.write_disk(folder, "full", 20160, 19999, KEEP=None)
    script = path("on-small-disk")
    with open(script, "w", encoding="utf-8") as file:
        file.write(
            "#!/bin/sh\n"
            f"if [ -z \"$INSIDE\" ]; then INSIDE=1 exec {' '.join(enter)} \"$0\" \"$@\"; fi\n"
            "set -e\n"
            "mount -t tmpfs -o size=64k none /mnt\n"
            f"cp --sparse=always '{image}' /mnt/full.img\n"
            "head -c 1000000 /dev/zero >/mnt/filler 2>/dev/null || true\n"
            f"exec '{program}' \"$@\"\n"
        )
    os.chmod(script, 0o755)
    with Machine(script, ["-m", "8", "/mnt/full.img"], screen=True) as machine:
        machine.expect_screen("full booted, drive 80: cannot write, status ")
        machine.qmp(("quit", {}))
        machine.expect_exit(0)
    if "full.img: cannot write sector" not in machine.console or "No space left on device" not in machine.console:
        raise Failure(f"no message about full.img: {machine.console!r}")


# ---- signals and terminals ----


def boot_image(name, code):
    """A floppy disk that runs CODE (nasm, 16 bits) after it has said READY."""
    source = path(f"{name}.asm")
    with open(source, "w", encoding="utf-8") as file:
        file.write(
            "bits 16\norg 0x7c00\njmp 0:start\nstart:\nxor ax, ax\nmov ds, ax\nmov es, ax\nmov ss, ax\nmov sp, 0x7c00\n"
            "mov si, text\n.next:\nlodsb\ntest al, al\njz .said\nmov ah, 0x0e\nmov bx, 7\nint 0x10\njmp .next\n.said:\n"
            f"{code}\nsection .data\ntext: db 'READY', 0\nsection .text\ntimes 400 - ($ - $$) db 0\n"
        )
    subprocess.run(["nasm", "-f", "bin", "-o", path(name), source], check=True)
    with open(path(name), "r+b") as file:
        file.seek(510)
        file.write(b"\x55\xaa")
        file.truncate(1440 << 10)
    return path(name)


def guest(name, code, engine, *arguments, screen=True):
    return Machine(program, ["-m", "8", "-fda", boot_image(name, code), "--engine", engine, *arguments], screen=screen)


SPIN = "sti\njmp $"
SLEEP = "cli\nhlt\njmp $-1"


def signals():
    """In whatever the guest does, and in each engine; what the guest wrote is in the file."""
    write_sector = "mov ax, 0x0301\nmov bx, 0x7c00\nmov cx, 9\nmov dx, 0\nint 0x13\nmov al, '!'\nmov ah, 0x0e\nint 0x10\n"
    for engine in ENGINES:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for code in (SPIN, SLEEP):
                with guest("signal", write_sector + code, engine) as machine:
                    machine.expect_screen("READY!")
                    machine.process.send_signal(number)
                    machine.expect(r"terminating on signal \d+\n")
                    machine.expect_exit(128 + number)
                if f"dragoman: terminating on signal {int(number)}\n" != machine.console:
                    raise Failure(f"not one line about the signal: {machine.console!r}")
                with open(path("signal"), "rb") as file:
                    data = file.read(9 * 512)
                if data[8 * 512 :] != data[:512]:
                    raise Failure("what the guest wrote is not in the file")


def closed_terminal():
    """The terminal's other end goes away."""
    for arguments in (["-nographic"], ["-display", "term"], ["-display", "none", "-monitor", "stdio"]):
        pid, terminal = pty.fork()
        if pid == 0:
            environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
            os.execve(program, [program, "-m", "8", "-fda", path("spin"), *arguments], {**environment, "TERM": "xterm"})
        try:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, b"\x28\0\x64\0\0\0\0\0")
            if not os.read(terminal, 1):
                raise Failure("nothing was written to the terminal")
            time.sleep(0.5)
            os.close(terminal)
            end = time.monotonic() + 20
            while time.monotonic() < end:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    break
                time.sleep(0.05)
            else:
                raise Failure(f"{arguments}: does not end with its terminal")
            pid = 0
            if os.waitstatus_to_exitcode(status) != 128 + signal.SIGHUP:
                raise Failure(f"{arguments}: exit status {os.waitstatus_to_exitcode(status)}")
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def closed_pipe():
    """Nobody reads the serial port any more: the machine goes on."""
    code = "mov cx, 20000\n.out:\nmov dx, 0x3f8\nmov al, 'x'\nout dx, al\nloop .out\nmov ax, 0x0e2b\nint 0x10\n" + SPIN
    machine = guest("pipe", code, "auto")
    with machine:
        machine.process.stdin.close()
        machine.expect(r"x")
        os.close(os.dup(machine.process.stdout.fileno()))
        machine.expect_screen("READY+")
        machine.process.stdout.close()
        machine.monitor("info status")
        machine.qmp(("quit", {}))
        machine.expect_exit(0)


# ---- the guest ----

TRIPLE_FAULTS = {
    "no IDT": "lidt [nothing]\nint3\nnothing: dw 0, 0, 0",
    "no stack": "cli\nlgdt [gdt]\nmov eax, cr0\ninc eax\nmov cr0, eax\njmp 8:protected\nbits 32\nprotected:\nmov ax, 16\n"
    "mov ss, ax\nlidt [none]\nmov esp, 0xf0000000\nud2\nalign 4\nnone: dw 0, 0, 0\ntable: dq 0, 0x00cf9a000000ffff, "
    "0x00cf92000000ffff\ngdt: dw 23\ndd table\nbits 16",
    "paging without tables": "cli\nlgdt [gdt]\nmov eax, 0xe0000000\nmov cr3, eax\nmov eax, cr0\nor eax, 0x80000001\nmov cr0, eax\n"
    "jmp 8:0x7e00\nalign 4\ntable: dq 0, 0x00cf9a000000ffff\ngdt: dw 15\ndd table",
}


def triple_faults():
    """A reset, which -no-reboot makes the end; otherwise the machine starts again."""
    for engine in ENGINES:
        for name, code in TRIPLE_FAULTS.items():
            with guest("triple", code, engine) as machine:
                machine.expect_exit(0)
            if machine.console:
                raise Failure(f"{name}: {machine.console!r}")
        machine = guest("again", TRIPLE_FAULTS["no IDT"], engine)
        machine.command.remove("-no-reboot")
        with machine:
            time.sleep(3)
            if "running" not in machine.monitor("info status"):
                raise Failure("the machine does not run on after a triple fault")
            machine.qmp(("quit", {}))
            machine.expect_exit(0)


def wild_guests():
    """Machines that are beyond help still run and obey their monitor."""
    cases = {
        "sleeps for ever": SLEEP,
        "jumps into nowhere": "cli\njmp 0xa000:0",
        "runs its own vectors": "cli\njmp 0:0",
        "an exception in its handler": "mov word [6 * 4], 0x7e00\nmov word [6 * 4 + 2], 0\nmov word [0x7e00], 0x0b0f\nud2",
        "divides for ever": "mov word [0], again\nmov word [2], 0\nagain:\nmov eax, 0x80000000\nmov edx, -1\nmov ecx, -1\nidiv ecx",
        "stack goes round": "mov sp, 1\npush ax\npush ax\npush eax\ncli\njmp $-4",
        "NMI vector is nonsense": "mov dword [8], 0xffffffff\ncli\njmp $",
    }
    for engine in ENGINES:
        for name, code in cases.items():
            machine = guest("wild", code, engine)
            machine.command.remove("-no-reboot")  # PUSH with SP = 1 shuts the processor down, for example
            with machine:
                while not os.path.exists(machine.qmp_path):
                    time.sleep(0.05)
                time.sleep(0.7)  # some reset the machine again and again: the screen need not say READY for long
                machine.monitor("nmi")
                time.sleep(0.2)
                for line in ("info registers", "x /4i $eip", "info pic"):
                    if not machine.monitor(line):
                        raise Failure(f"{name}: no answer to {line}")
                if machine.process.poll() is not None:
                    raise Failure(f"{name}: the process has ended")
                machine.qmp(("quit", {}))
                machine.expect_exit(0)


CASES = [
    ("options", options),
    ("images", images),
    ("kernels", kernels),
    ("firmware", firmware),
    ("not readable", not_readable),
    ("too much memory", too_much_memory),
    ("full disk", full_disk),
    ("signals", signals),
    ("closed terminal", closed_terminal),
    ("closed pipe", closed_pipe),
    ("triple faults", triple_faults),
    ("wild guests", wild_guests),
]

try:
    boot_image("spin", SPIN)
    wanted = sys.argv[2:]
    status = run_cases([case for case in CASES if not wanted or case[0] in wanted])
finally:
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(status)
