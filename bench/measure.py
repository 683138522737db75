"""Orders the measurements: own guest, boot of Linux, benchmark kit. Called by run.sh.

Runs of the host, of Dragoman and of QEMU take turns, so that a busy minute hits all of them; the figures
are medians of processor seconds. What seems slower than QEMU allows is run again, alone and more often.
Exit status 1: a checksum differs, or a result of Dragoman's is missing."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys

import kit
import machines
import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILT = os.path.join(ROOT, "build", "bench")
PARTS = ("own", "boot", "kit")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Measures Dragoman against native execution and QEMU.")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="LIST", help="what to measure: own,boot,kit (default: all)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each (default 3)")
    parser.add_argument("--scale", type=int, default=100, metavar="PERCENT", help="amount of work in the own guest (default 100)")
    parser.add_argument("--kernels", default="", metavar="LIST",
                        help="kernels or suites (int, fp, simd, code16, system) of the own guest (default: all)")
    parser.add_argument("--kit", default=os.environ.get("DRAGOMAN_BENCH_KIT"), metavar="DIR",
                        help="benchmark kit (default: $DRAGOMAN_BENCH_KIT, or ../shared/bench if it is there)")
    parser.add_argument("--kit-guests", default=os.environ.get("DRAGOMAN_BENCH_GUESTS"), metavar="DIR",
                        help="the kit's built guests (default: $DRAGOMAN_BENCH_GUESTS, or built in the cache folder)")
    parser.add_argument("--suites", default="int,x87,sse,sys", metavar="LIST", help="suites of the kit, or patterns such as int.f*")
    parser.add_argument("--kit-scale", type=int, default=60, metavar="PERCENT", help="amount of work in the kit (default 60)")
    parser.add_argument("--engines", default="auto", metavar="LIST",
                        help="engines of Dragoman: the first is what everything is compared by, further ones get a column "
                             "each (default auto; --engines auto,interp shows the interpreter beside it)")
    parser.add_argument("--emulator", metavar="FILE", help="measure this binary (default: build/dragoman)")
    parser.add_argument("--no-qemu", action="store_true", help="leave QEMU out")
    parser.add_argument("--no-native", action="store_true", help="leave the host out")
    parser.add_argument("--limit", type=int, default=300, metavar="SECONDS", help="patience with one run (default 300)")
    parser.add_argument("--confirm", type=int, metavar="N",
                        help=f"run each kernel below {report.SLOWEST} of QEMU's speed again by itself, N times in turn with QEMU, and "
                             "report that (default 7 with --docs, else 0: do not)")
    parser.add_argument("--csv", metavar="FILE", help="write the rows as comma-separated text")
    parser.add_argument("--json", metavar="FILE", help="write the rows and the circumstances as JSON")
    parser.add_argument("--docs", nargs="?", const=os.path.join(ROOT, "docs", "performance.md"), metavar="FILE",
                        help="put the tables into FILE, between its two marks (default docs/performance.md)")
    return parser.parse_args()


class Collection:
    """Samples of processor seconds: (suite, name) -> runner -> [seconds]; checksums likewise."""

    def __init__(self):
        self.seconds, self.checksums, self.counts = {}, {}, {}

    def add_own(self, runner, outcomes):
        for name, outcome in outcomes.items():
            self.add("own-" + outcome.suite, name, runner, outcome.seconds, outcome.checksum, outcome.count)

    def add(self, suite, name, runner, seconds, checksum=None, count=None):
        self.seconds.setdefault((suite, name), {}).setdefault(runner, []).append(seconds)
        if checksum is not None:
            self.checksums.setdefault((suite, name), {}).setdefault(runner, set()).add(checksum)
        if count is not None:
            self.counts[suite, name] = count

    def verdict(self, key):
        """Whether Dragoman's results are right: `same`, `DIFFERENT`, `missing`, or `-` if there is nothing to compare."""
        sums = self.checksums.get(key, {})
        if "dragoman" not in self.seconds[key]:
            return "missing"
        others = [value for runner, value in sums.items() if runner != "dragoman"]
        if "dragoman" not in sums or not others:
            return "-"
        return "same" if all(value == sums["dragoman"] for value in others) else "DIFFERENT"

    def rows(self):
        for (suite, name), samples in self.seconds.items():
            known = {runner: [second for second in seconds if second is not None] for runner, seconds in samples.items()}
            medians = {runner: statistics.median(seconds) for runner, seconds in known.items() if seconds}
            spread = max(((max(s) - min(s)) / statistics.median(s) for s in known.values() if s and statistics.median(s)), default=0)
            yield report.Row(suite, name, medians, self.counts.get((suite, name)), self.verdict((suite, name)), spread)


def run_own(options, emulators, result, words, native):
    """Each side once."""
    if native:
        result.add_own("native", machines.run_native(BUILT, words))
    for machine in emulators:
        found, complaint = machines.run_own_guest(machine, BUILT, words, options.limit)
        result.add_own(machine.name, found)
        if complaint:
            print(f"bench: {machine.name}, own guest: {complaint}", file=sys.stderr)


def measure_own(options, emulators, result):
    words = " ".join([f"scale={options.scale}", *options.kernels.replace(",", " ").split()])
    for run in range(options.runs):
        report.progress(f"own guest, run {run + 1} of {options.runs}")
        run_own(options, emulators, result, words, not options.no_native)


def measure_boot(options, emulators, result):
    prepared = subprocess.run([f"{ROOT}/scripts/make-default-guest.sh", "686"], stdout=subprocess.PIPE, text=True, check=False)
    if prepared.returncode:
        print("bench: no default guest, so its boot is skipped", file=sys.stderr)
        return
    cache = prepared.stdout.strip()
    for run in range(options.runs):
        report.progress(f"boot of the default guest, run {run + 1} of {options.runs}")
        for machine in emulators:
            command = machine.linux(f"{cache}/vmlinuz-686", f"{cache}/initramfs.gz",
                                    'console=ttyS0 dragoman.run="echo user space"')
            cost = machines.time_to_line(command, "dragoman.run: begin", options.limit)
            if cost:
                result.add("boot", "cpu", machine.name, cost[1])
                result.add("boot", "wall", machine.name, cost[0])
                machine.note_memory("boot", cost[2])
            else:
                print(f"bench: {machine.name} did not reach user space", file=sys.stderr)


def measure_kit(options, emulators, result):
    found = find_kit(options)
    if not found:
        return
    suites = [suite if "." in suite else suite + ".*" for suite in options.suites.split(",")]
    # The sys suite is long and its figures are wide apart: one run of it is enough. So is one of QEMU, which
    # is here to compare with and spends most of the time in x87.
    often = [suite for suite in suites if not suite.startswith("sys.")]
    once = [suite for suite in suites if suite.startswith("sys.")]
    for patterns, runs in ((often, options.runs), (once, 1)):
        for run in range(runs if patterns else 0):
            report.progress(f"benchmark kit, {','.join(patterns)}, run {run + 1} of {runs}")
            for machine in emulators if run == 0 else [machine for machine in emulators if machine.name != "qemu"]:
                run_kit(options, found, machine, patterns, result, machine.name == "dragoman" and not options.no_native)


def find_kit(options):
    return kit.find_kit(options.kit, options.kit_guests, os.path.join(ROOT, "..", "shared", "bench"))


def run_kit(options, found, machine, patterns, result, native):
    for name, cells in kit.run_kit(*found, machine, ",".join(patterns), native, options).items():
        suite, name = name.split(".", 1)
        if cells["native"] is not None:
            result.add(suite, name, "native", cells["native"], "native's" if native else None)
        if cells["emulator"] is not None:
            checksum = "native's" if cells["checksum"] == "same" else cells["checksum"]
            result.add(suite, name, machine.name, cells["emulator"], checksum if native else None)


def confirm(options, emulators, rows):
    """Whatever is slower than QEMU allows, again: {(suite, name): [ratio of each run]}, Dragoman's seconds by QEMU's."""
    both = [machine for machine in emulators if machine.name in ("dragoman", "qemu")]
    slow = [row for row in rows if row.suite != "boot" and row.is_too_slow()]
    again = Collection()
    for run in range(options.confirm if len(both) == 2 else 0):
        if slow:
            report.progress(f"again what was slow ({len(slow)} kernels), run {run + 1} of {options.confirm}")
        own = [row.name for row in slow if row.suite.startswith("own-")]
        theirs = [f"{row.suite}.{row.name}" for row in slow if not row.suite.startswith("own-")]
        if own:
            run_own(options, both, again, " ".join([f"scale={options.scale}", *own]), False)
        if theirs:
            found = find_kit(options)
            for machine in both:
                run_kit(options, found, machine, theirs, again, False)
    return {key: [ours / qemus for ours, qemus in zip(seconds.get("dragoman", []), seconds.get("qemu", [])) if qemus]
            for key, seconds in again.seconds.items()}


def main():
    options = parse_arguments()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"bench: unknown part {', '.join(sorted(unknown))}: own, boot or kit")
    if options.runs < 1 or options.scale < 1 or options.kit_scale < 1:
        sys.exit("bench: --runs, --scale and --kit-scale are at least 1")
    if options.confirm is None:
        options.confirm = 7 if options.docs else 0
    emulator = os.path.abspath(options.emulator or os.path.join(ROOT, "build", "dragoman"))
    if not os.access(emulator, os.X_OK):
        sys.exit(f"bench: {emulator} is not a program")
    engines = options.engines.split(",")
    if set(engines) - {"interp", "tier1", "auto"} or len(set(engines)) < len(engines):
        sys.exit(f"bench: --engines {options.engines}: engines are interp, tier1 and auto, each once")
    emulators = [machines.Machine("dragoman" if i == 0 else engine, [emulator, "--engine", engine])
                 for i, engine in enumerate(engines)]
    if not options.no_qemu and shutil.which("qemu-system-i386"):
        emulators.append(machines.Machine("qemu", ["qemu-system-i386", "-accel", "tcg"]))
    elif not options.no_qemu:
        print("bench: no qemu-system-i386 (Debian package qemu-system-x86): measured without it", file=sys.stderr)

    result, confirmed = Collection(), {}
    try:
        for part in parts:
            {"own": measure_own, "boot": measure_boot, "kit": measure_kit}[part](options, emulators, result)
        confirmed = confirm(options, emulators, list(result.rows()))
    except KeyboardInterrupt:
        print("bench: interrupted; this is what there is", file=sys.stderr)
    rows = list(result.rows())
    circumstances = report.circumstances(emulators, options)
    circumstances["again"] = [{"suite": suite, "name": name, "ratios": ratios} for (suite, name), ratios in confirmed.items()]
    print(report.as_text(rows, circumstances))
    if options.csv:
        report.write_csv(rows, circumstances, options.csv)
    if options.json:
        report.write_json(rows, circumstances, options.json)
    if options.docs:
        report.update_document(rows, circumstances, options.docs)
    return 1 if any(row.verdict in ("DIFFERENT", "missing") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
