#!/usr/bin/env python3
"""Stock gdb in every mode of the processor, on a ROM of its own (gdb_modes.asm), with each engine.

test_gdb_modes.py DRAGOMAN [CASE...]"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from gdb_session import Gdb, find_gdb
from machine import Failure, Machine, Skip, run_cases

program = sys.argv[1]
ENGINES = ("interp", "tier1", "auto")
ROM, COUNTER, TICKS, FILLED, FAULTS, RAM_CODE, LATE = 0xF0000, 0x500, 0x504, 0x600, 0x508, 0x20000, 0x300000
folder = tempfile.mkdtemp(prefix="dragoman-gdb-")
rom = os.path.join(folder, "rom")
at = {}  # offsets of the ROM's labels


def assemble():
    if at:
        return
    find_gdb()
    nasm = shutil.which("nasm")
    if not nasm:
        raise Skip("no nasm on this host")
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.join(here, "gdb_modes.asm")
    symbols = os.path.join(folder, "map")
    subprocess.run([nasm, "-f", "bin", f"-DMAP={symbols}", f"-I{here}/", source, "-o", rom], check=True, cwd=folder)
    with open(symbols, encoding="ascii") as file:
        for line in file:
            found = re.match(r"\s+([0-9A-F]+)\s+([0-9A-F]+)\s+(\S+)$", line)
            if found:
                at[found[3]] = int(found[1], 16)
    with open(source := os.path.join(folder, "calls.asm"), "w", encoding="ascii") as file:
        file.write('bits 32\nglobal caller:function (caller_end - caller), callee:function (callee_end - callee)\n')
        file.write('%include "gdb_calls.inc"\ncaller_end equ callee\n')
    subprocess.run([nasm, "-f", "elf32", f"-I{here}/", source, "-o", os.path.join(folder, "calls.o")], check=True)


def linear(name):
    return ROM + at[name]


def copied(name, base):
    """NAME is among what is copied to RAM."""
    return base + at[name] - at["ram_begin"]


def start(engine, *options):
    assemble()
    machine = Machine(
        program,
        ["-bios", rom, "-m", "16", "-vga", "none", "-S", "--engine", engine]
        + ["-device", "isa-debug-exit,iobase=0x501,iosize=4", *options],
        timeout=120,
    )
    machine.command += ["-gdb", f"unix:{machine.folder}/gdb,server=on,wait=off"]
    return machine


def attach(machine):
    path = os.path.join(machine.folder, "gdb")
    while not os.path.exists(path):
        if machine.process.poll() is not None or time.monotonic() > machine.deadline:
            raise Failure("the program does not serve gdb")
        time.sleep(0.02)
    return Gdb(path)


def finish(machine, gdb):
    """Without breakpoints the guest comes to its end, and finds that nothing is amiss."""
    gdb.do("delete")
    gdb.do("continue")
    machine.expect_exit(1 << 1 | 1)


def run_to(gdb, address):
    """With a breakpoint that is taken away again. gdb's own temporary ones compare EIP, not linear addresses."""
    number = re.search(r"reakpoint (\d+)", gdb.do(f"break *{address:#x}"))[1]
    gdb.do("continue")
    gdb.do(f"delete {number}")
    gdb.check("$lip", address)


def step_to(gdb, address):
    gdb.do("stepi")
    gdb.check("$lip", address)


def real_mode(engine):
    with start(engine) as machine, attach(machine) as gdb:
        gdb.check("$lip", 0xFFFFFFF0)
        gdb.expect("set architecture i8086", 'set to "i8086"')
        gdb.expect("x/i $lip", r"ljmp +\$0xf000,\$0x0")
        step_to(gdb, linear("start"))
        gdb.check("$cs", 0xF000)
        gdb.do(f"break *{linear('real_in_loop'):#x}")
        for count in (1, 2, 3):
            gdb.do("continue")
            gdb.check("$lip", linear("real_in_loop"))
            gdb.check("$eip", at["real_in_loop"])
            gdb.check(f"*(int *){COUNTER}", count)
        gdb.expect("x/i $cs*16+$eip", r"add +\$0x3,%bx")
        gdb.do("delete")
        gdb.do(f"hbreak *{linear('real_call'):#x}")
        gdb.do("continue")
        gdb.check("$lip", linear("real_call"))
        gdb.check("$ecx & 0xffff", 0)
        step_to(gdb, linear("real_sub"))
        gdb.check("*(unsigned short *)($ss_base + $esp)", at["real_after_call"])
        step_to(gdb, linear("real_in_sub"))
        step_to(gdb, linear("real_after_call"))
        finish(machine, gdb)


def repetitions(engine):
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"break *{linear('real_rep'):#x}")
        gdb.do(f"break *{linear('real_after_rep'):#x}")
        gdb.do("continue")
        gdb.check("$lip", linear("real_rep"))
        step_to(gdb, linear("real_rep"))  # one iteration
        gdb.check("$ecx & 0xffff", 19)
        gdb.check("$edi & 0xffff", FILLED + 1)
        gdb.do("continue")  # the breakpoint on the instruction was met already
        gdb.check("$lip", linear("real_after_rep"))
        gdb.check("$ecx & 0xffff", 0)
        gdb.expect(f"x/21xb {FILLED}", r"(0x5a\s[^x]*){20}.*0x00|0x5a")
        finish(machine, gdb)
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"break *{linear('real_rep'):#x}")
        gdb.do(f"break *{linear('real_after_rep'):#x}")
        gdb.do("continue")
        gdb.do("continue")
        gdb.check("$lip", linear("real_after_rep"))
        finish(machine, gdb)


def shadows_and_interrupts(engine):
    with start(engine) as machine, attach(machine) as gdb:
        run_to(gdb, linear("real_pop_ss"))
        gdb.do("stepi")
        gdb.check("$lip", linear("real_pop_ss") + 1)
        step_to(gdb, linear("real_after_pop_ss"))
        step_to(gdb, linear("real_int"))
        step_to(gdb, linear("real_handler"))
        gdb.do("stepi")
        gdb.check("$lip", linear("real_in_handler"))
        step_to(gdb, linear("real_after_int"))  # IRET
        finish(machine, gdb)


def mode_switches(engine):
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"break *{linear('pm16'):#x}")
        gdb.do("continue")
        gdb.check("$cs", 8)
        gdb.check("$eip", at["pm16"])
        gdb.check("$cr0 & 1", 1)
        gdb.do(f"break *{linear('pm16_loop'):#x}")
        gdb.do("continue")
        gdb.check("$lip", linear("pm16_loop"))
        gdb.check("$cs_base", ROM)
        gdb.do("continue")
        gdb.check("$ecx", 39)
        gdb.do("delete")
        gdb.do(f"break *{linear('pm32_in_loop'):#x} if $cx == 20")
        gdb.expect("continue", "Breakpoint")
        gdb.check("$eip", linear("pm32_in_loop"))
        gdb.check("$ecx & 0xffff", 20)
        gdb.do("delete")
        run_to(gdb, linear("pm32_call"))
        step_to(gdb, linear("caller"))
        run_to(gdb, linear("pm32_after_call"))
        gdb.check(f"*(int *){COUNTER}", 40 + 2 + 40 + 40 + 1)
        run_to(gdb, linear("again_loop"))
        gdb.check("$cr0 & 1", 0)
        gdb.do("set architecture i8086")
        gdb.expect("x/2i $lip", r"loop +0x")
        gdb.do("set architecture i386")
        gdb.expect("info registers", r"lip +0x")
        finish(machine, gdb)


def calls(engine):
    """Over a call, and out of a function."""
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"add-symbol-file {folder}/calls.o -s .text {linear('caller'):#x}")
        run_to(gdb, linear("caller_call"))
        gdb.do("nexti")
        gdb.check("$eip", linear("caller_after"))
        finish(machine, gdb)
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"add-symbol-file {folder}/calls.o -s .text {linear('caller'):#x}")
        run_to(gdb, linear("callee_inside"))
        gdb.expect("backtrace", r"#0 .* in callee .*\n#1 .* in caller ")
        gdb.do("finish")
        gdb.check("$eip", linear("caller_after"))
        finish(machine, gdb)


def registers(engine):
    with start(engine) as machine, attach(machine) as gdb:
        run_to(gdb, linear("real_call"))
        gdb.do("set $es = 0x1234")
        gdb.check("$es_base", 0x12340)
        run_to(gdb, linear("pm32_loop"))
        before = gdb.value("$eflags")
        gdb.do("set $eflags = $eflags ^ 0x41")
        gdb.check("$eflags", before ^ 0x41)
        gdb.do("set $ebx = 0xdeadbeef")
        gdb.check("$bl & 0xff", 0xEF)
        gdb.do("set $cx = 1")  # the last round; the counter must be right in the end
        gdb.do(f"set *(int *){COUNTER} = *(int *){COUNTER} + 39")
        gdb.do("set $fs = 0x10")
        gdb.check("$fs", 0x10)
        gdb.expect("set $gs = 0xfff0", "Could not write register")
        gdb.expect("set $cr0 = 0", "Could not write register")
        gdb.do("set $cs = 0x20")
        gdb.check("$cs", 0x20)
        gdb.do("set $cs = 0x10")  # data
        gdb.do("maintenance flush register-cache")
        gdb.check("$cs", 0x20)
        run_to(gdb, linear("fpu_here"))
        gdb.check("$cs", 0x20)
        gdb.expect("print $st0", r"= 3\.14159265358979")
        gdb.expect("print $st1", r"= 1\n?")
        gdb.expect("print $xmm1.v4_int32", r"\{1, 2, 3, 4\}")
        gdb.do("set $st0 = 2.5")
        gdb.do("set $xmm1.v4_int32[2] = 77")
        gdb.do("set $mxcsr = 0x1f81")
        gdb.do("maintenance flush register-cache")
        gdb.expect("print $st0", r"= 2\.5")
        gdb.expect("print $xmm1.v4_int32", r"\{1, 2, 77, 4\}")
        gdb.expect("print $mxcsr", r"IE")
        step_to(gdb, linear("fpu_here") + 2)
        gdb.expect("print $st0", r"= 1\n?")
        gdb.expect("print $xmm1.v4_int32[2]", "= 77")
        gdb.do(f"set $eip = {linear('pm32_after_int'):#x}")
        gdb.check("$lip", linear("pm32_after_int"))
        finish(machine, gdb)


def paging(engine):
    late, second = copied("late", LATE), copied("late_second", LATE)
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"break *{late:#x}")  # neither is mapped
        gdb.do(f"break *{second:#x}")
        gdb.do(f"break *{linear('paged'):#x}")
        gdb.do("continue")
        gdb.check("$eip", linear("paged"))
        gdb.expect(f"x/i {late}", "Cannot access memory")
        gdb.do("continue")
        gdb.check("$eip", late)
        gdb.check(f"*(int *){FAULTS}", 0)
        gdb.do("continue")  # the fault, the handler, and the same instruction again
        gdb.check("$eip", second)
        gdb.check(f"*(int *){FAULTS}", 1)
        gdb.do("continue")
        gdb.check("$eip", late)
        gdb.check("*(unsigned *)$esp", linear("paged_after"))
        # What is at LATE is at RAM_CODE, physically.
        code = gdb.value(f"*(unsigned *){late:#x}")
        gdb.check(f"*(unsigned *){RAM_CODE:#x}", code)
        gdb.do("monitor gdb physical on")
        gdb.expect("monitor gdb", r"physical address \(on\)")
        gdb.check(f"*(unsigned *){late:#x}", 0)
        gdb.do(f"set *(unsigned *){late:#x} = 0x12345678")
        gdb.do("monitor gdb physical off")
        gdb.check(f"*(unsigned *){late:#x}", code)
        gdb.expect("maintenance packet Qqemu.PhyMemMode:1", 'received: "OK"')
        gdb.expect("maintenance packet qqemu.PhyMemMode", 'received: "1"')
        gdb.check(f"*(unsigned *){late:#x}", 0x12345678)
        gdb.do("maintenance packet Qqemu.PhyMemMode:0")
        finish(machine, gdb)


def changing_code(engine):
    with start(engine) as machine, attach(machine) as gdb:
        gdb.do(f"break *{copied('modified', RAM_CODE):#x}")
        gdb.do(f"break *{copied('modified_add', RAM_CODE):#x}")
        for number in range(40, 30, -1):
            gdb.do("continue")
            gdb.check("$eip", copied("modified", RAM_CODE))
            gdb.expect("x/i $eip", rf"mov +\$0x{number:x},%al")
            gdb.do("continue")
            gdb.check("$eip", copied("modified_add", RAM_CODE))
            gdb.check("$al", number)
        gdb.do("delete 1")
        gdb.do("continue")
        gdb.check("$al", 30)
        finish(machine, gdb)


def protected_interrupts(engine):
    with start(engine) as machine, attach(machine) as gdb:
        run_to(gdb, linear("pm32_int"))
        step_to(gdb, linear("pm32_handler"))
        gdb.do("stepi")
        step_to(gdb, linear("pm32_after_int"))  # IRET
        # HLT: the step behind it waits for the interrupt that ends it.
        run_to(gdb, linear("pm32_sti"))
        gdb.do("stepi")
        gdb.do(f"break *{linear('tick_end'):#x}")
        while gdb.value("$eip") != linear("pm32_hlt"):  # a tick may come first
            gdb.do("continue")
            gdb.do("stepi")
        gdb.do("delete")
        gdb.do("stepi")
        gdb.check("$eip", linear("pm32_after_hlt"))
        step_to(gdb, linear("tick"))
        run_to(gdb, linear("tick_end"))
        step_to(gdb, linear("pm32_after_hlt"))
        finish(machine, gdb)


def steps_and_interrupts(engine):
    """Single steps take no interrupt, unless they are told to."""
    with start(engine, "-icount", "shift=10") as machine, attach(machine) as gdb:
        gdb.expect("maintenance packet qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4")
        gdb.expect("maintenance packet qqemu.sstep", '"0x7"')
        run_to(gdb, linear("tick_end"))
        gdb.do(f"set *(int *){TICKS} = -1000000000")  # never done
        gdb.do("stepi")
        gdb.check("$eip", linear("pm32_after_hlt"))
        # In the loop interrupts come while it is halted: let it spin instead.
        gdb.do(f"set *(unsigned char *){linear('pm32_hlt'):#x} = 0x90")
        gdb.do(f"break *{linear('tick'):#x}")
        gdb.do("continue")
        gdb.do("delete")
        run_to(gdb, linear("tick_end"))
        ticks = gdb.value(f"*(int *){TICKS}")
        gdb.do("stepi 3000")
        gdb.check(f"*(int *){TICKS}", ticks)
        gdb.do("monitor gdb interrupts on")
        gdb.expect("maintenance packet qqemu.sstep", '"0x5"')
        for _ in range(5):
            gdb.do("stepi")
            if gdb.value("$eip") == linear("tick"):
                break
        gdb.check("$eip", linear("tick"))
        gdb.do(f"set *(unsigned char *){linear('pm32_hlt'):#x} = 0xf4")
        gdb.do(f"set *(int *){TICKS} = 3")
        finish(machine, gdb)


def virtual_8086(engine):
    with start(engine) as machine, attach(machine) as gdb:
        run_to(gdb, linear("enter_v86_iret"))
        step_to(gdb, copied("v86", RAM_CODE))
        gdb.check("$cs", RAM_CODE >> 4)
        gdb.check("$eip", at["v86"] - at["ram_begin"])
        gdb.expect("print $eflags", "VM")
        gdb.do("set architecture i8086")
        gdb.expect("x/i $lip", r"xor +%ax,%ax")
        gdb.do(f"break *{copied('v86_in_loop', RAM_CODE):#x}")
        for left in (40, 39, 38):
            gdb.do("continue")
            gdb.check("$lip", copied("v86_in_loop", RAM_CODE))
            gdb.check("$ecx & 0xffff", left)
        gdb.do("delete")
        gdb.expect(f"watch *(int *){COUNTER}", "atchpoint")
        gdb.expect("continue", r"Old value = \d+\s+New value = \d+")
        gdb.check("$lip", copied("v86_in_loop", RAM_CODE))
        gdb.do("delete")
        run_to(gdb, copied("v86_end", RAM_CODE))
        step_to(gdb, linear("protection_fault_entry"))  # INT 41h at IOPL 0
        gdb.check("$cs", 0x18)
        gdb.do("set architecture i386")
        gdb.expect("x/i $lip", r"testl +\$0x20000,0xc\(%esp\)")
        gdb.do("stepi")
        finish(machine, gdb)


def watchpoints(engine):
    with start(engine) as machine, attach(machine) as gdb:
        for name in ("real_in_loop", "pm16_loop", "pm32_in_loop"):
            run_to(gdb, linear(name))
            for kind in ("watch", "rwatch", "awatch"):
                number = gdb.expect(f"{kind} *(int *){COUNTER}", r"atchpoint (\d+)")[1]
                gdb.expect("continue", rf"atchpoint {number}")
                if not linear(name) <= gdb.value("$lip") <= linear(name) + 12:
                    raise Failure(f"{kind} stopped at {gdb.value('$lip'):#x}")
                gdb.do(f"delete {number}")
        gdb.expect(f"watch *(int *){TICKS}", "atchpoint")
        gdb.expect("continue", "Old value")  # in an interrupt handler
        gdb.check("(unsigned)$eip >> 12", linear("tick") >> 12)
        finish(machine, gdb)


def control(engine):
    """Interrupt, detach, attach again, disconnect, kill; -S was given."""
    with start(engine) as machine:
        with attach(machine) as gdb:
            run_to(gdb, linear("tick_end"))
            gdb.do(f"set *(int *){TICKS} = -1000000000")
            gdb.expect("continue", "SIGINT", interrupt_after=0.3)
            gdb.expect("continue", "SIGINT", interrupt_after=0.3)
            ticks = gdb.value(f"*(int *){TICKS}")
            if not -1000000000 + 3 < ticks - (1 << 32) < -900000000:
                raise Failure(f"the guest did not run: {ticks - (1 << 32)}")
            gdb.expect("monitor info status", "paused")
            gdb.do(f"break *{linear('again_loop'):#x}")
            gdb.expect("detach", "etached")
        if "running" not in machine.monitor("info status"):
            raise Failure("detached, but not running")
        time.sleep(0.2)
        with attach(machine) as gdb:
            gdb.expect("monitor info status", "paused")
            now = gdb.value(f"*(int *){TICKS}")
            if now <= ticks:
                raise Failure("the guest did not run while nobody was attached")
            gdb.do("disconnect")
            if "paused" not in machine.monitor("info status"):
                raise Failure("disconnected, but not stopped any more")
        with attach(machine) as gdb:
            gdb.check(f"*(int *){TICKS}", now)
            gdb.do(f"set *(int *){TICKS} = 3")
            run_to(gdb, linear("again_loop"))
            gdb.do("kill")
        machine.expect_exit(0)


def reset(engine):
    """`monitor system_reset` starts the guest anew; breakpoints stay."""
    machine = start(engine)
    machine.command.remove("-no-reboot")
    with machine, attach(machine) as gdb:
        run_to(gdb, linear("pm32_loop"))
        gdb.do("monitor system_reset")
        gdb.do("maintenance flush register-cache")
        gdb.check("$lip", 0xFFFFFFF0)
        run_to(gdb, linear("pm32_loop"))
        finish(machine, gdb)


def speed(engine):
    """What has no breakpoint in it stays translated."""
    if engine == "interp":
        raise Skip("it has no translator")
    with start(engine, "-icount", "shift=0") as machine, attach(machine) as gdb:
        run_to(gdb, linear("self_loop"))
        gdb.do(f"set *(int *){TICKS} = -300000")
        gdb.do(f"break *{linear('failed'):#x}")
        for name in ("real_loop", "pm16_loop", "again_loop"):
            gdb.do(f"break *{linear(name):#x}")
        gdb.do(f"delete {gdb.expect('break *%#x' % linear('pm32_call'), r'reakpoint ([0-9]+)')[1]}")
        gdb.do("continue")
        gdb.check("$lip", linear("again_loop"))
        stats = gdb.do("monitor info stats")
        total, interpreted = (
            int(re.search(rf"^{name} +(\d+)", stats, re.M)[1]) for name in ("instructions", "instructions_interpreted")
        )
        if total < 1000000 or interpreted > total * 0.6:
            raise Failure(f"{interpreted} of {total} instructions were interpreted")
        finish(machine, gdb)


def unseen(engine):
    """In counted time the guest cannot tell that it was debugged: the hash of all that happened is the same."""
    hashes = [os.path.join(folder, name) for name in ("alone", "debugged")]
    with start(engine, "-icount", f"shift=3,hash={hashes[0]}") as machine, attach(machine) as gdb:
        gdb.do("continue")
        machine.expect_exit(1 << 1 | 1)
    with start(engine, "-icount", f"shift=3,hash={hashes[1]}") as machine, attach(machine) as gdb:
        for name in ("real_in_loop", "real_rep", "pm16_loop", "pm32_loop", "tick", "pm32_after_hlt", "again_loop"):
            number = gdb.expect(f"break *{linear(name):#x}", r"reakpoint (\d+)")[1]
            for _ in range(3 if name.endswith("loop") else 1):
                gdb.do("continue")
                gdb.check("$lip", linear(name))
            gdb.do(f"delete {number}")
        gdb.do("continue")
        machine.expect_exit(1 << 1 | 1)
    with open(hashes[0], encoding="ascii") as alone, open(hashes[1], encoding="ascii") as debugged:
        one, other = alone.read(), debugged.read()
    if one != other:
        raise Failure(f"alone: {one}, debugged: {other}")


def connections(_):
    """-s is tcp::1234, which may be taken; other ways to connect."""
    assemble()
    common = ["-bios", rom, "-m", "16", "-vga", "none", "-S", "-display", "none", "-nodefaults", "-no-reboot"]
    common += ["-device", "isa-debug-exit,iobase=0x501,iosize=4"]
    command = " ".join([program] + common + ["-gdb", "stdio"])
    with Gdb(f"| exec {command}") as gdb:
        run_to(gdb, linear("pm32_loop"))
        gdb.do("kill")
    port = 20000 + os.getpid() % 20000
    process = subprocess.Popen([program] + common + ["-gdb", f"tcp:127.0.0.1:{port}"], stdin=subprocess.DEVNULL)
    try:
        with Gdb(None) as gdb:
            for attempt in range(50):
                if "onnection refused" not in gdb.do(f"target remote 127.0.0.1:{port}"):
                    break
                time.sleep(0.1)
            run_to(gdb, linear("pm32_loop"))
            gdb.do("delete")
            gdb.expect("continue", "exited with code 03|Remote connection closed|exited")
        status = process.wait(30)
        if status != 3:
            raise Failure(f"exit status {status} instead of 3")
    finally:
        process.kill()
        process.wait()


CASES = (
    real_mode, repetitions, shadows_and_interrupts, mode_switches, calls, registers, paging, changing_code,
    protected_interrupts, steps_and_interrupts, virtual_8086, watchpoints, control, reset, speed, unseen,
)
wanted = sys.argv[2:]
cases = [
    (f"{case.__name__} ({engine})", lambda case=case, engine=engine: case(engine))
    for engine in ENGINES
    for case in CASES
]
cases.append(("connections", lambda: connections(None)))
try:
    sys.exit(run_cases([case for case in cases if not wanted or any(word in case[0] for word in wanted)]))
finally:
    shutil.rmtree(folder, ignore_errors=True)
