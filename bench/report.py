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

# At most so many times slower than the host, in geometric mean: (bar, aim).
BARS = {"int": (50, 30), "x87": (40, None), "sse": (40, None)}
SUITES = {
    "own": "own guest (`bench/guest/`)",
    "boot": "boot of the default guest to user space",
    "int": "kit, int",
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

    def cells(self):
        """(against native, QEMU against native, against QEMU)"""
        return self.ratio("dragoman", "native"), self.ratio("qemu", "native"), self.ratio("dragoman", "qemu")


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
        "versions": versions,
    }


def suites_of(rows):
    return list(dict.fromkeys(row.suite for row in rows))


def means(rows):
    """(suite, benchmarks, three geometric means) of each suite that has ratios against the host."""
    for suite in suites_of(rows):
        columns = list(zip(*(row.cells() for row in rows if row.suite == suite)))
        columns = [[value for value in column if value is not None] for column in columns]
        if suite != "boot" and columns[0]:
            yield suite, len(columns[0]), [geometric_mean(column) for column in columns]


def table(header, lines):
    widths = [max(len(str(line[i])) for line in [header, *lines]) for i in range(len(header))]
    return "\n".join("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))) for line in [header, *lines])


def seconds_text(row, runner):
    value = row.seconds.get(runner)
    return "-" if value is None else f"{value:.3f}"


def as_text(rows, facts):
    lines = [[f"{row.suite}.{row.name}", *(seconds_text(row, runner) for runner in ("native", "dragoman", "qemu")),
              *map(number, row.cells()), f"{row.spread:.0%}", row.verdict] for row in rows]
    text = [f"{facts['processor']}, {facts['processors']} processors, {facts['host']}, load {facts['load']}; medians of "
            f"{facts['runs']} runs, processor seconds", "",
            table(["benchmark", "native s", "dragoman s", "qemu s", "times native", "qemu's", "times qemu", "spread", "checksum"], lines), ""]
    summary = []
    for suite, length, (dragoman, qemu, relative) in means(rows):
        bar, aim = BARS.get(suite, (None, None))
        judged = "-" if bar is None else ("within" if dragoman <= bar else "OVER") + f" {bar}" + (f" (aim {aim})" if aim else "")
        summary.append([suite, length, number(dragoman), number(qemu), number(relative), judged])
    text.append(table(["geometric means", "of", "times native", "qemu's", "times qemu", "bar"], summary))
    bad = [f"{row.suite}.{row.name}: {row.verdict}" for row in rows if row.verdict in ("DIFFERENT", "missing")]
    text += ["", *bad] if bad else []
    return "\n".join(text)


def write_csv(rows, path):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["suite", "name", "native_s", "dragoman_s", "qemu_s", "times_native", "qemu_times_native", "times_qemu",
                         "count", "spread", "checksum"])
        for row in rows:
            writer.writerow([row.suite, row.name, *(row.seconds.get(runner) for runner in ("native", "dragoman", "qemu")),
                             *row.cells(), row.count, round(row.spread, 4), row.verdict])


def write_json(rows, facts, path):
    result = {
        "circumstances": facts,
        "rows": [dataclasses.asdict(row) for row in rows],
        "geometric_means": {suite: dict(zip(("dragoman", "qemu", "dragoman_against_qemu"), values)) for suite, _, values in means(rows)},
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
            f". Medians of {facts['runs']} runs (kit: one of QEMU, and one of sys).", "", "### Geometric means", ""]
    lines = []
    for suite, length, (dragoman, qemu, relative) in means(rows):
        bar, aim = BARS.get(suite, (None, None))
        lines.append([SUITES.get(suite, suite), length, number(dragoman), number(qemu), number(relative),
                      "" if bar is None else f"at most {bar}" + (f", aim {aim}" if aim else "")])
    text.append(markdown_table(["suite", "benchmarks", "Dragoman / native", "QEMU / native", "Dragoman / QEMU", "bar"], lines))
    for row in rows:
        if row.suite == "boot" and row.name == "cpu" and row.ratio("dragoman", "qemu"):
            text += ["", f"Boot of the default guest to user space: {number(row.ratio('dragoman', 'qemu'))} times the processor seconds of QEMU "
                     f"(which runs its firmware first)."]
    for suite in suites_of(rows):
        if suite == "boot":
            continue
        lines = [[row.name, *map(number, row.cells()), f"{row.spread:.0%}", row.verdict] for row in rows if row.suite == suite]
        text += ["", f"### {SUITES.get(suite, suite)}", "",
                 markdown_table(["benchmark", "Dragoman / native", "QEMU / native", "Dragoman / QEMU", "spread", "checksum"], lines)]
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
