#!/usr/bin/env python3
"""Statistics, and what perf and gdb are told of translated code: files read back, and (where there are perf and gdb) the
tools themselves.

test_profilers.py DRAGOMAN TEACHING.elf [CASE...]"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from machine import EXTRA_OPTIONS, Failure, Machine, Skip, run_cases

program, kernel = sys.argv[1:3]
GUEST = ["-m", "16", "-nographic", "-monitor", "none", "-no-reboot", "-kernel", kernel, "-append", "test"]
PHASES = ["stopped", "idle", "interpreting", "translating", "executing", "lookups", "memory-slow-path", "callouts",
          "single-instructions", "devices"]
NAME = r"tier1:guest 0x[0-9a-f]{8} \((real [0-9a-f]{4}:[0-9a-f]{4}|v86 [0-9a-f]{4}:[0-9a-f]{4}|prot16 cpl\d|prot32 cpl\d)\)"


def check(condition, message):
    if not condition:
        raise Failure(message)


class Run:
    """One run of the guest's self-test in a folder of its own, under COMMAND if there is one."""

    def __init__(self, options, command=(), guest=None):
        self.folder = tempfile.mkdtemp(prefix="dragoman-test-")
        self.pid = None
        process = subprocess.Popen(
            list(command) + [program] + (guest or GUEST) + EXTRA_OPTIONS + options,
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if not command:
            self.pid = process.pid
        self.out, self.err = process.communicate(timeout=300)
        self.status = process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name, mode="r"):
        with open(self.path(name), mode) as file:
            return file.read()

    def passed(self):
        check(self.status == 0 and "teaching kernel: PASS" in self.out, f"status {self.status}: {self.out[-500:]} {self.err}")
        return self


def engine_translates():
    if "interp" in EXTRA_OPTIONS:
        raise Skip("nothing is translated")


# ---- statistics ----


def check_statistics(stats, translates=True):
    counters, time = stats["counters"], stats["time"]
    check(counters["port_writes"] > 100 and counters["port_reads"] > 100, f"odd counters: {counters}")
    check(sorted(time["phases-ns"]) == sorted(PHASES), f"phases {sorted(time['phases-ns'])}")
    total = sum(time["phases-ns"].values())
    if time["samples"]:
        check(abs(total - time["total-ns"]) < 1e6, f"phases add up to {total} of {time['total-ns']}")
    check(0 < time["processor-ns"] <= time["total-ns"] * 1.05, f"processor time {time['processor-ns']}")
    if not translates:
        check(stats["translator"] is None, "a translator without one")
        return
    translator = stats["translator"]
    check(counters["translations"] > 100 and counters["native_entries"] > 0, f"nothing translated: {counters}")
    check(0 < translator["cache-used"] <= translator["cache-size"], "cache")
    check(translator["blocks"] and all(b["host-bytes"] > 0 for b in translator["blocks"]), "no blocks")
    check(translator["callouts"].get("OUT", 0) > 10, f"callouts {translator['callouts']}")
    for block in translator["blocks"]:
        if "profile" in block:
            told = block["profile"]
            ways = sum(link["count"] for link in told["links"]) + told["elsewhere"]
            targets = sum(target["count"] for target in told["targets"])
            check(ways <= told["executions"] and targets <= told["elsewhere"], f"odd profile {block}")


def statistics_json():
    engine_translates()
    with Run(["-engine", "tier1", "-stats", "all.json"]) as run:
        stats = json.loads(run.passed().read("all.json"))
        check_statistics(stats)
        check(stats["time"]["samples"] > 0, "no samples")


def statistics_interp():
    with Run(["-engine", "interp", "-stats", "all.json"]) as run:
        stats = json.loads(run.passed().read("all.json"))
        check_statistics(stats, translates=False)
        for phase in ("translating", "executing", "lookups", "callouts", "single-instructions"):
            check(stats["time"]["phases-ns"][phase] == 0, f"{phase} without a translator")


def statistics_text():
    engine_translates()
    with Run(["-engine", "tier1", "-stats", "all.txt"]) as run:
        text = run.passed().read("all.txt")
    for pattern in (r"^virtual_time_ns +\d+ ", r"^port_writes +[1-9]\d* ", r"^Time of the vCPU's thread",
                    r"^  executing +\d+\.\d{3} +\d+\.\d\d %  translated code$", r"^  total +\d+\.\d{3} .*samples$",
                    r"^code cache  ", r"^Callouts from translated code: [1-9]"):
        check(re.search(pattern, text, re.M), f"no {pattern!r} in\n{text}")


def statistics_nowhere():
    with Run(["-stats", "/nonexistent/file"]) as run:
        check(run.status == 1 and "-stats: cannot open '/nonexistent/file'" in run.err, f"{run.status} {run.err}")
    with Run(["-stats", "/dev/full"]) as run:
        check(run.status == 1 and "-stats: cannot write '/dev/full'" in run.err, f"{run.status} {run.err}")


def statistics_monitors():
    """The same from a running machine; idle time is idle time."""
    engine_translates()
    with Machine(program, ["-m", "16", "-kernel", kernel, "-append", "", "-engine", "tier1"]) as machine:
        machine.expect(r"^> ")
        first, text, second, jit = machine.qmp(
            ("x-query-stats", {}), ("human-monitor-command", {"command-line": "info stats"}), ("x-query-stats", {}),
            ("x-query-jit", {}))
        check_statistics(first["return"])
        check("Time of the vCPU's thread" in text["return"], text)
        check("code cache" in jit["return"]["human-readable-text"], jit)
        check(second["return"]["counters"]["port_writes"] >= first["return"]["counters"]["port_writes"], "counting down")
        machine.monitor("stop")
        before, after = (reply["return"]["time"] for reply in machine.qmp(("x-query-stats", {}), ("x-query-stats", {})))
        check(after["phases-ns"]["stopped"] > before["phases-ns"]["stopped"], "stopped, but not counted so")
        check(after["phases-ns"]["idle"] == before["phases-ns"]["idle"], "idle while stopped")
        machine.qmp(("quit", {}))
        machine.expect_exit(0)


# ---- perf's files ----


def read_map(text):
    """[(start, end, name)], in order of address."""
    entries = []
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) (.+)", line)
        check(match, f"odd line in the map: {line!r}")
        start, size = int(match[1], 16), int(match[2], 16)
        check(size > 0, f"empty: {line!r}")
        entries.append((start, start + size, match[3]))
    return sorted(entries)


def check_map(entries):
    for (_, end, name), (start, _, next_name) in zip(entries, entries[1:]):
        check(end <= start, f"{name} and {next_name} overlap")
    names = [name for _, _, name in entries]
    check("thunk:enter" in names and "thunk:call" in names, "no thunks")
    for name in names:
        check(re.fullmatch(r"thunk:\w+|" + NAME, name), f"odd name {name!r}")
    return names


def perf_map():
    engine_translates()
    with Run(["-engine", "tier1", "-perfmap"]) as run:
        run.passed()
        path = f"/tmp/perf-{run.pid}.map"
        with open(path) as file:
            names = check_map(read_map(file.read()))
        os.unlink(path)
    check(any("(real 07c0:" in n or "(real " in n for n in names), "no real mode")
    check(any("(prot32 cpl0)" in n for n in names) and any("(prot32 cpl3)" in n for n in names), "no protected mode")


def read_dump(data):
    """(header, [(type, time, body)])"""
    magic, version, size, machine, _, pid, time, flags = struct.unpack_from("<IIIIIIQQ", data)
    check((magic, version, size, machine, flags) == (0x4A695444, 1, 40, 62, 0), "odd header")
    records, at, last = [], size, time
    while at < len(data):
        kind, size, time = struct.unpack_from("<IIQ", data, at)
        check(size >= 16 and at + size <= len(data), f"record of {size} bytes at {at}")
        check(time >= last, "time runs backwards")
        records.append((kind, time, data[at + 16 : at + size]))
        at, last = at + size, time
    return pid, records


def jit_dump():
    engine_translates()
    with Run(["-engine", "tier1", "-jitdump"]) as run:
        pid, records = read_dump(run.passed().read(f"jit-{run.pid}.dump", "rb"))
        listing = run.read(f"jit-{run.pid}.txt").splitlines()
        check(pid == run.pid, "somebody else's process")
        check([kind for kind, _, _ in records].count(3) == 1 and records[-1][0] == 3, "not closed, or not at the end")
        lines, loads, indices = {}, 0, set()
        for kind, _, body in records[:-1]:
            if kind == 2:
                code, count = struct.unpack_from("<QQ", body)
                at, entries = 16, []
                for _ in range(count):
                    address, line, _ = struct.unpack_from("<QII", body, at)
                    end = body.index(b"\0", at + 16)
                    check(body[at + 16 : end].decode() == os.path.realpath(run.path(f"jit-{run.pid}.txt")), "file name")
                    entries.append((address, line))
                    at = end + 1
                check(at == len(body) and entries == sorted(entries), "odd entries")
                lines[code] = entries
                continue
            check(kind == 0, f"record of type {kind}")
            its_pid, _, vma, address, size, index = struct.unpack_from("<IIQQQQ", body)
            name, code = body[40:].split(b"\0", 1)
            check(its_pid == run.pid and vma == address and len(code) == size, "odd code")
            check(index not in indices, "an index twice")
            indices.add(index)
            loads += 1
            if name.startswith(b"thunk:"):
                continue
            check(re.fullmatch(NAME, name.decode()), f"odd name {name}")
            entries = lines.pop(address, None)
            check(entries, f"no lines for {name}")
            check(entries[0][0] == address and entries[-1][0] < address + size, "lines outside of the code")
            # Of the first instructions there may be no host code.
            first = min(line for _, line in entries)
            title = max(line for line in range(1, first + 1) if listing[line - 1].startswith("tier1:"))
            check(listing[title - 1] == name.decode(), f"{name} stands under {listing[title - 1]}")
            address = name.decode().split(" (")[0].split("0x")[1]
            check(re.match(address + "  [a-z]", listing[title]), f"{name} begins with {listing[title]}")
            check(all(re.match(r"[0-9a-f]{8}  [a-z]", listing[line - 1]) for _, line in entries if line != title),
                  f"{name}: odd lines")
        check(loads > 100 and not lines, f"{loads} pieces of code; lines without code {len(lines)}")


def refused():
    engine_translates()
    with Run(["-jitdump"]) as run:
        run.passed()
    folder = tempfile.mkdtemp(prefix="dragoman-test-")
    try:
        process = subprocess.run(["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', folder, program] + GUEST + ["-jitdump"],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    check(process.returncode == 1 and "-jitdump: cannot create" in process.stderr, f"{process.returncode} {process.stderr}")


def linux():
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "dragoman")
    files = [os.path.join(cache, name) for name in ("vmlinuz-686", "initramfs.gz")]
    for path in files:
        if not os.path.exists(path):
            raise Skip(f"no {path}; scripts/make-default-guest.sh 686 makes it")
    return ["-m", "128", "-nographic", "-monitor", "none", "-no-reboot", "-kernel", files[0], "-initrd", files[1],
            "-append", 'console=ttyS0 dragoman.run="seq 1 2000 | md5sum"']


def reuse():
    """A cache so small that code takes the place of other code."""
    engine_translates()
    with Run(["-accel", "tb-size=1,threshold=300", "-perfmap", "-jitdump", "-gdbjit", "-stats", "all.json"], guest=linux()) as run:
        check(run.status == 0 and "ea4d0a24dabcaa11f9aa979b872d162b" in run.out, f"status {run.status}: {run.out[-500:]}")
        evictions = json.loads(run.read("all.json"))["counters"]["cache_evictions"]
        check(evictions > 16, f"{evictions} evictions")
        path = f"/tmp/perf-{run.pid}.map"
        with open(path) as file:
            check_map(read_map(file.read()))
        os.unlink(path)
        _, records = read_dump(run.read(f"jit-{run.pid}.dump", "rb"))
        places = [struct.unpack_from("<Q", body, 16)[0] for kind, _, body in records if kind == 0]
        check(len(set(places)) < len(places), "no address was used twice")


def profile():
    """What translated code does, from samples."""
    engine_translates()
    if "lockstep" in EXTRA_OPTIONS:
        raise Skip("both engines run everything")
    with Run(["-stats", "all.json"], guest=linux()) as run:
        check(run.status == 0 and "ea4d0a24dabcaa11f9aa979b872d162b" in run.out, f"status {run.status}: {run.out[-500:]}")
        stats = json.loads(run.read("all.json"))
        check_statistics(stats)
    translator, sampled = stats["translator"], stats["counters"]["instructions_observed"]
    check(sampled > 1000 and translator["sampled-instructions"] > 1000, f"hardly any samples: {sampled}")
    first = translator["blocks"][0]["profile"]
    check(first["executions"] > 10 and not first["exact"], f"the first block is not hot: {first}")
    check(translator["sites"] and all(s["reads"] or s["writes"] or s["faults"] for s in translator["sites"]), "no sites")


# ---- the tools ----


def with_perf():
    if not shutil.which("perf"):
        raise Skip("no perf")
    works = subprocess.run(["perf", "record", "-e", "cpu-clock", "-k", "mono", "-o", "/dev/null", "true"],
                           capture_output=True)
    if works.returncode:
        raise Skip("perf cannot record here")


def record(run_options):
    run = Run(run_options, ["perf", "record", "-e", "cpu-clock", "-F", "2000", "-k", "mono", "-o", "perf.data"], linux())
    check(run.status == 0, f"perf record: {run.status} {run.err[-500:]}")
    return run


def report(run, data):
    """perf's report names guest code."""
    environment = dict(os.environ, HOME=run.folder, PERF_BUILDID_DIR=run.path("buildid"))
    text = subprocess.run(["perf", "report", "--stdio", "-i", data, "-s", "sym"], cwd=run.folder, env=environment,
                          capture_output=True, text=True).stdout
    shares = [float(match[1]) for match in re.finditer(r"^ *([\d.]+)% +\[\.\] " + NAME, text, re.M)]
    check(sum(shares) > 5 and len(shares) > 20, f"translated code is not named: {text[:3000]}")


def perf_reports_map():
    engine_translates()
    with_perf()
    with record(["-perfmap"]) as run:
        report(run, "perf.data")


def perf_reports_dump():
    engine_translates()
    with_perf()
    with record(["-jitdump", "-accel", "threshold=5000"]) as run:  # perf makes a file of each translation
        environment = dict(os.environ, HOME=run.folder)
        inject = subprocess.run(["perf", "inject", "--jit", "-i", "perf.data", "-o", "jitted.data"], cwd=run.folder,
                                env=environment, capture_output=True, text=True)
        check(inject.returncode == 0, f"perf inject: {inject.stderr}")
        report(run, "jitted.data")
        objects = [name for name in os.listdir(run.folder) if name.startswith("jitted-")]
        check(len(objects) > 50, f"{len(objects)} pieces of code")


GDB_SCRIPT = """
set pagination off
set confirm off
set debuginfod enabled off
break port_space_write
run {arguments} > console < /dev/null
ignore 1 {skip}
continue
backtrace
info symbol $pc
kill
"""


def backtrace(skip):
    folder = tempfile.mkdtemp(prefix="dragoman-test-")
    try:
        arguments = " ".join("'" + a + "'" for a in GUEST + EXTRA_OPTIONS + ["-engine", "tier1", "-gdbjit"])
        with open(os.path.join(folder, "script"), "w") as script:
            script.write(GDB_SCRIPT.format(arguments=arguments, skip=skip))
        run = subprocess.run(["gdb", "-nx", "-batch", "-x", "script", program], cwd=folder, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=300)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if re.search(r"Operation not permitted|Could not trace|not supported on this", run.stdout + run.stderr):
        raise Skip("gdb cannot debug here")
    return run.stdout + run.stderr


def gdb_backtrace():
    """A breakpoint in C that translated code has called: through it and its thunk to the thread's beginning."""
    engine_translates()
    if not shutil.which("gdb"):
        raise Skip("no gdb")
    # What was translated this very moment has no name yet.
    for skip in (500, 700, 900, 1100, 600, 800, 1000):
        text = backtrace(skip)
        frames = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\S+)", text, re.M)
        check("thunk_call" in frames and "thread_main" in frames, f"the thread is not unwound: {text}")
        above = frames.index("thunk_call") + 1
        check(frames.index("thread_main") > above, f"odd frames: {text}")
        check("warning:" not in text, f"gdb complains: {text}")
        if re.fullmatch(r"guest_0x[0-9a-f]{8}_(prot32|prot16|real)", frames[above]):
            check("interp_run" in frames[above:], f"no run loop: {text}")
            return
    raise Failure(f"translated code has no name: {text}")


CASES = [statistics_json, statistics_interp, statistics_text, statistics_nowhere, statistics_monitors, perf_map, jit_dump,
         refused, reuse, profile, perf_reports_map, perf_reports_dump, gdb_backtrace]
wanted = sys.argv[3:]
sys.exit(run_cases([(c.__name__, c) for c in CASES if not wanted or c.__name__ in wanted]))
