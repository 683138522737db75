"""Runs emulators and native programs and says what it cost between two lines of their output.

A cost is (wall seconds, processor seconds). Processor seconds are those of all threads of the process, by
its CPU clock: they do not count waiting for a processor that others use."""

import os
import select
import signal
import subprocess
import time


def cpu_seconds(pid):
    """Processor seconds of a live process, to the nanosecond (clock_getcpuclockid(3) by another way)."""
    return time.clock_gettime((~pid << 3) | 2)


class Console:
    """A program whose standard output is read line by line, each with the costs so far."""

    def __init__(self, command, limit):
        self.end = time.monotonic() + limit
        self.timed_out = False
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.start = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # our own session: the program and what it started
        except ProcessLookupError:
            pass
        self.process.stdout.close()
        self.process.wait()

    def lines(self):
        """Yields (wall, cpu, text)."""
        descriptor, pending = self.process.stdout.fileno(), b""
        while True:
            ready, _, _ = select.select([descriptor], [], [], max(0, self.end - time.monotonic()))
            if not ready:
                self.timed_out = True
                return
            data = os.read(descriptor, 65536)
            if not data:
                return
            wall, cpu = time.monotonic() - self.start, cpu_seconds(self.process.pid)
            pending += data
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                yield wall, cpu, line.decode("latin-1").rstrip("\r")


class Machine:
    """An emulator with QEMU's command line: Dragoman, QEMU."""

    def __init__(self, name, command):
        self.name, self.command = name, command

    def own_guest(self, folder, words):
        return self.command + ["-m", "64", "-kernel", f"{folder}/guest.elf", "-append", words, "-nographic", "-no-reboot",
                               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]

    def linux(self, kernel, initrd, append):
        return self.command + ["-m", "256", "-kernel", kernel, "-initrd", initrd, "-append", append, "-nographic", "-no-reboot"]


def run_own_guest(machine, folder, words, limit):
    """{kernel: (seconds, count, checksum)} of one run on `machine`, and a complaint or None."""
    found, began, ended = {}, None, None
    with Console(machine.own_guest(folder, words), limit) as console:
        for wall, cpu, line in console.lines():
            fields = line.split()
            if fields[:1] == ["begin"] and len(fields) == 2:
                began = cpu
            elif line == ".":
                ended = cpu
            elif fields[:1] == ["end"] and len(fields) == 4 and began is not None:
                found[fields[1]] = (ended - began, int(fields[2]), fields[3])
            elif fields[:1] == ["fault:"]:
                return found, line
            elif line == "done":
                return found, None
        return found, "time limit" if console.timed_out else "ended early"


def run_native(folder, words):
    """The same of the program for the host, which looks at its own CPU clock."""
    scale = next((word[6:] for word in words.split() if word.startswith("scale=")), "100")
    names = [word for word in words.split() if not word.startswith("scale=")]
    output = subprocess.run([f"{folder}/native", scale, *names], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [line.split() for line in output.splitlines()]
    return {row[1]: (float(row[4]), int(row[2]), row[3]) for row in rows}


def time_to_line(command, text, limit):
    """(wall, cpu) until `text` is on the console; None if it does not come."""
    with Console(command, limit) as console:
        for wall, cpu, line in console.lines():
            if text in line:
                return wall, cpu
    return None
