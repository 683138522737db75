"""Drives one dragoman from a test: its serial console on pipes, its QMP socket, and a watchdog that
on failure shows registers and console."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

DEFAULT_TIMEOUT = float(os.environ.get("DRAGOMAN_TEST_TIMEOUT", "300"))
# For every machine of every test: "--engine lockstep", "-cpu 486 -accel threshold=2" ...
EXTRA_OPTIONS = os.environ.get("DRAGOMAN_TEST_OPTIONS", "").split()


class Failure(Exception):
    """A test failed; the message says why."""


class Skip(Exception):
    """A test cannot run here; the message says why."""


class Machine:
    """`with Machine(program, arguments) as machine:` starts it; leaving the block ends it.

    SCREEN: what matters is the graphics adapter's screen; the serial port is on the console alone."""

    def __init__(self, program, arguments, timeout=DEFAULT_TIMEOUT, screen=False):
        self.deadline = time.monotonic() + timeout
        self.timeout = timeout
        self.console = ""  # everything the guest has written
        self.position = 0  # what expect() has not yet looked at starts here
        self.changed = threading.Condition()
        self.closed = False
        self.folder = tempfile.mkdtemp(prefix="dragoman-test-")
        self.qmp_path = os.path.join(self.folder, "qmp")
        self.screen_matters = screen
        consoles = ["-display", "none", "-monitor", "none", "-serial", "stdio"] if screen else ["-nographic"]
        self.command = [program, "-no-reboot", "-qmp", f"unix:{self.qmp_path},server=on,wait=off"] + consoles
        self.command += arguments + EXTRA_OPTIONS
        self.process = None
        self.events = []  # (name, data) of those that came while a QMP connection was open

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self._read_console, daemon=True).start()
        return self

    def __exit__(self, kind, value, trace):
        try:
            if isinstance(value, Failure):
                self._show_state()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read_console(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self.changed:
                self.console += data.decode("utf-8", "replace").replace("\r", "")
                self.closed = not data
                self.changed.notify_all()
            if not data:
                return

    def expect(self, pattern):
        """Waits until the console shows the regular expression after what was matched before."""
        compiled = re.compile(pattern, re.M)
        with self.changed:
            while True:
                match = compiled.search(self.console, self.position)
                if match:
                    self.position = match.end()
                    return match
                if self.closed:
                    raise Failure(f"the program ended (status {self.process.wait()}) before the console showed {pattern!r}")
                left = self.deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"the console did not show {pattern!r} within {self.timeout:.0f} s")
                self.changed.wait(left)

    def send(self, text):
        """Types TEXT on the serial console."""
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except OSError as problem:
            raise Failure(f"cannot type {text!r}: {problem}") from problem

    def expect_exit(self, status=0):
        """Waits for the program to end with exit status STATUS."""
        try:
            actual = self.process.wait(max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f"the program did not end within {self.timeout:.0f} s") from None
        if actual != status:
            raise Failure(f"exit status {actual} instead of {status}")

    # ---- QMP ----

    def qmp(self, *commands):
        """Sends COMMANDS (name, arguments) on a new connection; returns their replies."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.qmp_path)
            stream = connection.makefile("rw", encoding="utf-8")
            stream.readline()  # greeting
            replies = []
            for name, arguments in [("qmp_capabilities", {})] + list(commands):
                stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                stream.flush()
                while True:
                    line = stream.readline()
                    if not line:
                        raise OSError("the QMP connection was closed")
                    reply = json.loads(line)
                    if "event" not in reply:
                        break
                    self.events.append((reply["event"], reply.get("data")))
                replies.append(reply)
            return replies[1:]

    def monitor(self, line):
        """The human monitor's answer to LINE."""
        (reply,) = self.qmp(("human-monitor-command", {"command-line": line}))
        if "error" in reply:
            raise OSError(reply["error"].get("desc", str(reply)))
        return reply["return"]

    # ---- screen and keyboard ----

    def guest_memory(self, address, size):
        path = os.path.join(self.folder, "memory")
        self.monitor(f'pmemsave {address:#x} {size} "{path}"')
        with open(path, "rb") as file:
            return file.read()

    def screen_text(self):
        """All of the text screen's memory, as lines: 25 of them are seen, but consoles scroll through it all."""
        memory = self.guest_memory(0xB8000, 0x8000)
        text = memory[0::2].replace(b"\0", b" ").decode("cp437")
        return "\n".join(text[i : i + 80].rstrip() for i in range(0, len(text), 80)).rstrip()

    def expect_screen(self, *parts):
        """Waits until every one of PARTS is on the screen; one may stretch over the end of a line."""
        while True:
            if self.process.poll() is not None:
                raise Failure(f"the program ended (status {self.process.returncode}) before the screen showed {parts}")
            try:
                text = self.screen_text()
            except OSError:
                text = ""  # not yet, or no more
            missing = [part for part in parts if part not in text and part not in text.replace("\n", "")]
            if not missing:
                return text
            if time.monotonic() > self.deadline:
                raise Failure(f"the screen did not show {missing} within {self.timeout:.0f} s")
            time.sleep(0.2)

    KEYS = {"\n": "ret", " ": "spc", "/": "slash", ".": "dot", "-": "minus", ":": "shift-semicolon", "\\": "backslash"}

    def type_keys(self, text):
        """Types TEXT on the keyboard, as fast as a person who waits for each key to be taken."""
        for character in text:
            name = self.KEYS.get(character) or ("shift-" if character.isupper() else "") + character.lower()
            self.monitor(f"sendkey {name} 20")
            time.sleep(0.1)

    def _show_state(self):
        print("---- command ----", " ".join(map(repr, self.command)), sep="\n")
        for line in ("info registers", "info pic", "info stats", "info jit", "x /16xb $eip"):
            print(f"---- {line} ----")
            try:
                print(self.monitor(line))
            except (OSError, ValueError, KeyError) as problem:
                print(f"(not available: {problem})")
        if self.screen_matters:
            print("---- screen ----")
            try:
                print(self.screen_text())
            except OSError as problem:
                print(f"(not available: {problem})")
        print("---- console (last 8000 characters) ----")
        print(self.console[-8000:])
        sys.stdout.flush()


def run_cases(cases):
    """Runs (name, function) pairs, prints a line for each and the counts that ./test adds up."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, function in cases:
        start = time.monotonic()
        try:
            function()
            verdict, detail = "passed", f"{time.monotonic() - start:.1f} s"
        except Skip as reason:
            verdict, detail = "skipped", str(reason)
        except Failure as reason:
            verdict, detail = "failed", str(reason)
        counts[verdict] += 1
        print(f"{verdict}: {name}: {detail}", flush=True)
    print("cases: {passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    if counts["failed"]:
        return 1
    return 77 if counts["skipped"] and not counts["passed"] else 0
