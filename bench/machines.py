"""Runs emulators and native programs and says what it cost between two lines of their output.

A cost is (wall seconds, processor seconds). Processor seconds are those of all threads of the process, by
its CPU clock: they do not count waiting for a processor that others use."""

import dataclasses
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

    def peak_memory(self):
        """The most host memory (resident set) that the program had so far, in bytes; 0 if it is gone."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as file:
                return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
        except OSError:
            return 0

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
        self.memory = {}  # part -> most bytes of host memory in any of its runs

    def note_memory(self, part, size):
        self.memory[part] = max(self.memory.get(part, 0), size or 0)

    def own_guest(self, folder, words):
        return self.command + ["-m", "64", "-kernel", f"{folder}/guest.elf", "-append", words, "-nographic", "-no-reboot",
                               "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]

    def linux(self, kernel, initrd, append):
        return self.command + ["-m", "256", "-kernel", kernel, "-initrd", initrd, "-append", append, "-nographic", "-no-reboot"]


@dataclasses.dataclass
class Outcome:
    """What one kernel of the own guest did on one side."""

    suite: str
    seconds: float
    count: int
    checksum: str


class Listener:
    """Follows the lines of the own guest or of its native twin (bench/guest/machine.c): {kernel: Outcome} in `found`."""

    def __init__(self):
        self.found, self.complaint, self.done = {}, None, False
        self.suite, self.began, self.ended = "?", None, None

    def take(self, line, cpu):
        fields = line.split()
        if fields[:1] == ["begin"] and len(fields) >= 3:
            self.suite, self.began, self.ended = fields[2], cpu, None
        elif fields[:1] == ["."]:
            self.ended = cpu
        elif fields[:1] == ["end"] and len(fields) == 4 and self.began is not None and self.ended is not None:
            self.found[fields[1]] = Outcome(self.suite, self.ended - self.began, int(fields[2]), fields[3])
        elif fields[:1] == ["fault:"]:
            self.complaint = line
        elif line == "done":
            self.done = True
        return not self.done and not self.complaint


def run_own_guest(machine, folder, words, limit):
    """{kernel: Outcome} of one run on `machine`, and a complaint or None."""
    listener = Listener()
    with Console(machine.own_guest(folder, words), limit) as console:
        for _, cpu, line in console.lines():
            if line.startswith("end "):
                machine.note_memory("own", console.peak_memory())
            if not listener.take(line, cpu):
                break
        if listener.done or listener.complaint:
            return listener.found, listener.complaint
        return listener.found, "time limit" if console.timed_out else "ended early"


def run_native(folder, words):
    """The same of the program for the host, which looks at its own CPU clock."""
    output = subprocess.run([f"{folder}/native", *words.split()], stdout=subprocess.PIPE, text=True, check=True).stdout
    listener = Listener()
    for line in output.splitlines():
        clock = line.split()[-1] if line.startswith(("begin ", ". ")) else "0"
        listener.take(line, float(clock))
    return listener.found


def time_to_line(command, text, limit):
    """(wall, cpu, peak memory in bytes) until `text` is on the console; None if it does not come."""
    with Console(command, limit) as console:
        for wall, cpu, line in console.lines():
            if text in line:
                return wall, cpu, console.peak_memory()
    return None
