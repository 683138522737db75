"""The records of docs/trace-format.md, version 1, as a table, and a check of a trace against it.

schema.py TRACE.jsonl    checks a file"""

import json
import re
import sys


class Wrong(Exception):
    """A record is not as the page says."""


def number(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def index(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= -1


def hexadecimal(value):
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]+", value) is not None


def code_bytes(value):
    return isinstance(value, str) and re.fullmatch(r"([0-9a-f]{2})*", value) is not None


def string(value):
    return isinstance(value, str)


def boolean(value):
    return isinstance(value, bool)


def real(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def one_of(*values):
    return lambda value: not isinstance(value, bool) and value in values


def many(check):
    return lambda value: isinstance(value, list) and all(check(element) for element in value)


def structure(**fields):
    """A trailing underscore: the field may be missing."""

    def check(value):
        if not isinstance(value, dict):
            return False
        for name, field in fields.items():
            optional, name = name.endswith("_"), name.rstrip("_")
            if name not in value:
                if not optional:
                    raise Wrong(f"{name} is missing")
            elif not field(value[name]):
                raise Wrong(f"{name} is {str(value[name])[:200]!r}")
        allowed = {name.rstrip("_") for name in fields} | {"type"}
        if set(value) - allowed:
            raise Wrong(f"{set(value) - allowed} is not in the page")
        return True

    return check


mode = structure(bits=one_of(16, 32), cpl=one_of(0, 1, 2, 3), v86=boolean, paging=boolean, cr3=hexadecimal, word=hexadecimal)
instructions = many(structure(eip=hexadecimal, bytes=code_bytes, text=string,
                              **{"class": one_of("innocuous", "privileged", "critical")}, callout_=string))
passes = many(structure(**{"pass": string}, ops=many(structure(n=number, insn=index, text=string)),
                        removed=many(number), changed=many(number)))
host = structure(address=hexadecimal, size=number, hot_end=number, entry_eflags=number, entry_home=number,
                 code=many(structure(at=number, bytes=code_bytes, text=string, insn=index, n=index)))
link = {"t": number, "from": number, "slot": one_of(0, 1), "to": number}

RECORDS = {
    "header": structure(schema=one_of("dragoman-trace"), version=one_of(1), program=string, engine=string,
                        list=many(string), filter_=string),
    "block": structure(t=number, eip=hexadecimal, linear=hexadecimal, physical=hexadecimal, mode=mode, insns=instructions),
    "translation": structure(t=number, id=number, tier=number, eip=hexadecimal, linear=hexadecimal, physical=hexadecimal,
                             cs_base=hexadecimal, mode=mode, reason=one_of("hot", "forced"), executions=number,
                             insns=instructions, ir_=passes, host_=host, time_ns=number),
    "chain": structure(**link),
    "unchain": structure(**link, cause=one_of("target died", "relinked", "page lost")),
    "invalidate": structure(t=number, id=number, physical_=hexadecimal, length_=number,
                            cause=one_of("guest store", "DMA", "debugger", "eviction", "flush", "replaced")),
    "tier": structure(t=number, id_=number, **{"from": one_of("interpreter", "tier1")}, to=one_of("tier1", "interpreter"),
                      linear=hexadecimal, executions=number, why=one_of("hot", "forced", "churn", "refused")),
    "exec": structure(t=number, engine=one_of("interpreter", "tier1"), id_=number, linear=hexadecimal, mode=hexadecimal),
    "int": structure(t=number, kind=one_of("exception", "interrupt", "software"), vector=number, error_=number,
                     address_=hexadecimal, eax_=hexadecimal, cs=hexadecimal, eip=hexadecimal, cpl=one_of(0, 1, 2, 3)),
    "mmu": structure(t=number, event=one_of("fill", "flush", "invlpg", "fault"), linear_=hexadecimal,
                     physical_=hexadecimal, access_=one_of("read", "write", "execute"), error_=number, global_=boolean,
                     pages_=number),
    "profile": structure(t=number, id=number, executions=number, taken=many(number),
                         targets_=many(structure(eip=hexadecimal, count=number)),
                         slow_=many(structure(insn=number, reads=number, writes=number)),
                         calls_=many(structure(insn=number, count=number)), live=boolean, exact=boolean, host_us_=number),
    "occupancy": structure(t=number, used=number, size=number, translations=number, dead=number, instructions=number,
                           interpreted=number),
    "message": structure(t=number, category_=string, text=string),
    "end": structure(t=number, lines=number, suppressed=number, seconds=real),
}


def check_passes(record):
    """An op keeps its n; what a pass says that it removed and changed is what differs."""
    count = len(record["insns"])
    before = None
    for step in record.get("ir", []):
        ops = {op["n"]: op for op in step["ops"]}
        if len(ops) != len(step["ops"]):
            raise Wrong(f"pass {step['pass']}: an n is there twice")
        if any(op["insn"] >= count for op in step["ops"]):
            raise Wrong(f"pass {step['pass']}: an op belongs to no instruction")
        if before is None:
            if step["pass"] != "lifted" or step["removed"] or step["changed"]:
                raise Wrong("the first pass is not 'lifted', or has differences")
        else:
            removed = [n for n in before if n not in ops]
            changed = [n for n in ops if n in before and ops[n]["text"] != before[n]["text"]]
            if sorted(step["removed"]) != sorted(removed):
                raise Wrong(f"pass {step['pass']}: removed is {step['removed']}, should be {removed}")
            if sorted(step["changed"]) != sorted(changed):
                raise Wrong(f"pass {step['pass']}: changed is {step['changed']}, should be {changed}")
        before = ops
    return before


def check_host(record, last):
    """The code is whole, and made for ops and instructions that there are."""
    if "host" not in record:
        return
    code, at = record["host"]["code"], 0
    for insn in code:
        if insn["at"] != at:
            raise Wrong(f"host code: a gap at {at}")
        at += len(insn["bytes"]) // 2
        if insn["insn"] >= len(record["insns"]):
            raise Wrong(f"host code at {at}: made for instruction {insn['insn']}")
        if last is not None and insn["n"] >= 0 and insn["n"] not in last:
            raise Wrong(f"host code at {at}: made for op {insn['n']}, which is gone")
        if last is not None and insn["n"] >= 0 and last[insn["n"]]["insn"] != insn["insn"]:
            raise Wrong(f"host code at {at}: op {insn['n']} is not of instruction {insn['insn']}")
    if at != record["host"]["size"]:
        raise Wrong(f"host code has {at} bytes of {record['host']['size']}")
    if record["host"]["hot_end"] not in [insn["at"] for insn in code] + [at]:
        raise Wrong("nothing begins at hot_end")


def check_record(record):
    if record.get("type") not in RECORDS:
        raise Wrong(f"type {record.get('type')!r} is not in the page")
    RECORDS[record["type"]](record)
    if record["type"] == "translation":
        eip = int(record["eip"], 16)
        for insn in record["insns"]:
            if int(insn["eip"], 16) != eip:
                raise Wrong(f"instruction at {insn['eip']} does not follow the one before")
            eip = (eip + len(insn["bytes"]) // 2) & 0xFFFFFFFF
        check_host(record, check_passes(record))


def read(path):
    """All records of a trace that ended as it should, each checked."""
    records, known, t, waits = [], set(), 0, False
    with open(path, encoding="utf-8") as file:
        for at, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                check_record(record)
                if record["type"] == "translation":
                    if record["id"] in known:
                        raise Wrong("the id was given before")
                    known.add(record["id"])
                if record["type"] == "header":
                    waits = "hot=" in record.get("filter", "") # records may come late
                if record.get("t", t) < t and not waits:
                    raise Wrong("time goes back")
            except (ValueError, Wrong) as error:
                raise Wrong(f"line {at}: {error}: {line[:300]}") from error
            t = record.get("t", t)
            records.append(record)
    if records[0]["type"] != "header" or records[-1]["type"] != "end":
        raise Wrong(f"it begins with {records[0]['type']} and ends with {records[-1]['type']}")
    if records[-1]["lines"] != len(records):
        raise Wrong(f"there are {len(records)} lines, and the last says {records[-1]['lines']}")
    return records


if __name__ == "__main__":
    try:
        print(len(read(sys.argv[1])), "records")
    except Wrong as error:
        sys.exit(str(error))
