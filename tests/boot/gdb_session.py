"""Stock gdb on a pipe, driven command by command."""

import os
import re
import select
import shutil
import signal
import subprocess
import time

from machine import Failure, Skip


def find_gdb():
    gdb = shutil.which("gdb")
    if not gdb:
        raise Skip("no gdb on this host")
    return gdb


class Gdb:
    """`with Gdb(remote) as gdb:` connects to REMOTE (what follows `target remote`; None: not yet)."""

    def __init__(self, remote, file=None, timeout=60):
        self.remote = remote
        self.timeout = timeout
        self.number = 0
        self.said = ""
        line = [find_gdb(), "-nx", "-q", "-iex", "set auto-load no"] + ([file] if file else [])
        self.process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def __enter__(self):
        try:
            for setting in ("confirm off", "pagination off", "width 0", "height 0", "osabi none", "remotetimeout 60"):
                self.do(f"set {setting}")
            if self.remote:
                self.connect(self.remote)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, kind, value, trace):
        if value is not None:
            print("---- gdb ----", self.said[-4000:], sep="\n")
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def connect(self, remote):
        self.expect(f"target remote {remote}", r"0x[0-9a-f]+ in |Remote debugging|\(\)", timeout=self.timeout)

    def do(self, command, interrupt_after=None, timeout=None):
        """What gdb says to COMMAND. INTERRUPT_AFTER seconds Ctrl-C is pressed."""
        self.number += 1
        marker = f"=={self.number}=="
        start = len(self.said)
        end = time.monotonic() + (timeout or self.timeout)
        press = time.monotonic() + interrupt_after if interrupt_after else None
        self.said += f"(gdb) {command}\n"
        answer = len(self.said)
        self.process.stdin.write(f"{command}\necho \\n{marker}\\n\n".encode())
        self.process.stdin.flush()
        while f"\n{marker}\n" not in self.said[answer:]:
            now = time.monotonic()
            if press and now >= press:
                self.process.send_signal(signal.SIGINT)
                press = None
            if now > end:
                raise Failure(f"gdb did not answer {command!r}: {self.said[start:][-2000:]}")
            until = min(end, press) if press else end
            if select.select([self.process.stdout], [], [], max(0.01, until - now))[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise Failure(f"gdb ended at {command!r}: {self.said[start:][-2000:]}")
                self.said += data.decode("utf-8", "replace")
        said = self.said[answer:].split(f"\n{marker}\n")[0]
        if "packet reply is too long" in said:
            raise Failure(f"packet reply is too long: {said}")
        return said.replace("(gdb) ", "")

    def expect(self, command, pattern, **keys):
        said = self.do(command, **keys)
        found = re.search(pattern, said)
        if not found:
            raise Failure(f"gdb's answer to {command!r} is not {pattern!r} but {said!r}")
        return found

    def value(self, expression):
        """The unsigned value of EXPRESSION."""
        return int(self.expect(f"output/x (unsigned)({expression})", r"0x([0-9a-f]+)")[1], 16)

    def check(self, expression, expected):
        actual = self.value(expression)
        if actual != expected:
            raise Failure(f"{expression} is {actual:#x} instead of {expected:#x}")
