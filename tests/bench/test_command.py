"""`dragoman bench` from outside: what it prints and writes, what it says to nonsense, and how it is interrupted.

    test_command.py DRAGOMAN"""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

PROGRAM = sys.argv[1]


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, "bench", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600, check=False)
    assert done.returncode == code, f"bench {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def test_files(folder):
    """The three files and the table say the same."""
    paths = {kind: os.path.join(folder, f"out.{kind}") for kind in ("csv", "json", "svg")}
    against = f"'{PROGRAM}' -engine interp"
    out, err = run("--runs", "2", "--kernels", "loop,real.w*", "--quick", "--against", against,
                   *(word for kind, path in paths.items() for word in (f"--{kind}", path)))
    assert "same" in out and "DIFFERENT" not in out, out
    assert "loop on" in err, err
    with open(paths["csv"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(paths["json"], encoding="utf-8") as file:
        everything = json.load(file)
    runners = [runner["name"] for runner in everything["runners"]]
    assert [name for name in runners if name != "native"] == ["interp", "tier1", "auto", os.path.basename(PROGRAM)], runners
    assert {(row["program"], row["runner"]) for row in rows} == {(name, runner) for name in ("loop", "real.words") for runner in runners}
    assert all(row["result"] == "same" and row["runs"] == "2" for row in rows), rows
    for program in everything["programs"]:
        assert program["instructions"] > 10000, program
        assert len({cell["checksum"] for cell in program["runners"].values()}) == 1, program
        assert all(len(cell["seconds"]) == 2 for cell in program["runners"].values()), program
        assert program["runners"]["auto"]["warm-up-seconds"] >= 0, program
        assert len(program["runners"]["auto"]["early-rounds-seconds"]) == 30, program
        assert min(program["runners"]["auto"]["early-rounds-seconds"]) > 0, program
        assert program["runners"]["auto"]["translations"] > 0, program
    picture = xml.etree.ElementTree.parse(paths["svg"]).getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert any("real.words, auto" in (title.text or "") for title in picture.iter("{http://www.w3.org/2000/svg}title"))


def test_choice(_):
    out, _ = run("--list", "--suites", "simd,code16")
    names = out.split()[1::2]
    assert "sad" in names and "v86.parse" in names and "loop" not in names, out
    out, _ = run("--quick", "--kernels", "faults", "--engines", "auto", "--no-native")
    assert "faults" in out and "interp" not in out and "native" not in out, out
    rate = next(line.split()[1] for line in out.splitlines() if line.startswith("faults"))
    assert float(rate) > 0, "the interpreter counts instructions even if it is not asked for\n" + out


def test_nonsense(folder):
    for arguments, words in [
        (["--kernels", "nosuch"], "no program matches"),
        (["--engines", "warp"], "engines are"),
        (["--runs", "many"], "a number from"),
        (["--what"], "invalid option"),
        (["--svg", os.path.join(folder, "no", "such", "folder")], "cannot open"),
    ]:
        _, err = run(*arguments, code=1)
        assert words in err, err


def test_bad_other(_):
    """An emulator that is not there, or does nothing, is named; the others' figures come all the same."""
    for command, words in [("/no/such/emulator", "not found"), ("false", "exit code 1"), ("echo hello;:", "hello")]:
        out, err = run("--quick", "--kernels", "loop", "--engines", "interp", "--against", command, code=1)
        assert words in out and "missing" in err, out + err


def test_full_disk(_):
    if os.path.exists("/dev/full"):
        _, err = run("--quick", "--kernels", "loop", "--engines", "auto", "--csv", "/dev/full", code=1)
        assert "cannot write '/dev/full'" in err, err


def test_interrupt(_):
    process = subprocess.Popen([PROGRAM, "bench", "--kernels", "crc,loop", "--runs", "50", "--scale", "100"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "interrupted" in err, err
    assert "geometric means" in out or "program" in out, out
    left = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], stdout=subprocess.PIPE, text=True, check=False).stdout
    assert not left.strip(), left


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory() as folder:
                test(folder)
            print(f"{name}: good")


if __name__ == "__main__":
    main()
