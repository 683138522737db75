"""What the figures look like: rows, geometric means, and their forms as text, CSV, JSON and Markdown."""

import csv
import dataclasses
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys

# A kernel below this share of QEMU's speed is too slow.
SLOWEST = 0.9
# Most bytes of host memory beyond QEMU's.
MEMORY_ALLOWANCE = 16 << 20
SUITES = {
    "own-int": "own guest, int",
    "own-fp": "own guest, fp",
    "own-simd": "own guest, simd (packed SSE2)",
    "own-code16": "own guest, code16 (16-bit code in real, virtual-8086 and protected mode)",
    "own-system": "own guest, system",
    "boot": "boot of the default guest to user space",
    "int": "kit, int",
    "int*": "kit, int without rep\\*, mem\\*",
    "x87": "kit, x87",
    "sse": "kit, sse",
    "sys": "kit, sys",
    "sys*": "kit, sys: smc\\*, jit\\*",
}


@dataclasses.dataclass
class Bar:
    """What is wanted of a suite (or of some kernels in it), in geometric mean unless `each`."""

    suite: str
    qemu: float | None = None  # times QEMU's speed, at least
    native: float | None = None  # times slower than the host, at most
    each: float | None = None  # no kernel more times slower than the host ...
    apart: tuple = ()  # ... but these
    kernels: tuple = ()  # each of these by itself against QEMU


# For the translator.
BARS = [
    Bar("int", qemu=2.5, each=8, apart=("chase64m", "pagestride")),
    Bar("int*", qemu=1.8),
    Bar("x87", qemu=20, native=3.3),
    Bar("sse", qemu=9, native=3),
    Bar("own-simd", qemu=15, native=3),
    Bar("sys", qemu=1.5),
    Bar("sys*", qemu=5),
    Bar("sys", qemu=1.2, kernels=("files", "pipe", "fork")),
    Bar("own-code16", qemu=1.5),
]
BOOT_BAR = 0.7  # of QEMU's processor seconds
# For the interpreter: at most so many times slower than the host, in geometric mean.
INTERPRETER_BARS = {"int": 50, "x87": 40, "sse": 40}
BEGIN, END = "<!-- measured: begin (bench/run.sh --docs) -->", "<!-- measured: end -->"


@dataclasses.dataclass
class Row:
    suite: str
    name: str
    seconds: dict  # runner -> median
    count: int | None
    verdict: str
    spread: float  # widest (max - min) / median of any runner

    def ratio(self, runner, against):
        over, under = self.seconds.get(runner), self.seconds.get(against)
        return over / under if over is not None and under and under > 0.002 else None

    def is_too_slow(self):
        ratio = self.ratio("dragoman", "qemu")
        return ratio is not None and ratio > 1 / SLOWEST

    def cells(self, engines=("auto",)):
        """(against native, QEMU against native, against QEMU, each further engine against native ...)"""
        return (self.ratio("dragoman", "native"), self.ratio("qemu", "native"), self.ratio("dragoman", "qemu"),
                *(self.ratio(engine, "native") for engine in engines[1:]))


def progress(text):
    print(f"bench: {text}", file=sys.stderr)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def circumstances(emulators, options):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        info = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, value in info.items()}
    model = info.get("model name", platform.machine())
    if "model" in info:
        model += f" (family {info.get('cpu family')}, model {info['model']}, {info.get('cache size', '?')} cache)"
    versions = {}
    for machine in emulators:
        output = subprocess.run([*machine.command, "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout
        versions[machine.name] = output.splitlines()[0].strip() if output else "?"
    return {
        "date": datetime.date.today().isoformat(),
        "processor": model,
        "processors": os.cpu_count(),
        "host": f"Linux {platform.release()}" + (", itself a virtual machine" if "hypervisor" in info.get("flags", "") else ""),
        "load": round(os.getloadavg()[2], 1),
        "runs": options.runs,
        "engines": options.engines.split(","),
        "versions": versions,
        "memory": {machine.name: machine.memory for machine in emulators},
    }


def suites_of(rows):
    return list(dict.fromkeys(row.suite for row in rows))


def members(rows, suite):
    """`int*`: int without the kernels whose time is REP and memory; `sys*`: the ones that write code."""
    name = suite.rstrip("*")
    chosen = [row for row in rows if row.suite == name]
    if suite == "int*":
        return [row for row in chosen if not row.name.startswith(("rep", "mem"))]
    if suite == "sys*":
        return [row for row in chosen if row.name.startswith(("smc", "jit"))]
    return chosen


def means(rows, engines):
    """(suite, benchmarks, geometric means of the cells) of each suite that has ratios against the host."""
    for suite in suites_of(rows):
        for part in (suite, suite + "*") if suite in ("int", "sys") else (suite,):
            columns = list(zip(*(row.cells(engines) for row in members(rows, part))))
            columns = [[value for value in column if value is not None] for column in columns]
            if suite != "boot" and columns and any(columns):
                yield part, max(map(len, columns)), [geometric_mean(column) for column in columns]


def mean_of(rows, suite, runner, against):
    ratios = [row.ratio(runner, against) for row in members(rows, suite)]
    return geometric_mean([ratio for ratio in ratios if ratio is not None])


def judged_bars(rows, facts):
    """[what is measured, bar, figure, whether it is reached] of each bar whose figures are there."""
    result = []

    def judge(what, bar, figure, good, suffix=""):
        result.append((what, bar, number(figure) + suffix, good))

    def judge_each(bar, ratios):
        most = f"at most {bar.each} x native"
        for ratio, name in ratios:
            if ratio > bar.each:
                judge(f"{SUITES[bar.suite]}: {name}", most, ratio, False)
        if ratios and max(ratios)[0] <= bar.each:
            judge(f"{SUITES[bar.suite]}: each but {', '.join(bar.apart)}", most, max(ratios)[0], True, f" ({max(ratios)[1]})")

    if facts["engines"][0] == "interp":
        for suite, most in INTERPRETER_BARS.items():
            mean = mean_of(rows, suite, "dragoman", "native")
            if mean is not None:
                judge(SUITES[suite], f"at most {most} x native", mean, mean <= most)
        return result
    for bar in BARS:
        mean = mean_of(rows, bar.suite, "qemu", "dragoman")
        if bar.qemu and not bar.kernels and mean is not None:
            judge(SUITES[bar.suite], f"at least {bar.qemu} x QEMU's speed", mean, mean >= bar.qemu)
        mean = mean_of(rows, bar.suite, "dragoman", "native")
        if bar.native and mean is not None:
            judge(SUITES[bar.suite], f"at most {bar.native} x native", mean, mean <= bar.native)
        if bar.each:
            judge_each(bar, [(row.ratio("dragoman", "native"), row.name) for row in members(rows, bar.suite)
                             if row.name not in bar.apart and row.ratio("dragoman", "native") is not None])
        for row in members(rows, bar.suite):
            ratio = row.ratio("qemu", "dragoman")
            if row.name in bar.kernels and ratio is not None:
                judge(f"{SUITES[bar.suite]}: {row.name}", f"at least {bar.qemu} x QEMU's speed", ratio, ratio >= bar.qemu)
    for row in rows:
        if row.suite == "boot" and row.name == "cpu" and (ratio := row.ratio("dragoman", "qemu")):
            judge(SUITES["boot"], f"at most {BOOT_BAR} of QEMU's processor seconds", ratio, ratio <= BOOT_BAR)
    for part, what in (("boot", "peak host memory, boot"), ("kit", "peak host memory, kit")):
        ours, qemus = (facts["memory"].get(name, {}).get(part) for name in ("dragoman", "qemu"))
        if ours and qemus:
            judge(what, f"at most QEMU's + {MEMORY_ALLOWANCE >> 20} MiB", ours / 2**20, ours <= qemus + MEMORY_ALLOWANCE,
                  f" MiB (QEMU {number(qemus / 2**20)})")
    again = {(entry["suite"], entry["name"]): entry["ratios"] for entry in facts.get("again", [])}
    slow = [row for row in rows if row.suite != "boot" and row.is_too_slow()]
    bar = f"at least {SLOWEST} x QEMU's speed"
    for row in slow:
        ratios = again.get((row.suite, row.name))
        figure = 1 / statistics.median(ratios) if ratios else 1 / row.ratio("dragoman", "qemu")
        judge(f"{SUITES.get(row.suite, row.suite)}: {row.name}", bar, figure, figure >= SLOWEST,
              f" (median of {len(ratios)} further runs)" if ratios else " (not confirmed)")
    if not slow and any(row.ratio("dragoman", "qemu") for row in rows if row.suite != "boot"):
        ratio, name = max((row.ratio("dragoman", "qemu"), f"{row.suite}.{row.name}") for row in rows
                          if row.suite != "boot" and row.ratio("dragoman", "qemu"))
        judge("every kernel", bar, 1 / ratio, True, f" ({name})")
    return result


def table(header, lines):
    widths = [max(len(str(line[i])) for line in [header, *lines]) for i in range(len(header))]
    return "\n".join("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))) for line in [header, *lines])


def seconds_text(row, runner):
    value = row.seconds.get(runner)
    return "-" if value is None else f"{value:.3f}"


def as_text(rows, facts):
    engines = facts["engines"]
    further = [f"{engine}'s" for engine in engines[1:]]
    lines = [[f"{row.suite}.{row.name}", *(seconds_text(row, runner) for runner in ("native", "dragoman", "qemu")),
              *map(number, row.cells(engines)), f"{row.spread:.0%}", row.verdict] for row in rows]
    text = [f"{facts['processor']}, {facts['processors']} processors, {facts['host']}, load {facts['load']}; engine "
            f"{engines[0]}; medians of {facts['runs']} runs, processor seconds", "",
            table(["benchmark", "native s", "dragoman s", "qemu s", "times native", "qemu's", "times qemu", *further, "spread", "checksum"], lines), ""]
    summary = [[suite, length, *map(number, values)] for suite, length, values in means(rows, engines)]
    text.append(table(["geometric means", "of", "times native", "qemu's", "times qemu", *further], summary))
    bars = [[re.sub(r"[`\\\\]", "", what), bar, figure, "yes" if good else "NO"] for what, bar, figure, good in judged_bars(rows, facts)]
    if bars:
        text += ["", table(["bars", "wanted", "measured", "met"], bars)]
    for name, parts in facts["memory"].items():
        text += ["", f"peak host memory, {name}: " + ", ".join(f"{part} {size / 2**20:.0f} MiB" for part, size in parts.items())]
    bad = [f"{row.suite}.{row.name}: {row.verdict}" for row in rows if row.verdict in ("DIFFERENT", "missing")]
    text += ["", *bad] if bad else []
    return "\n".join(text)


def write_csv(rows, facts, path):
    engines = facts["engines"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["suite", "name", "native_s", "dragoman_s", "qemu_s", "times_native", "qemu_times_native", "times_qemu",
                         *(f"{engine}_times_native" for engine in engines[1:]), "count", "spread", "checksum"])
        for row in rows:
            writer.writerow([row.suite, row.name, *(row.seconds.get(runner) for runner in ("native", "dragoman", "qemu")),
                             *row.cells(engines), row.count, round(row.spread, 4), row.verdict])


def write_json(rows, facts, path):
    result = {
        "circumstances": facts,
        "rows": [dataclasses.asdict(row) for row in rows],
        "bars": [dict(zip(("what", "wanted", "measured", "met"), bar)) for bar in judged_bars(rows, facts)],
        "geometric_means": {suite: dict(zip(("dragoman", "qemu", "dragoman_against_qemu", *facts["engines"][1:]), values))
                            for suite, _, values in means(rows, facts["engines"])},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


def markdown_table(header, lines, words=1):
    """The first WORDS columns are text, the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [header, rule, *lines])


def as_markdown(rows, facts):
    text = [f"Measured {facts['date']} on {facts['processor']}, {facts['processors']} processors, {facts['host']}; load average "
            f"{facts['load']}. " + "; ".join(f"{name}: {version}" for name, version in facts["versions"].items()) +
            f". Engine {facts['engines'][0]}. Medians of {facts['runs']} runs (kit: one of QEMU, and one of sys). QEMU runs its firmware before it boots.", "",
            "### Geometric means", ""]
    engines = facts["engines"]
    further = [f"{engine} / native" for engine in engines[1:]]
    lines = [[SUITES.get(suite, suite), length, *map(number, values)] for suite, length, values in means(rows, engines)]
    text.append(markdown_table(["suite", "benchmarks", "Dragoman / native", "QEMU / native", "Dragoman / QEMU", *further], lines))
    text += ["", "### What is wanted, and what is so", "", markdown_table(["what", "wanted", "measured", "met"],
                                               [[what, bar, figure, "yes" if good else "**no**"]
                                                for what, bar, figure, good in judged_bars(rows, facts)], words=4)]
    for suite in suites_of(rows):
        if suite == "boot":
            continue
        lines = [[row.name, *map(number, row.cells(engines)), f"{row.spread:.0%}", row.verdict] for row in rows if row.suite == suite]
        text += ["", f"### {SUITES.get(suite, suite)}", "",
                 markdown_table(["benchmark", "Dragoman / native", "QEMU / native", "Dragoman / QEMU", *further, "spread", "checksum"], lines)]
    return "\n".join(text)


def update_document(rows, facts, path):
    with open(path, encoding="utf-8") as file:
        document = file.read()
    if BEGIN not in document or END not in document:
        sys.exit(f"bench: {path} has no lines `{BEGIN}` and `{END}`")
    before, rest = document.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{as_markdown(rows, facts)}\n{END}{after}")
