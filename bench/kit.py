"""Runs an external benchmark kit, a folder with two commands:

    make-guest.sh -o OUT -d CACHE i386       builds the guest: kernel, initramfs, root folder for native runs
    run.sh -g OUT -b PATTERNS -n RUNS -s PERCENT -t SECONDS -o FILE -l LABEL [--no-native] -- EMULATOR...
                                             appends rows to FILE, separated by tabs: label, arch, name, native s,
                                             emulator s, ratio, guest s, ns per n, checksum, native cpu s, emulator cpu s
"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile


def build_guest(kit, out):
    """Builds the kit's i386 guest in `out`; False if that fails. A kit may be read-only: a copy does the building."""
    print(f"Building the guest of {kit} in {out}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as work:
        copy = os.path.join(work, "kit")
        shutil.copytree(kit, copy)
        subprocess.run(["chmod", "-R", "u+w", copy], check=True)
        log = subprocess.run([f"{copy}/make-guest.sh", "-o", out, "-d", f"{out}/debs", "i386"], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        if log.returncode or not os.path.exists(f"{out}/initrd-i386.gz"):
            print(log.stdout[-2000:], file=sys.stderr)
            return False
    return True


def find_kit(kit, guests, default):
    """(kit, guests), ready to run, or None; says why."""
    kit = kit or default
    if not os.path.exists(f"{kit}/run.sh"):
        print(f"bench: no benchmark kit at {kit} (--kit DIR): its suites are skipped", file=sys.stderr)
        return None
    if not guests:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        guests = f"{kit}/out" if os.path.exists(f"{kit}/out/initrd-i386.gz") else f"{cache}/dragoman/bench-kit"
    if not os.path.exists(f"{guests}/initrd-i386.gz") and not build_guest(kit, guests):
        print(f"bench: the kit's guest could not be built in {guests} (--kit-guests DIR): its suites are skipped", file=sys.stderr)
        return None
    if os.geteuid() != 0:
        print("bench: the kit's native runs need root (chroot): its suites are skipped", file=sys.stderr)
        return None
    return kit, guests


def run_kit(kit, guests, machine, patterns, native, options):
    """One run: {name: {"native": s, "emulator": s, "checksum": text}} in processor seconds. Notes the machine's memory."""
    found = {}
    with tempfile.NamedTemporaryFile("r", suffix=".tsv") as rows:
        arguments = [f"{kit}/run.sh", "-g", guests, "-a", "i386", "-b", patterns, "-n", "1", "-t", str(options.limit),
                     "-s", str(options.kit_scale), "-o", rows.name]
        if not native:
            arguments.append("--no-native")
        process = subprocess.Popen([*arguments, "--", *machine.command], stdout=subprocess.DEVNULL)
        # Of all that the kit waited for: its emulator is by far the largest.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        machine.note_memory("kit", usage.ru_maxrss * 1024)
        for row in csv.reader(rows, delimiter="\t"):
            seconds = [None if cell in ("-", "") else float(cell) for cell in row[9:11]]
            found[row[2]] = {"native": seconds[0], "emulator": seconds[1], "checksum": row[8] or "missing"}
    return found
