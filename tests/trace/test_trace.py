#!/usr/bin/env python3
"""Traces of the teaching kernel: every record is as docs/trace-format.md says, nothing is lost, counts agree.

test_trace.py DRAGOMAN TEACHING.elf [CASE...]        CASE: only these"""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "boot"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import schema  # noqa: E402
from machine import Failure, Machine, Skip, run_cases  # noqa: E402

program, kernel = sys.argv[1:3]
folder = tempfile.mkdtemp(prefix="dragoman-trace-")
EVERYTHING = "in_asm,op,op_opt,out_asm,chain,tier,smc,exec,int,mmu,profile,jit,io,unimp,guest_errors,cpu_reset"


def run(items, *options):
    """The file that a whole run of the kernel's self-test wrote."""
    path = os.path.join(folder, "trace")
    command = [program, "-m", "16", "-kernel", kernel, "-append", "test", "-nographic", "-monitor", "none", "-no-reboot"]
    command += ["-d", items, "-D", path, *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or "teaching kernel: PASS" not in done.stdout:
        raise Failure(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return path


def records_of(items, *options):
    path = run(items, "-dformat", "json", *options)
    try:
        return schema.read(path)
    except schema.Wrong as error:
        raise Failure(str(error)) from error


def text_of(items, *options):
    with open(run(items, *options), encoding="utf-8") as file:
        return file.read()


def by_type(records):
    types = collections.defaultdict(list)
    for record in records:
        types[record["type"]].append(record)
    return types


def require(holds, message):
    if not holds:
        raise Failure(message)


def check_counts(types):
    """What exec tells one by one is what the profile has counted; links and targets add up."""
    executed = collections.Counter(record["id"] for record in types["exec"] if "id" in record)
    profiles = {record["id"]: record for record in types["profile"]}
    translations = {record["id"]: record for record in types["translation"]}
    require(len(profiles) == len(types["profile"]), "a translation has two profiles")
    require(set(profiles) == set(translations), "not every translation has a profile")
    for number, profile in profiles.items():
        require(profile["exact"], f"#{number}: not exact")
        require(profile["executions"] == executed[number],
                f"#{number}: the profile has {profile['executions']} executions, exec {executed[number]}")
        left = sum(profile["taken"]) + sum(target["count"] for target in profile.get("targets", []))
        require(left <= profile["executions"], f"#{number}: entered {profile['executions']} times, left {left} times")
        for call in profile.get("calls", []):
            require(call["count"] <= profile["executions"], f"#{number}: more calls than executions")
    require(sum(executed.values()) > 100000, "hardly anything was executed natively")
    for record in types["chain"] + types["unchain"]:
        require(record["from"] in translations and record["to"] in translations, f"a link of nobody: {record}")
    # Who goes to another translation by a link is counted at both ends.
    chained = {(record["from"], record["slot"]): record["to"] for record in types["chain"]}
    require(len(chained) > 20, "hardly any links")
    order = [record.get("id", 0) for record in types["exec"]]
    pairs = collections.Counter(zip(order, order[1:]))
    for (start, slot), target in chained.items():
        if profiles[start]["taken"][slot] > 10000:
            require(pairs[start, target] > profiles[start]["taken"][slot] * 0.9,
                    f"#{start} took link {slot} {profiles[start]['taken'][slot]} times, but {target} came after it "
                    f"{pairs[start, target]} times")


def everything(*options):
    types = by_type(records_of(EVERYTHING, *options))
    for name in ("translation", "chain", "tier", "exec", "int", "mmu", "profile", "occupancy"):
        require(types[name], f"no {name}")
    require(types["end"][0]["suppressed"] == 0, "something was suppressed")
    require({record["kind"] for record in types["int"]} == {"exception", "interrupt", "software"}, "kinds of int")
    fault = [record for record in types["int"] if record["vector"] == 14 and record["kind"] == "exception"]
    require(any(record["address"] == "00100000" and record["error"] == 7 and record["cpl"] == 3 for record in fault),
            f"the intruder's page fault is not among {fault}")
    check_counts(types)
    return types


def auto():
    types = everything()
    require(types["block"], "no block")
    require(all(record["reason"] == "hot" and record["executions"] == 24 for record in types["translation"]),
            "a translation without 24 executions before it")
    callouts = {insn["text"].split()[0]: insn for record in types["block"] for insn in record["insns"]}
    require(callouts["cli"]["class"] == "critical" and callouts["cli"]["callout"] == "cli", "cli")
    require(callouts["lidt"]["class"] == "privileged" and callouts["lidt"]["callout"] == "lidt", "lidt")
    require(callouts["add"]["class"] == "innocuous" and "callout" not in callouts["add"], "add")
    # A block that was not translated runs in the interpreter each time; the rest of the time it is told there, too.
    interpreted = collections.Counter(record["linear"] for record in types["exec"] if "id" not in record)
    for record in types["translation"][:20]:
        require(interpreted[record["linear"]] >= 24, f"{record['linear']} became hot without being executed")


def tier1():
    types = everything("--engine", "tier1")
    require(all(record["reason"] == "forced" for record in types["translation"]), "not all forced")
    require(any(insn.get("callout") == "cli" for record in types["translation"] for insn in record["insns"]), "no cli")
    require(any("slow" in record for record in types["profile"]), "no access in C")
    require(any("targets" in record for record in types["profile"]), "no target of an indirect branch")
    for record in types["profile"]:
        counts = [target["count"] for target in record.get("targets", [])]
        require(counts == sorted(counts, reverse=True), "the commonest target does not come first")


def counted():
    everything("--engine", "tier1", "-icount", "shift=6")


def lockstep():
    records_of("op,op_opt,out_asm,chain,exec,int,profile", "--engine", "lockstep")


def interpreter():
    types = by_type(records_of("in_asm,exec", "--engine", "interp"))
    executed = {record["linear"] for record in types["exec"]}
    require(types["header"][0]["engine"] == "interp" and not types["translation"], "engine")
    require(executed <= {record["linear"] for record in types["block"]}, "executed, but never discovered")
    native = by_type(records_of("exec", "--engine", "tier1"))
    require(len(types["exec"]) > len(native["exec"]) / 2, "the interpreter's chained blocks are not told")


def parts():
    """Each item brings its own part and no other."""
    types = by_type(records_of("op"))
    require(all([step["pass"] for step in record["ir"]] == ["lifted"] and "host" not in record
                for record in types["translation"]), "op: more than what was lifted")
    require(set(types) == {"header", "translation", "end"}, f"op: {set(types)}")
    types = by_type(records_of("out_asm"))
    require(all("ir" not in record and "host" in record for record in types["translation"]), "out_asm: IR")
    types = by_type(records_of("op_opt"))
    names = {step["pass"] for record in types["translation"] for step in record["ir"]}
    require(names == {"lifted", "constants", "addresses", "states", "dead_code", "flags"}, f"passes: {names}")
    require(any(step["removed"] for record in types["translation"] for step in record["ir"]), "no pass removes anything")
    require(any(step["changed"] for record in types["translation"] for step in record["ir"]), "no pass changes anything")
    for item, name in (("int", "int"), ("mmu", "mmu"), ("chain", "chain"), ("tier", "tier"), ("in_asm", "block")):
        types = by_type(records_of(item))
        require(set(types) == {"header", name, "end"}, f"{item}: {set(types)}")


def text():
    shown = text_of("in_asm,op_opt,out_asm,tier,chain,int,profile")
    for pattern in (
        r"^0x[0-9a-f]{8}:  fa +cli +; critical -> call cli$",
        r"^0x[0-9a-f]{8}:  0f 01 1e .. ..  +lidt \[.*\] +; privileged -> call lidt$",
        r"^TRANSLATION #\d+ tier 1: linear 0x[0-9a-f]{8} physical .*; hot after 24 executions, made in \d+ us$",
        r"^OUT: 0x[0-9a-f]{8}, \d+ guest instructions, \d+ bytes at",
        r"^  -- out of line$",
        r"^ 0 [0-9a-f]{8}  cmp eax, 0x7F\n  \+[0-9a-f]{4}: ",
        r"^tier 0x[0-9a-f]{8} #\d+: interpreter -> tier1, hot after 24 executions$",
        r"^chain #\d+ \(0x[0-9a-f]{8}\) taken -> #\d+ \(0x[0-9a-f]{8}\)$",
        r"^exception 0e error 0007 cr2 00100000 at 001b:",
        r"^profile #\d+ 0x[0-9a-f]{8}: \d+ executions, ",
    ):
        require(re.search(pattern, shown, re.MULTILINE), f"nothing matches {pattern}")
    passes = re.findall(r"^IR after (\w+): (\d+) removed, (\d+) added, (\d+) changed\n(.*?)(?=^IR|^OUT)", shown,
                        re.MULTILINE | re.DOTALL)
    require(len(passes) > 100, f"{len(passes)} passes")
    marked = collections.Counter()
    for name, removed, added, changed, body in passes:
        for mark, count in (("-", removed), ("+", added), ("~", changed)):
            found = len(re.findall(rf"^  {re.escape(mark)} +\d+  ", body, re.MULTILINE))
            require(found == int(count), f"after {name}: {count} {mark}, but {found} are marked:\n{body}")
            marked[mark] += found
    require(all(marked[mark] for mark in "-+~"), f"marks: {marked}")


def syntax():
    require(re.search(r"mov %eax, %edx$", text_of("in_asm", "-dasm", "att"), re.MULTILINE), "AT&T")
    require(re.search(r"mov edx, eax$", text_of("in_asm", "-dasm", "intel"), re.MULTILINE), "Intel")
    types = by_type(records_of("op", "-dasm", "att"))
    require(any("%" in insn["text"] for record in types["translation"] for insn in record["insns"]), "AT&T in JSON")


def filters():
    # The tasks of ring 3 run at 102000h and above.
    types = by_type(records_of("in_asm,op,exec,int,chain", "-dfilter", "cpl=3"))
    require(types["end"][0]["suppressed"] > 1000, "nothing was suppressed")
    require(types["exec"] and all((int(record["mode"], 16) >> 5) & 3 == 3 for record in types["exec"]), "cpl of exec")
    require(all(record["cpl"] == 3 for record in types["int"]), "cpl of int")
    require(all(record["mode"]["cpl"] == 3 for record in types["block"] + types["translation"]), "cpl of blocks")
    require(types["header"][0]["filter"] == "cpl=3", "the header does not tell the filter")

    types = by_type(records_of("in_asm,op,exec,int,mmu", "-dfilter", "0x102000..0x102fff"))
    require(len(types["exec"]) > 1000, "the range lets nothing pass")
    for record in types["block"] + types["translation"] + types["exec"]:
        require(record["linear"].startswith("00102") or int(record["linear"], 16) + 48 * 15 > 0x102000, f"{record}")
    require(all(record["eip"].startswith("00102") for record in types["int"]), "int")
    require(all(record.get("linear", "00102").startswith("00102") for record in types["mmu"]), "mmu")

    types = by_type(records_of("exec,int,op,profile", "-dfilter", "first=3"))
    require([len(types[name]) for name in ("exec", "int", "translation", "profile")] == [3, 3, 3, 3], "first=3")

    counted = ["--engine", "tier1", "-icount", "shift=6"] # the same executions each time
    whole = by_type(records_of("op,profile", *counted))
    executions = {record["id"]: record["executions"] for record in whole["profile"]}
    types = by_type(records_of("in_asm,op,profile,exec,chain", "-dfilter", "hot=500", *counted))
    require(0 < len(types["translation"]) < len(whole["translation"]) / 4, f"{len(types['translation'])} hot ones")
    require(all(record["executions"] >= 500 for record in types["profile"]), "a cold one is among them")
    require({record["id"] for record in types["profile"]} == {record["id"] for record in types["translation"]}, "profiles")
    expected = sum(1 for count in executions.values() if count >= 500)
    require(len(types["translation"]) == expected > 1, f"{len(types['translation'])} hot ones, but there are {expected}")
    executed = collections.Counter(record["id"] for record in types["exec"])
    require(not types["block"], "a block of the interpreter is hot")
    for number, count in executed.items(): # from the one on that made it hot
        require(count == executions[number] - 499, f"#{number}: {count} of {executions[number]}")

    hot = max(whole["profile"], key=lambda record: record["executions"])["id"]
    start = next(record["linear"] for record in whole["translation"] if record["id"] == hot)
    types = by_type(records_of("in_asm,op,exec,int,profile", "-dfilter", f"block=0x{start}", "--engine", "tier1"))
    require({record["linear"] for record in types["translation"] + types["exec"]} == {start}, "block=")
    require(not types["int"], "an interrupt is no event of the block")

    directory = next(record["mode"]["cr3"] for record in by_type(records_of("in_asm"))["block"]
                     if record["mode"]["cpl"] == 3)
    types = by_type(records_of("in_asm,op", "-dfilter", f"cr3=0x{directory}"))
    require(types["block"] and all(record["mode"]["cr3"] == directory for record in types["block"]), "cr3=")


def deaths():
    """A guest program that writes to its own code."""
    guest = os.path.join(os.path.dirname(kernel), "..", "tests", "guest", "smc.bin")
    if not os.path.exists(guest):
        raise Skip(f"no {guest}: it is built with nasm")
    path = os.path.join(folder, "trace")
    done = subprocess.run([program, "-m", "32", "-kernel", guest, "-nographic", "-no-reboot", "-monitor", "none", "-device",
                           "isa-debug-exit,iobase=0x501,iosize=4", "--engine", "tier1", "-dformat", "json", "-D", path, "-d",
                           "op,smc,tier,chain,profile"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    require(done.returncode == 33, f"the program ended with {done.returncode}")
    try:
        types = by_type(schema.read(path))
    except schema.Wrong as error:
        raise Failure(str(error)) from error
    dead = {record["id"]: record for record in types["invalidate"]}
    require(len(dead) == len(types["invalidate"]) > 100, "nobody dies, or somebody twice")
    require(any(record["cause"] == "guest store" for record in dead.values()), "no store kills")
    translations = {record["id"]: record for record in types["translation"]}
    for number, record in dead.items():
        if record["cause"] != "guest store":
            continue
        start = int(translations[number]["physical"], 16)
        length = sum(len(insn["bytes"]) // 2 for insn in translations[number]["insns"])
        first, last = int(record["physical"], 16), int(record["physical"], 16) + record["length"] - 1
        second_page = (start + length - 1) >> 12 != start >> 12
        require(second_page or (last | 63) >= start and (first & ~63) < start + length,
                f"#{number} at {start:x} died of a store at {first:x}")
    for record in types["profile"]:
        require(record["live"] == (record["id"] not in dead), f"#{record['id']}: live is wrong")
    require(len(types["profile"]) == len(translations), "not every translation has a profile")
    require(any(record["cause"] == "target died" for record in types["unchain"]), "no link was cut")
    churned = [record for record in types["tier"] if record["why"] == "churn"]
    require(churned and all(record["id"] in dead and record["to"] == "interpreter" for record in churned), "churn")
    # A link is cut only if it was made, and once.
    linked = set()
    for record in sorted(types["chain"] + types["unchain"], key=lambda record: record["t"]):
        link = record["from"], record["slot"], record["to"]
        if record["type"] == "unchain":
            require(link in linked, f"cut, but never made: {record}")
        linked.add(link)


def chaining_stays_on():
    """exec does not make translated code come back to the run loop."""
    def entries(*items):
        path = os.path.join(folder, "stats.json")
        command = ["-stats", path]
        records_of(",".join(items), *command, "--engine", "tier1", "-icount", "shift=9")
        with open(path, encoding="utf-8") as file:
            return int(re.search(r'"native_entries":\s*(?:\{[^}]*"value":\s*)?(\d+)', file.read())[1])

    plain, told = entries("tier"), entries("exec")
    require(told < plain * 1.2 + 100, f"entered from the run loop {plain} times, with exec {told} times")


def monitor():
    """The monitor's `log` and `logfile`: code that is there already tells, too."""
    first, second = os.path.join(folder, "first"), os.path.join(folder, "second")
    with Machine(program, ["-m", "16", "-kernel", kernel, "-dformat", "json"], timeout=120) as machine:
        machine.expect(r"^> ")
        machine.monitor(f"logfile {first}")
        machine.monitor("log exec,profile,smc")
        machine.send("uptime\r")
        machine.expect(r"^> ")
        machine.monitor("log none")
        machine.monitor(f"logfile {second}")
        machine.monitor("log int")
        machine.send("uptime\r")
        machine.expect(r"^> ")
        machine.send("poweroff\r")
        machine.expect_exit(0)
    try:
        told, later = by_type(schema.read(first)), by_type(schema.read(second))
    except schema.Wrong as error:
        raise Failure(str(error)) from error
    require(any("id" in record for record in told["exec"]), "no translation tells of its executions")
    require({record["cause"] for record in told["invalidate"]} <= {"flush"}, "causes")
    require(set(later) == {"header", "int", "end"}, f"the second file has {set(later)}")


def bad_options():
    for options, message in (
        (["-dfilter", "nonsense"], "-dfilter: 'nonsense' is no filter"),
        (["-dformat", "xml"], "-dformat: 'xml' is not valid"),
        (["-dasm", "nasm"], "-dasm: 'nasm' is not valid"),
        (["-d", "nothing"], "-d: unknown log category 'nothing'"),
        (["-d", "int", "-D", "/nonexistent/file"], "cannot open log file '/nonexistent/file'"),
    ):
        done = subprocess.run([program, "-kernel", kernel, "-nographic", *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        require(done.returncode == 1 and message in done.stderr, f"{options}: exit {done.returncode}, {done.stderr!r}")


CASES = [auto, tier1, counted, lockstep, interpreter, parts, text, syntax, filters, deaths, chaining_stays_on, monitor,
         bad_options]
try:
    wanted = sys.argv[3:]
    code = run_cases([(case.__name__, case) for case in CASES if not wanted or case.__name__ in wanted])
finally:
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(code)
