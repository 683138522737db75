"""What the figures look like: rows, geometric means, and their forms as text, CSV, JSON and Markdown."""

import csv
import dataclasses
import datetime
import json
import math
import os
import platform
import subprocess
import sys

# At most so many times slower than the host, in geometric mean: (bar, aim). For the interpreter alone.
BARS = {"int": (50, 30), "x87": (40, None), "sse": (40, None)}
# The share of QEMU's processor seconds that a translating engine may take, in geometric mean.
QEMU_BARS = {"int*": 0.67}
SUITES = {
    "own": "own guest (`bench/guest/`)",
    "boot": "boot of the default guest to user space",
    "int": "kit, int",
    "int*": "kit, int without rep\\*, mem\\*",
    "x87": "kit, x87",
    "sse": "kit, sse",
    "sys": "kit, sys",
}
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
    }


def suites_of(rows):
    return list(dict.fromkeys(row.suite for row in rows))


def members(rows, suite):
    """`int*`: int without the kernels whose time is REP and memory."""
    name = suite.rstrip("*")
    return [row for row in rows if row.suite == name and (suite == name or not row.name.startswith(("rep", "mem")))]


def means(rows, engines):
    """(suite, benchmarks, geometric means of the cells) of each suite that has ratios against the host."""
    for suite in suites_of(rows):
        for part in (suite, "int*") if suite == "int" else (suite,):
            columns = list(zip(*(row.cells(engines) for row in members(rows, part))))
            columns = [[value for value in column if value is not None] for column in columns]
            if suite != "boot" and columns and columns[0]:
                yield part, len(columns[0]), [geometric_mean(column) for column in columns]


def bar_of(suite, means_of_suite, engine):
    """(text, whether it is kept) or None."""
    if engine == "interp":
        if suite not in BARS:
            return None
        bar, aim = BARS[suite]
        return f"at most {bar}" + (f", aim {aim}" if aim else ""), means_of_suite[0] <= bar
    if suite not in QEMU_BARS or means_of_suite[2] is None:
        return None
    return f"at most {QEMU_BARS[suite]} of QEMU", means_of_suite[2] <= QEMU_BARS[suite]


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
    summary = []
    for suite, length, values in means(rows, engines):
        bar = bar_of(suite, values, engines[0])
        judged = "-" if bar is None else f"{bar[0]}: {'kept' if bar[1] else 'MISSED'}"
        summary.append([suite, length, *map(number, values), judged])
    text.append(table(["geometric means", "of", "times native", "qemu's", "times qemu", *further, "bar"], summary))
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
        "geometric_means": {suite: dict(zip(("dragoman", "qemu", "dragoman_against_qemu", *facts["engines"][1:]), values))
                            for suite, _, values in means(rows, facts["engines"])},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


def markdown_table(header, lines):
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [header, rule, *lines])


def as_markdown(rows, facts):
    text = [f"Measured {facts['date']} on {facts['processor']}, {facts['processors']} processors, {facts['host']}; load average "
            f"{facts['load']}. " + "; ".join(f"{name}: {version}" for name, version in facts["versions"].items()) +
            f". Engine {facts['engines'][0]}. Medians of {facts['runs']} runs (kit: one of QEMU, and one of sys).", "", "### Geometric means", ""]
    engines = facts["engines"]
    further = [f"{engine} / native" for engine in engines[1:]]
    lines = []
    for suite, length, values in means(rows, engines):
        bar = bar_of(suite, values, engines[0])
        lines.append([SUITES.get(suite, suite), length, *map(number, values), bar[0] if bar else ""])
    text.append(markdown_table(["suite", "benchmarks", "Dragoman / native", "QEMU / native", "Dragoman / QEMU", *further, "bar"],
                               lines))
    for row in rows:
        if row.suite == "boot" and row.name == "cpu" and row.ratio("dragoman", "qemu"):
            text += ["", f"Boot of the default guest to user space: {number(row.ratio('dragoman', 'qemu'))} times the processor seconds of QEMU "
                     f"(which runs its firmware first)."]
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
