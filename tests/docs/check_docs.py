#!/usr/bin/env python3
"""Runs the commands of the documentation and compares what they print with what the pages say.

    check_docs.py [--update] [--only TEXT] PROGRAM [PAGE...]

PROGRAM is the dragoman binary in its build folder. Without PAGE: all pages (README.md, CONTRIBUTING.md, docs/**/*.md).

A block of a page that begins with ```console is run: lines that start with "$ " are commands for bash (a backslash at
the end continues one; "> " continues a here-document), the lines behind one are its output, standard error included. The
commands of a page share an empty folder in which `build`, `guests`, `docs`, `scripts` ... are as in the source tree.

Words behind ```console:
    mask=numbers    all decimal numbers (and "-" in a table) count as equal, and so do runs of blanks
    status=N        the exit status of the block's last command (else it must be 0)
    needs=A,B       skipped where these programs are missing ("32-bit": where the host runs no 32-bit programs)
    timeout=S       seconds for each command (default 120)

In the output of a page
    ...             alone in a line stands for any lines, at the end of a line (" ...") for the rest of it
    two blanks and "# text" at the end of a line are a remark of the page's, not output
and what differs from run to run counts as equal everywhere: addresses of host memory, times, process ids.

--update writes what was printed into the pages where it differs from what they say; trimmed parts stay trimmed, remarks
stay at their lines as long as these can be found again.

Besides, every relative link of every page must lead to a file, and every path in backquotes that begins with a folder of
the source must exist.

Exit status: 0 all is as the pages say, 1 something differs, 77 nothing could be run.
"""
import argparse
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
REMARK = re.compile(r"\s{2,}# .*$")
DOTS = re.compile(r"^\s*\.\.\.$")
NUMBER = re.compile(r"\d[\d,]*(\.\d+)?")

MASKS = [
    # MOV reg, imm64 with the address of something of the emulator's: the bytes, before the text's address goes.
    (re.compile(r"\b(4[89] b[0-9a-f])( [0-9a-f]{2}){8}\b"), r"\1 HOST"),
    # Code memory begins at a page, so the last three digits of a target are as they are.
    (re.compile(r"\b(j\w+|call) 0x0000[0-9A-F]{9}([0-9A-F]{3})\b"), r"\1 HOST\2"),
    (re.compile(r"\b(0x)?0*(7[efEF]|5[56])[0-9a-fA-F]{10}\b"), "HOST"),
    (re.compile(r"\bjit-\d+|perf-\d+"), "jit-PID"),
    (re.compile(r"\b\d+(\.\d+)? ?(s|ms|us|µs|ns|seconds|MB/s)\b"), "TIME"),
]


def mask(line, numbers):
    line = line.rstrip()
    for pattern, to in MASKS:
        line = pattern.sub(to, line)
    if numbers:
        line = NUMBER.sub("N", line)
        line = re.sub(r"(?<=\s)-(?=\s)", "N", line)  # a figure that there is not
        line = re.sub(r"\s+", " ", line).strip()
    return line


def without_remark(line):
    return REMARK.sub("", line)


class Command:
    def __init__(self, line, text):
        self.line = line  # of the page, from 0
        self.text = text
        self.first = self.end = 0  # lines of the page with its output


class Block:
    def __init__(self, line, words):
        self.line = line
        self.commands = []
        self.numbers = "mask=numbers" in words
        options = dict(word.split("=", 1) for word in words if "=" in word)
        unknown = set(options) - {"mask", "status", "needs", "timeout"}
        if unknown or options.get("mask", "numbers") != "numbers":
            raise SystemExit("line %d: unknown words behind ```console: %s" % (line + 1, " ".join(words)))
        self.status = int(options.get("status", "0"))
        self.needs = [name for name in options.get("needs", "").split(",") if name]
        self.timeout = float(options.get("timeout", "120"))


def blocks_of(lines):
    """The ```console blocks of a page."""
    found, block, command, fence = [], None, None, None
    i = 0
    while i < len(lines):
        line = lines[i]
        if fence is None:
            match = re.match(r"^(```+)\s*(\S*)(.*)$", line)
            if match:
                fence = match.group(1)
                if match.group(2) == "console":
                    block, command = Block(i, match.group(3).split()), None
        elif line.startswith(fence):
            if block:
                found.append(block)
            fence, block = None, None
        elif block and line.startswith("$ "):
            command = Command(i, line[2:])
            while i + 1 < len(lines) and (lines[i].endswith("\\") or lines[i + 1].startswith("> ")):
                i += 1
                command.text += "\n" + re.sub(r"^> ", "", lines[i])
            command.first = command.end = i + 1
            block.commands.append(command)
        elif block and command:
            command.end = i + 1
        elif block:
            raise SystemExit("line %d: output before the first command" % (i + 1))
        i += 1
    return found


def matches(expected, actual, numbers):
    """Whether EXPECTED, which may be trimmed, describes the lines ACTUAL."""
    want = [mask(without_remark(line), numbers) for line in expected]
    have = [mask(line, numbers) for line in actual]
    reached = {0}  # numbers of lines of ACTUAL that what came so far can be
    for line in want:
        if DOTS.match(line):
            reached = set(range(min(reached), len(have) + 1)) if reached else set()
        elif line.endswith(" ..."):
            reached = {at + 1 for at in reached if at < len(have) and have[at].startswith(line[:-4].rstrip())}
        else:
            reached = {at + 1 for at in reached if at < len(have) and have[at] == line}
    return len(have) in reached


def keep_remarks(old, new, numbers, complain):
    """NEW with the remarks of OLD at the lines that were there before."""
    remarks = [(REMARK.search(line), line) for line in old]
    if not any(match for match, _ in remarks):
        return new

    def key(line):  # without the offset and the bytes of a listing
        return re.sub(r"^\s*\+?[0-9a-f]{4,8}:?(\s[0-9a-f]{2})+\s+", "", mask(without_remark(line), numbers)).strip()

    result, placed = list(new), set()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, [key(line) for line in old], [key(line) for line in new],
                                                   False).get_opcodes():
        if tag != "equal" and not (tag == "replace" and b - a == d - c):
            continue
        for i, j in zip(range(a, b), range(c, d)):
            match, line = remarks[i]
            if match:
                text = match.group(0).lstrip()
                result[j] = new[j].rstrip().ljust(line.index(text, match.start()) - 2) + "  " + text
                placed.add(i)
    for i, (match, line) in enumerate(remarks):
        if match and i not in placed:
            complain("a remark lost its line: " + line.strip())
    return result


def updated(expected, actual, numbers, complain):
    """What the page is to say now; None: whoever trimmed it must look."""
    if not any(DOTS.match(line) for line in expected):
        return keep_remarks(expected, actual, numbers, complain)
    have = [mask(line, numbers) for line in actual]
    segments, dots = [[]], []
    for line in expected:
        if DOTS.match(line):
            dots.append(line)
            segments.append([])
        else:
            segments[-1].append(line)
    result, at = [], 0
    for number, segment in enumerate(segments):
        if number:
            result.append(dots[number - 1])
        if not segment:
            continue
        wanted = [mask(without_remark(line), numbers) for line in segment]
        try:
            first = at if number == 0 else have.index(wanted[0], at)
            last = (len(have) if number == len(segments) - 1
                    else have.index(wanted[-1], first + (len(wanted) > 1)) + 1)
        except ValueError:
            return None
        result += keep_remarks(segment, actual[first:last], numbers, complain)
        at = last
    return result


class Checker:
    def __init__(self, program, update, only):
        self.program = os.path.realpath(program)
        self.update, self.only = update, only
        self.failed = self.passed = 0
        self.skipped = []

    def fail(self, page, line, text):
        self.failed += 1
        print("%s:%d: %s" % (os.path.relpath(page, ROOT), line + 1, text))

    def has(self, name):
        if name != "32-bit":
            return shutil.which(name) is not None
        try:
            process = subprocess.Popen([os.path.join(os.path.dirname(self.program), "bench", "guest", "native")],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError:
            return False
        process.kill()
        process.wait()
        return True

    def folder(self, where):
        """A folder that looks like the source tree with a build in it."""
        for name in os.listdir(ROOT):
            if not name.startswith((".", "build")):
                os.symlink(os.path.join(ROOT, name), os.path.join(where, name))
        os.symlink(os.path.dirname(self.program), os.path.join(where, "build"))

    def run(self, command, where, timeout):
        environment = dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb", COLUMNS="120", DEBUGINFOD_URLS="",
                           PATH=os.path.dirname(self.program) + ":" + os.environ["PATH"])
        process = subprocess.Popen(["bash", "-c", command], cwd=where, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output = process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0]
            return None, output
        return process.returncode, output

    @staticmethod
    def lines_of(output):
        text = output.decode("utf-8", "replace").replace("\r", "")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        lines = [line.rstrip() for line in text.split("\n")]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def page(self, page):
        with open(page, encoding="utf-8") as file:
            lines = file.read().split("\n")
        changes = []
        with tempfile.TemporaryDirectory(prefix="dragoman-docs-") as where:
            self.folder(where)
            for block in blocks_of(lines):
                if self.only and not any(self.only in command.text for command in block.commands):
                    continue
                missing = [name for name in block.needs if not self.has(name)]
                if missing:
                    self.skipped.append("%s:%d: no %s" % (os.path.relpath(page, ROOT), block.line + 1, ", ".join(missing)))
                    continue
                for command in block.commands:
                    change = self.command(page, lines, block, command, where)
                    if change is not None:
                        changes.append((command, change))
        if changes:
            for command, change in reversed(changes):
                lines[command.first:command.end] = change
            with open(page, "w", encoding="utf-8") as file:
                file.write("\n".join(lines))

    def command(self, page, lines, block, command, where):
        """Runs one command. With --update: what its output is to become in the page, None: as it is."""
        expected = [line.rstrip() for line in lines[command.first:command.end]]
        while expected and not expected[-1]:
            expected.pop()
        status, output = self.run(command.text, where, block.timeout)
        actual = self.lines_of(output)
        if status is None:
            self.fail(page, command.line, "no end after %g s: %s" % (block.timeout, command.text))
            return None
        if status != (block.status if command is block.commands[-1] else 0):
            self.fail(page, command.line, "exit status %d: %s" % (status, command.text))
            print("\n".join("    " + line for line in actual[-20:]))
            return None
        for line in actual:
            if REMARK.search(line):
                self.fail(page, command.line, "output looks like a remark: " + line)
                return None
        if matches(expected, actual, block.numbers):
            self.passed += 1
            return None
        if self.update:
            change = updated(expected, actual, block.numbers, lambda text: self.fail(page, command.line, text))
            if change is not None:
                print("%s:%d: updated" % (os.path.relpath(page, ROOT), command.line + 1))
                return change
        self.fail(page, command.line, "the page says something else than: " + command.text)
        want = [mask(without_remark(line), block.numbers) for line in expected]
        have = [mask(line, block.numbers) for line in actual]
        for line in difflib.unified_diff(want, have, "page", "printed", lineterm="", n=2):
            print("    " + line)
        return None

    def references(self, page):
        """Links and paths of a page."""
        with open(page, encoding="utf-8") as file:
            text = file.read()
        prose = re.sub(r"^(```+).*?^\1", lambda match: "\n" * match.group(0).count("\n"), text, flags=re.S | re.M)
        folders = "|".join(sorted(name for name in os.listdir(ROOT)
                                  if os.path.isdir(os.path.join(ROOT, name)) and not name.startswith((".", "build"))))
        for number, line in enumerate(prose.split("\n")):
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", line):
                if not os.path.exists(os.path.join(os.path.dirname(page), target)):
                    self.fail(page, number, "the link leads nowhere: " + target)
            for path in re.findall(r"`((?:%s)/[\w./-]+)`" % folders, line):
                if not os.path.exists(os.path.join(ROOT, path)):
                    self.fail(page, number, "there is no " + path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--only", help="only blocks with this text in a command")
    parser.add_argument("program")
    parser.add_argument("pages", nargs="*")
    options = parser.parse_args()
    if not os.access(options.program, os.X_OK):
        print("skipped: no program " + options.program)
        return 77
    if not shutil.which("bash"):
        print("skipped: no bash")
        return 77
    pages = [os.path.realpath(page) for page in options.pages]
    if not pages:
        course = os.path.join(os.path.dirname(os.path.realpath(options.program)), "guests", "course", "sum.bin")
        if not os.path.exists(course):
            print("skipped: no %s; building the guests needs nasm" % course)
            return 77
        pages = [os.path.join(ROOT, name) for name in ("README.md", "CONTRIBUTING.md")]
        for folder, _, names in sorted(os.walk(os.path.join(ROOT, "docs"))):
            pages += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".md")]
    checker = Checker(options.program, options.update, options.only)
    for page in pages:
        checker.references(page)
        checker.page(page)
    for line in checker.skipped:
        print("skipped: " + line)
    print("%d commands as the pages say, %d differences, %d blocks skipped" %
          (checker.passed, checker.failed, len(checker.skipped)))
    if checker.failed:
        return 1
    return 0 if checker.passed or not checker.skipped else 77


if __name__ == "__main__":
    sys.exit(main())
