"""What bench/run.sh makes of figures: means, bars, the guest's lines, the document.

    test_tables.py BENCH_FOLDER"""

import os
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
import machines  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402

FACTS = {"engines": ["auto"], "memory": {"dragoman": {"boot": 120 << 20, "kit": 200 << 20}, "qemu": {"boot": 110 << 20, "kit": 180 << 20}},
         "date": "2001-01-01", "processor": "P", "processors": 2, "host": "H", "load": 1.0, "runs": 1, "versions": {"dragoman": "1"}}


def row(suite, name, native, ours, qemus):
    seconds = {"native": native, "dragoman": ours, "qemu": qemus}
    return report.Row(suite, name, {key: value for key, value in seconds.items() if value}, 1, "same", 0.0)


ROWS = [
    row("int", "list", 1, 2, 8), row("int", "repmovs16", 1, 9, 9), row("int", "chase64m", 1, 20, 60),
    row("x87", "trig", 1, 3, 75), row("own-simd", "sad", 1, 4, 40), row("sys", "pipe", 1, 4, 4.4), row("sys", "smcpatch", 1, 2, 20),
    row("sys", "int80", 1, 3, 2), row("boot", "cpu", None, 2, 4), row("boot", "wall", None, 2, 1),
]


def bars(rows, facts=None):
    return {(what, wanted): (figure, met) for what, wanted, figure, met in report.judged_bars(rows, facts or FACTS)}


def test_bars():
    judged = bars(ROWS)
    assert judged["kit, x87", "at least 20 x QEMU's speed"] == ("25.0", True)
    assert judged["kit, x87", "at most 3.3 x native"] == ("3.00", True)
    assert judged["own guest, simd (packed SSE2)", "at least 15 x QEMU's speed"] == ("10.0", False)
    assert judged["own guest, simd (packed SSE2)", "at most 3 x native"] == ("4.00", False)
    assert judged["kit, int: repmovs16", "at most 8 x native"] == ("9.00", False)
    assert ("kit, int: chase64m", "at most 8 x native") not in judged
    assert judged[report.SUITES["int*"], "at least 1.8 x QEMU's speed"] == ("3.46", True)
    assert judged["kit, sys: pipe", "at least 1.2 x QEMU's speed"] == ("1.10", False)
    assert judged[report.SUITES["sys*"], "at least 5 x QEMU's speed"] == ("10.0", True)
    assert judged[report.SUITES["boot"], "at most 0.7 of QEMU's processor seconds"] == ("0.50", True)
    assert judged["peak host memory, boot", "at most QEMU's + 16 MiB"] == ("120 MiB (QEMU 110)", True)
    assert judged["peak host memory, kit", "at most QEMU's + 16 MiB"] == ("200 MiB (QEMU 180)", False)


def test_slow_kernels():
    slowest = "at least 0.9 x QEMU's speed"
    assert bars(ROWS)["kit, sys: int80", slowest] == ("0.67 (not confirmed)", False)
    again = {"again": [{"suite": "sys", "name": "int80", "ratios": [1.0, 1.05, 2.0]}]}
    assert bars(ROWS, {**FACTS, **again})["kit, sys: int80", slowest] == ("0.95 (median of 3 further runs)", True)
    assert bars(ROWS[:1])["every kernel", slowest] == ("4.00 (int.list)", True)
    assert bars(ROWS[-1:], {**FACTS, "memory": {}}) == {}, "the wall time of a boot is no kernel"


def test_nothing_to_judge():
    alone = [row("int", "list", None, 2, None), row("own-fp", "x87", 1, 2, None)]
    assert bars(alone, {**FACTS, "memory": {}}) == {}
    assert "own-fp" in report.as_text(alone, {**FACTS, "memory": {}})


def test_listener():
    listener = machines.Listener()
    for cpu, line in enumerate(["", "begin loop int", ".", ".", "end loop 5 00000001", "begin v86.words code16", ".", "end v86.words 6 00000002"]):
        assert listener.take(line, cpu)
    assert listener.found["loop"] == machines.Outcome("int", 2, 5, "00000001")
    assert listener.found["v86.words"].suite == "code16"
    assert not listener.take("done", 9) and listener.done
    assert not machines.Listener().take("fault: an exception", 1)


def test_collection():
    collection = measure.Collection()
    for seconds in (1.0, 3.0, 2.0):
        collection.add_own("dragoman", {"loop": machines.Outcome("int", seconds, 5, "00000001")})
    collection.add_own("qemu", {"loop": machines.Outcome("int", 4.0, 5, "00000002")})
    (result,) = collection.rows()
    assert (result.suite, result.seconds, result.verdict) == ("own-int", {"dragoman": 2.0, "qemu": 4.0}, "DIFFERENT")
    assert result.spread == 1.0


def test_document():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "page.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
        for _ in range(2):
            report.update_document(ROWS, FACTS, path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert text.count("### Geometric means") == 1 and "| kit, x87 | at most 3.3 x native | 3.00 | yes |" in text


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"{name}: good")


if __name__ == "__main__":
    main()
