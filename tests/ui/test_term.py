"""-display term on a pseudo-terminal: the screen, keys, the monitor, resizing, and a terminal that is put back however
the program ends. The guest is SeaBIOS with its boot menu."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "boot"))
from machine import DEFAULT_TIMEOUT, Failure, Skip, run_cases  # noqa: E402

FIRMWARE = ("/usr/share/seabios/bios-256k.bin", "/usr/share/seabios/vgabios-stdvga.bin")
PROGRAM = sys.argv[1]
HINT = "Ctrl-A X: quit"
LEAVE = "\033[?1049l"


class Terminal:
    """Runs the program on a terminal of its own and keeps the screen that its output draws."""

    def __init__(self, *arguments, columns=90, rows=30, environment=(("TERM", "xterm-256color"),), needs_firmware=True):
        if needs_firmware and not all(map(os.path.exists, FIRMWARE)):
            raise Skip("SeaBIOS is missing (Debian package seabios)")
        self.arguments = arguments
        self.columns, self.rows = columns, rows
        self.environment = dict(environment)
        self.deadline = time.monotonic() + DEFAULT_TIMEOUT
        self.raw = ""
        self.pending = b""
        self.cells = {}
        self.main_cells = {}
        self.alternate = self.cursor_visible = False
        self.row = self.column = 0
        self.status = None

    def __enter__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            keep = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "TERM", "COLORTERM")}
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.read(0, 1)  # the size is set before anything starts
            os.execve(PROGRAM, [PROGRAM, "-m", "16", "-boot", "menu=on", *self.arguments], {**keep, **self.environment})
        self.before = termios.tcgetattr(self.fd)
        self.resize(self.columns, self.rows)
        os.write(self.fd, b"\n")
        return self

    def __exit__(self, kind, value, trace):
        if isinstance(value, Failure):
            print("---- screen ----", self.text(), "---- output ----", repr(self.raw[-4000:]), sep="\n")
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    # ---- the terminal ----

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.cells = {}

    def text(self):
        return "\n".join(
            "".join(self.cells.get((row, column), " ") for column in range(self.columns)).rstrip() for row in range(self.rows)
        )

    def _csi(self, body, final):
        if final == "H":
            row, column = (body or "1;1").split(";")
            self.row, self.column = int(row) - 1, int(column) - 1
        elif final == "J":
            self.cells = {}
        elif final in "hl" and body == "?1049":
            self.alternate = final == "h"
            self.cells, self.main_cells = ({}, self.cells) if self.alternate else (self.main_cells, {})
        elif final in "hl" and body == "?25":
            self.cursor_visible = final == "h"
        elif final in "hl" or final in "mKD":
            pass
        elif final == "q" and body.endswith(" "):
            pass

    def _draw(self, text):
        position = 0
        while position < len(text):
            character = text[position]
            if character == "\033":
                match = re.match(r"\033\[([0-9;?]* ?)([@-~])", text[position:])
                if not match:
                    return text[position:] if len(text) - position < 20 else ""
                self._csi(match.group(1), match.group(2))
                position += match.end()
                continue
            position += 1
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row = min(self.row + 1, self.rows - 1)
            elif character >= " ":
                self.cells[self.row, self.column] = character
                self.column += 1
        return ""

    def pump(self, seconds):
        """Reads what comes within SECONDS; False when the program has closed the terminal."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        if not data:
            return False
        self.pending += data
        try:
            text = self.pending.decode()
            self.pending = b""
        except UnicodeDecodeError as problem:
            text = self.pending[: problem.start].decode()
            self.pending = self.pending[problem.start :]
        self.raw += text
        rest = self._draw(text)
        self.pending = rest.encode() + self.pending
        self.raw = self.raw[: len(self.raw) - len(rest)]
        return True

    # ---- what tests say ----

    def expect(self, *parts, absent=()):
        while not all(part in self.text() for part in parts) or any(part in self.text() for part in absent):
            if time.monotonic() > self.deadline:
                raise Failure(f"the screen does not show {parts} (without {absent})")
            if not self.pump(0.1):
                raise Failure(f"the program ended before the screen showed {parts}")

    def send(self, keys):
        os.write(self.fd, keys)

    def expect_end(self, status=None, killed_by=None):
        while self.status is None:
            self.pump(0.05)
            pid, status_word = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status_word
            elif time.monotonic() > self.deadline:
                raise Failure("the program does not end")
        while self.pump(0.1) and select.select([self.fd], [], [], 0.1)[0]:
            pass
        if status is not None and (not os.WIFEXITED(self.status) or os.WEXITSTATUS(self.status) != status):
            raise Failure(f"status word {self.status:#x} instead of exit status {status}")
        if killed_by is not None and (not os.WIFSIGNALED(self.status) or os.WTERMSIG(self.status) != killed_by):
            raise Failure(f"status word {self.status:#x} instead of an end by signal {killed_by}")

    def check_restored(self):
        if self.alternate or not self.cursor_visible:
            raise Failure("the screen was not put back")
        if self.raw.rfind("\033[?7h") < self.raw.rfind("\033[?7l"):
            raise Failure("lines are still not wrapped")
        after = termios.tcgetattr(self.fd)
        if after[:4] != self.before[:4]:
            raise Failure(f"the terminal's settings were not put back: {self.before[:4]} before, {after[:4]} after")

    def boot(self):
        self.expect("SeaBIOS (version", "Press ESC for boot menu")
        return self


# ---- tests ----


def keys_and_quit():
    with Terminal() as terminal:  # no -display: this terminal is the default
        terminal.boot()
        terminal.expect(HINT)
        if not terminal.alternate:
            raise Failure("not on the alternate screen")
        terminal.send(b"\033")
        terminal.expect("Select boot device:")
        terminal.send(b"\x01b")  # Ctrl-Alt-Delete
        terminal.expect("Press ESC for boot menu", absent=["Select boot device:"])
        terminal.send(b"\x01x")
        terminal.expect_end(status=0)
        terminal.check_restored()


def monitor():
    with Terminal("-display", "term") as terminal:
        terminal.boot()
        terminal.send(b"\x01c")
        terminal.expect("monitor - type 'help'", "(qemu)", absent=["SeaBIOS"])
        terminal.send(b"info status\r")
        terminal.expect("VM status: running")
        terminal.send(b"stop\r")
        terminal.send(b"\x01c")
        terminal.expect("SeaBIOS (version", "Stopped", absent=["(qemu)"])
        terminal.send(b"\x01c")
        terminal.expect("(qemu)")
        terminal.send(b"cont\r\x01c")
        terminal.expect("SeaBIOS (version", absent=["Stopped"])
        terminal.send(b"\x01h")
        terminal.expect("Ctrl-A x")
        terminal.send(b" ")
        terminal.expect("SeaBIOS (version", absent=["Ctrl-A x  "])
        terminal.send(b"\x01c")
        terminal.expect("(qemu)")
        terminal.send(b"quit\r")
        terminal.expect_end(status=0)
        terminal.check_restored()


def resize():
    with Terminal("-display", "term") as terminal:
        terminal.boot()
        for columns, rows in ((40, 10), (200, 60), (1, 1), (7, 300), (90, 30)):
            terminal.resize(columns, rows)
            os.kill(terminal.pid, signal.SIGWINCH)
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                if not terminal.pump(0.1):
                    raise Failure(f"the program ended at {columns} x {rows}")
            if any(row >= rows or column >= columns for row, column in terminal.cells):
                raise Failure(f"something was drawn outside of {columns} x {rows}")
        terminal.expect("SeaBIOS (version")
        terminal.send(b"\x01x")
        terminal.expect_end(status=0)
        terminal.check_restored()


def stop_and_continue():
    with Terminal("-display", "term") as terminal:
        terminal.boot()
        os.kill(terminal.pid, signal.SIGSTOP)
        termios.tcsetattr(terminal.fd, termios.TCSANOW, terminal.before)  # as a shell does
        terminal.cells = {}
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.expect("SeaBIOS (version")
        if termios.tcgetattr(terminal.fd)[3] & termios.ECHO:
            raise Failure("the terminal is not raw again")
        terminal.send(b"\x01x")
        terminal.expect_end(status=0)
        terminal.check_restored()


def signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Terminal("-display", "term") as terminal:
            terminal.boot()
            os.kill(terminal.pid, number)
            terminal.expect_end(status=128 + number)
            terminal.check_restored()
            if f"terminating on signal {int(number)}" not in terminal.raw[terminal.raw.rfind(LEAVE) :]:
                raise Failure("no line about the signal on the ordinary screen")


def crashes():
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT):
        with Terminal("-display", "term") as terminal:
            terminal.boot()
            os.kill(terminal.pid, number)
            terminal.expect_end(killed_by=number)
            terminal.check_restored()


def errors():
    with Terminal("-display", "term", "-fda", "/nonexistent/image", needs_firmware=False) as terminal:
        terminal.expect_end(status=1)
        if "/nonexistent/image" not in terminal.raw or "\033[?1049h" in terminal.raw:
            raise Failure("an error of the options is not one plain line")
    with Terminal("-display", "term", environment=(("TERM", "dumb"),)) as terminal:
        terminal.expect_end(status=1)
        if "-display term" not in terminal.raw:
            raise Failure("no line about the terminal")
    with Terminal("-display", "term", "-serial", "stdio") as terminal:
        terminal.expect_end(status=1)
        if "stdio cannot be used" not in terminal.raw:
            raise Failure("no line about two users of the terminal")
    with Terminal("-serial", "stdio") as terminal:  # the terminal is taken: there is no display, and no complaint
        end = time.monotonic() + 1
        while time.monotonic() < end:
            terminal.pump(0.1)
        if "\033" in terminal.raw:
            raise Failure("a display on a terminal that the serial port has")
        os.kill(terminal.pid, signal.SIGTERM)
        terminal.expect_end(status=143)


CASES = [
    ("keys and quit", keys_and_quit),
    ("monitor", monitor),
    ("resize", resize),
    ("stop and continue", stop_and_continue),
    ("signals", signals),
    ("crashes", crashes),
    ("errors", errors),
]
sys.exit(run_cases(CASES))
