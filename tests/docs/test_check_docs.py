#!/usr/bin/env python3
"""Whether check_docs.py notices: pages that are right, wrong, trimmed, and followed up.

test_check_docs.py"""
import os
import subprocess
import sys
import tempfile

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_docs.py")
failed = 0


def check(folder, text, *options):
    """Exit status, output, and the page afterwards."""
    page = os.path.join(folder, "page.md")
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
    ran = subprocess.run([sys.executable, "-B", CHECK, *options, "/bin/true", page], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    with open(page, encoding="utf-8") as file:
        return ran.returncode, ran.stdout, file.read()


def expect(name, condition, said):
    global failed
    if not condition:
        failed += 1
        print("%s: failed\n%s" % (name, said))


def block(lines, words=""):
    return "text\n\n```console%s\n%s\n```\n" % (words and " " + words, "\n".join(lines))


with tempfile.TemporaryDirectory() as folder:
    STATUS = [
        ("right", 0, ["$ printf 'a\\nb\\n'", "a", "b"], ""),
        ("wrong", 1, ["$ printf 'a\\nb\\n'", "a", "c"], ""),
        ("too little", 1, ["$ printf 'a\\nb\\n'", "a"], ""),
        ("too much", 1, ["$ printf 'a\\n'", "a", "b"], ""),
        ("trimmed", 0, ["$ seq 9", "1", "...", "5", "6", "...", "9"], ""),
        ("trimmed at both ends", 0, ["$ seq 9", "...", "5", "..."], ""),
        ("trimmed, not in order", 1, ["$ seq 9", "1", "...", "6", "5", "...", "9"], ""),
        ("trimmed, last line wrong", 1, ["$ seq 9", "1", "...", "8"], ""),
        ("rest of a line", 0, ["$ echo one two three", "one two ..."], ""),
        ("rest of a line, wrong", 1, ["$ echo one two three", "one three ..."], ""),
        ("remark", 0, ["$ echo cli", "cli  # no more interrupts"], ""),
        ("remark at a wrong line", 1, ["$ echo cli", "sti  # no more interrupts"], ""),
        ("host address", 0, ["$ echo jmp 0x00007F1234567061 in 12 us", "jmp 0x00007FABCDEFA061 in 4.5 us"], ""),
        ("another offset", 1, ["$ echo jmp 0x00007F1234567061", "jmp 0x00007FABCDEFA062"], ""),
        ("guest address", 1, ["$ echo 0x00100020", "0x00100021"], ""),
        ("numbers", 1, ["$ echo 5  runs", "7 runs"], ""),
        ("numbers masked", 0, ["$ echo 5  runs", "7 runs"], "mask=numbers"),
        ("words beside masked numbers", 1, ["$ echo 5 runs", "7 turns"], "mask=numbers"),
        ("status", 1, ["$ false"], ""),
        ("status expected", 0, ["$ false"], "status=1"),
        ("no such program", 77, ["$ nothing-of-the-kind"], "needs=nothing-of-the-kind"),
        ("two commands share a folder", 0, ["$ echo a > f", "$ cat f", "a"], ""),
        ("no end", 1, ["$ sleep 60"], "timeout=1"),
        ("standard error", 0, ["$ echo a >&2", "a"], ""),
    ]
    for name, status, lines, words in STATUS:
        got, said, _ = check(folder, block(lines, words))
        expect(name, got == status, said)

    for name, lines, becomes in [
        ("empty", ["$ seq 2"], ["$ seq 2", "1", "2"]),
        ("remark stays", ["$ printf '+0004: 90  nop\\n+0005: c3  ret\\n'", "+0000: c3  ret      # back"],
         ["$ printf '+0004: 90  nop\\n+0005: c3  ret\\n'", "+0004: 90  nop", "+0005: c3  ret      # back"]),
        ("trimmed stays trimmed", ["$ seq 3 9 | sed s/4/x/", "3", "4", "5", "...", "9"],
         ["$ seq 3 9 | sed s/4/x/", "3", "x", "5", "...", "9"]),
    ]:
        got, said, page = check(folder, block(lines), "--update")
        expect("update, " + name, got == 0 and page == block(becomes), said + page)
    got, said, _ = check(folder, block(["$ echo sti", "cli  # no more interrupts"]), "--update")
    expect("update, remark lost", got == 0 or "lost" in said, said)
    got, said, page = check(folder, block(["$ seq 9", "1", "...", "x", "...", "9"]), "--update")
    expect("update, trimmed beyond recognition", got == 1 and "x" in page, said)

    got, said, _ = check(folder, "[there](page.md) `tests/docs/check_docs.py`\n")
    expect("links", got == 0, said)
    got, said, _ = check(folder, "[there](nowhere.md)\n")
    expect("a link to nowhere", got == 1, said)
    got, said, _ = check(folder, "see `src/nowhere/file.c`\n")
    expect("a path to nowhere", got == 1, said)

print("%d failed" % failed)
sys.exit(1 if failed else 0)
