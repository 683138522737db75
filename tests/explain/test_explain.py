"""dragoman explain from outside: the command's messages, and the page in a real Chromium (skipped if there is none)."""

import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "boot"))
sys.path.insert(0, HERE)
from chromium import Browser, find_chromium  # noqa: E402
from machine import Failure, Skip, run_cases  # noqa: E402

PROGRAM = sys.argv[1]
SAMPLE = os.path.join(HERE, "sample.jsonl")
FOLDER = tempfile.TemporaryDirectory(prefix="dragoman-explain-")
PAGE = os.path.join(FOLDER.name, "sample.html")


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r}, not {wanted!r}")


def explain(*arguments, status=0):
    run = subprocess.run([PROGRAM, "explain", *arguments], capture_output=True, text=True)
    equal(run.returncode, status, f"exit status of {arguments} ({run.stderr.strip()})")
    return run.stderr


def write(name, text):
    path = os.path.join(FOLDER.name, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


# ---- the command ----


def test_messages():
    header = '{"type":"header","schema":"dragoman-trace","version":%s}\n'
    for name, text, wanted in (
        ("empty", "", "is empty"),
        ("text", "IN: 0x1000\n", "is not a trace of Dragoman's"),
        ("other.json", '{"type":"header","schema":"another"}\n', "is not a trace of Dragoman's"),
        ("binary", "\0\1\2" * 100000, "is not a trace of Dragoman's"),
        ("newer", header % 2, "has version 2 of the trace format, this program reads version 1"),
        ("none", header % '"1"', "does not say which version"),
    ):
        message = explain(write(name, text), "-o", PAGE, status=1)
        check(wanted in message and message.count("\n") == 1, f"{name}: {message}")
        check(not os.path.exists(PAGE), f"{name}: there is a page")
    for arguments, wanted in (
        ((), "which trace?"), (("a", "b"), "one trace at a time"), ((SAMPLE, "-x"), "unknown option '-x'"), ((SAMPLE, "-o"), "-o needs a value"),
        ((SAMPLE, "--blocks", "0"), "--blocks 0"), ((SAMPLE, "--blocks=many"), "--blocks many"), ((SAMPLE, "--blocks", "99999999999"), "not a number"),
        (("/nonexistent",), "cannot open '/nonexistent'"), ((FOLDER.name,), "is not a plain file"), ((SAMPLE, "-o", "/nonexistent/x"), "cannot write"),
    ):
        check(wanted in explain(*arguments, status=1), f"{arguments}: no '{wanted}'")
    copy = write("copy.jsonl", open(SAMPLE, encoding="utf-8").read())
    check("would overwrite" in explain(copy, "-o", copy, status=1), "the trace may be overwritten")
    check(os.path.getsize(copy) == os.path.getsize(SAMPLE), "the trace was overwritten")


def test_defaults():
    copy = write("run.one.jsonl", open(SAMPLE, encoding="utf-8").read())
    explain(copy)
    check(os.path.exists(os.path.join(FOLDER.name, "run.one.html")), "no page beside the trace")
    to_stdout = subprocess.run([PROGRAM, "explain", copy, "-o", "-", "-title=A <b>title</b>"], capture_output=True, text=True, check=True).stdout
    check("<title>A &lt;b&gt;title&lt;/b&gt;</title>" in to_stdout, "the title is not escaped")
    check("<!--DATA-->" not in to_stdout and to_stdout.count("</html>") == 1, "the page is not whole")
    run = subprocess.run([PROGRAM, "explain", copy, "-o", "/dev/full"], capture_output=True, text=True)
    check(run.returncode == 1 and "cannot write '/dev/full'" in run.stderr, f"a full disk: {run.stderr}")


def test_cut_and_damaged():
    lines = open(SAMPLE, encoding="utf-8").read().splitlines(keepends=True)
    message = explain(write("cut", "".join(lines[:-1]) + lines[-1][:20]), "-o", PAGE)
    check("has no end" in message and "damaged" not in message, message)
    message = explain(write("damaged", "".join(lines[:9]) + "{\"type\":\n[]\n" + "".join(lines[9:])), "-o", PAGE)
    check("2 damaged lines left out, the first is line 10" in message, message)
    explain(write("only", lines[0]), "-o", PAGE)


def test_large():
    """150 MB in little memory: what is kept is what the page shows."""
    lines = [json.loads(line) for line in open(SAMPLE, encoding="utf-8")]
    translation = next(line for line in lines if line["type"] == "translation")
    execution = next(line for line in lines if line["type"] == "exec" and "id" in line)
    translation["host"]["code"] *= 20
    path = os.path.join(FOLDER.name, "large.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(lines[0]) + "\n")
        for number in range(3000):
            translation.update(id=number, linear=f"{number * 16:08x}")
            file.write(json.dumps(translation) + "\n")
            file.write((json.dumps({**execution, "id": number}) + "\n") * (10 if number % 100 else 100))
    start = time.monotonic()
    process = subprocess.Popen([PROGRAM, "explain", path, "-o", PAGE, "--blocks", "100"], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    print(f"{os.path.getsize(path) >> 20} MiB in {time.monotonic() - start:.1f} s, {usage.ru_maxrss >> 10} MiB of memory")
    os.unlink(path)
    equal(process.returncode, 0, "exit status")
    with open(PROGRAM, "rb") as program:
        check(usage.ru_maxrss < 40 << 10 or b"__asan_init" in program.read(), f"{usage.ru_maxrss} KiB of memory")
    page = open(PAGE, encoding="utf-8").read()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    equal(len(data["details"]), 100, "blocks in full")
    equal(len(data["blocks"]), 1000, "blocks in the list")
    equal([block[4] for block in data["blocks"][:31]], [100] * 30 + [10], "executions of the hottest")


# ---- the page ----


class Page:
    """`with Page(size, fragment) as page:` opens it and looks for complaints at the end."""

    browser = None

    def __init__(self, fragment="", width=1400, height=900, scheme="light", path=PAGE):
        if not find_chromium():
            raise Skip("no Chromium here (Debian package chromium)")
        if not Page.browser:
            Page.browser = Browser(find_chromium())
        if path == PAGE:
            explain(SAMPLE, "-o", PAGE)
        Page.browser.complaints.clear()
        Page.browser.scheme(scheme)
        Page.browser.size(width, height)
        Page.browser.open(path, fragment)

    def __enter__(self):
        return Page.browser

    def __exit__(self, kind, value, trace):
        if not kind:
            equal(Page.browser.complaints, [], "complaints of the browser")


def chosen(page):
    return page.run("explorer.state.block.name")


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).textContent")


def count(page, selector):
    return page.run(f"document.querySelectorAll({json.dumps(selector)}).length")


def test_list():
    with Page() as page:
        equal(count(page, ".row"), 13, "rows")
        equal(text(page, ".row .address"), "00100051", "the hottest")
        equal(text(page, "#title"), "sample.jsonl", "title")
        check("21.0 M" in text(page, "#figures"), "instructions in the head")
        page.click('[data-sort="address"]')
        equal(text(page, ".row .address")[:8], "0000842c", "the first by address")
        page.click('[data-sort="address"]')
        equal(text(page, ".row .address")[:8], "00100640", "the first by address, turned around")
        page.click('[data-sort="time"]')
        page.key("/")
        for letter in "popfd":
            page.key(letter)
        equal(count(page, ".row"), 1, "rows with popfd")
        page.key("Enter")
        equal(chosen(page), "4", "found and chosen")
        equal(page.run("document.activeElement.id"), "list", "focus after finding")
        page.run("document.querySelector('#filter').value = 'died'; 0")
        page.run("document.querySelector('#search').value = ''; document.querySelector('#search').dispatchEvent(new Event('input')); document.querySelector('#filter').dispatchEvent(new Event('change')); 0")
        equal(count(page, ".row"), 6, "rows of the dead")


def test_block():
    with Page() as page:
        page.click("#row-4")
        equal(chosen(page), "4", "chosen by a click")
        equal(page.run("location.hash"), "#block=4&view=block", "fragment")
        for side, lines in (("guest", 6), ("ir", 13), ("host", 29)):
            shown = count(page, f".line.{side}")
            check(shown >= lines, f"{side}: {shown} lines")
            check(page.run(f"document.querySelector('.heads .{side}').getBoundingClientRect().width") > 200, f"{side} is not a column")
        equal(count(page, ".chip.critical"), 3, "critical instructions, and how many")
        check("callout_popf" in text(page, "#grid") and "5.20 k calls" in text(page, "#grid"), "callouts")
        check("29 instructions" in text(page, ".growth"), "growth")
        check("00100305" in text(page, ".about"), "where it goes")
        page.click("#row-1")
        check("80.0 %" in text(page, ".edges:last-child") and "100 %" in text(page, ".edges"), "edge profile")
        check("3 slow reads" in text(page, "#grid"), "slow accesses")
        page.click("#row-i0000842c")
        equal(count(page, ".line.host"), 0, "host code of an interpreted block")
        equal(count(page, ".line.guest"), 3, "guest code of an interpreted block")


def test_passes():
    with Page("#block=4&view=block") as page:
        equal(count(page, ".passes button"), 6, "passes")
        equal(text(page, '.passes [aria-checked="true"]')[:5], "flags", "the last pass first")
        equal(count(page, ".line.ir.added"), 1, "ops added by flags")
        page.key("[")
        equal(text(page, '.passes [aria-checked="true"]')[:9], "dead code", "the pass before")
        equal((count(page, ".line.ir.removed"), text(page, ".line.ir.removed .text")), (1, "lea.4 t0, [esp]"), "ops removed")
        for _ in range(3):
            page.key("[")
        page.key("]")
        equal(count(page, ".line.ir.changed"), 1, "ops changed by addresses")
        equal(text(page, ".before"), "before: probe.4 r [t0]", "what it was before")
        page.key("j")
        equal(text(page, '.passes [aria-checked="true"]')[:9], "addresses", "the pass stays with the next block")


def test_links():
    with Page("#block=1&view=block") as page:
        page.hover('.line.guest[data-insn="4"]')
        equal(count(page, ".line.ir.lit"), 2, "ops of jnz")
        equal(count(page, ".line.host.lit"), 8, "host instructions of jnz")
        equal(page.run("[...document.querySelectorAll('.lit')].every((line) => line.dataset.insn === '4')"), True, "nothing else")
        page.hover('.line.ir[data-n="7"]')
        equal((count(page, ".line.guest.lit"), count(page, ".line.host.lit")), (1, 5), "park")
        page.hover('.line.host[data-n="2"]')
        equal([text(page, f".line.{side}.lit .text") for side in ("guest", "ir", "host")], ["add eax, edx", "add.4 eax, edx", "add eax, edx"], "add")
        check(page.run("getComputedStyle(document.querySelector('.line.ir.lit')).backgroundColor")
              != page.run("getComputedStyle(document.querySelector('.line.ir:not(.lit):not(.added):not(.changed)')).backgroundColor"), "the light cannot be seen")
        page.hover("#title")
        equal(count(page, ".lit"), 0, "light after leaving")
        page.click('.line.guest[data-insn="2"]')
        page.hover('.line.guest[data-insn="4"]')
        equal(page.run("document.querySelector('.line.ir.lit').dataset.insn"), "2", "held light")


def test_keys():
    with Page("#block=1&view=block") as page:
        focus = lambda: page.run("[document.activeElement.dataset.side, document.activeElement.dataset.insn, document.activeElement.dataset.n].join()")  # noqa: E731
        page.key("c")
        equal(focus(), "guest,0,-1", "into the code")
        page.key("ArrowDown")
        equal(focus(), "guest,1,-1", "down")
        page.key("ArrowRight")
        equal(focus(), "ir,1,2", "to the op")
        page.key("ArrowRight")
        equal(focus(), "host,1,2", "to the host's instruction")
        equal(count(page, ".lit"), 3, "light follows the focus")
        check(page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus cannot be seen")
        page.key("End")
        page.key("ArrowLeft")
        equal(focus()[:4], "ir,4", "from out of line to its op")
        page.key("Enter")
        equal(count(page, ".held"), 1, "held")
        page.key("Escape")
        equal((count(page, ".held"), count(page, ".lit")), (0, 0), "let go")
        before = text(page, ".line.host")
        page.key("b")
        check(text(page, ".line.host") != before and count(page, ".bytes") > 20, "bytes")
        page.key("j")
        equal(chosen(page), "2", "next block")
        page.key("k")
        equal(chosen(page), "1", "previous block")
        page.click("#row-2")
        page.run("document.querySelector('#list').focus(); 0")
        page.key("ArrowDown")
        equal(chosen(page), "3", "down in the list")
        equal(page.run("document.querySelector('#list').getAttribute('aria-activedescendant')"), "row-3", "active row")
        for key, view in (("2", "flow"), ("3", "timeline"), ("4", "events"), ("1", "block")):
            page.key(key)
            equal(page.run("[...document.querySelectorAll('[role=tabpanel]')].filter((e) => !e.hidden).map((e) => e.id).join()"), f"panel-{view}", f"view {key}")
        page.key("?")
        equal(page.run("document.querySelector('#help').open"), True, "help")
        page.key("Escape")
        equal(page.run("document.querySelector('#help').open"), False, "help closed")


def test_flow():
    with Page("#block=1&view=flow") as page:
        equal(count(page, ".node"), 11, "nodes")
        check(count(page, ".flow-edge") >= 6, "edges")
        equal(text(page, ".node.chosen .label"), "00100051", "the chosen one")
        width = "Number(document.querySelector('.flow-edge.%s path').getAttribute('stroke-width'))"
        check(page.run(width % "taken") > page.run(width % "indirect"), "busy edges are not wider")
        boxes = page.run("[...document.querySelectorAll('.node rect')].map((e) => e.getBoundingClientRect()).map((r) => [r.left, r.top, r.right, r.bottom])")
        overlaps = sum(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for i, a in enumerate(boxes) for b in boxes[:i])
        equal(overlaps, 0, "nodes that overlap")
        page.click('.node[data-name="2"] rect')
        equal(chosen(page), "2", "chosen in the graph")
        page.key("ArrowDown")
        equal(page.run("document.activeElement.dataset.name"), "1", "down to the next layer")
        before = page.run("document.querySelector('#flow').getBoundingClientRect().width")
        page.key("+")
        check(page.run("document.querySelector('#flow').getBoundingClientRect().width") > before, "zoom")
        page.run("document.querySelector('#region').value = 'around'; document.querySelector('#region').dispatchEvent(new Event('change')); 0")
        check(count(page, ".node") >= 6, "around the chosen one")
        page.run("document.querySelector('.node.chosen').focus(); 0")
        page.key("ArrowUp")
        equal(page.run("document.activeElement.dataset.name"), chosen(page), "focus after the graph was drawn anew")
        check(chosen(page) != "1", "up in the graph")
        page.run("document.querySelector('.node.chosen').focus(); 0")
        page.key("Enter")
        equal(page.run("explorer.state.view"), "block", "Enter opens the block")


def test_timeline_and_events():
    with Page("#view=timeline") as page:
        equal(count(page, ".chart"), 3, "charts")
        check(count(page, ".lane") >= 14, "lanes of events")
        page.hover("#strip")
        before = text(page, "#time-readout")
        page.run("document.querySelector('#strip').focus(); 0")
        for _ in range(20):
            page.key("ArrowRight")
        check(text(page, "#time-readout") != before and "instructions/s" in before, f"cursor: {before}")
        page.key("4")
        events = text(page, "#panel-events")
        for wanted in ("#PF page fault", "guest store", "DMA", "debugger", "eviction", "flush", "replaced", "refused", "INVLPG", "weather"):
            check(wanted in events, f"no '{wanted}' in the events")
        page.click("#panel-events .link")
        equal(chosen(page), "6", "from an invalidation to its block")


def test_colours():
    paper = "getComputedStyle(document.body).backgroundColor"
    sums = {}
    for scheme in ("light", "dark"):
        with Page(scheme=scheme) as page:
            sums[scheme] = sum(map(int, page.run(paper)[4:-1].split(",")))
            # WCAG 2.1, 1.4.3: the contrast of all text that can be seen
            poor = page.run(CONTRAST)
            equal(poor, [], f"poor contrast in {scheme}")
    check(sums["light"] > 600 and sums["dark"] < 150, f"{sums}")
    with Page("#theme=dark") as page:
        check(sum(map(int, page.run(paper)[4:-1].split(","))) < 150, "the fragment chooses dark")
        page.key("t")
        page.key("t")
        check(sum(map(int, page.run(paper)[4:-1].split(","))) > 600, "t goes on to light")
        page.run("localStorage.clear()")


CONTRAST = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || box.width < 2 || element.closest("svg, script, style, option, dialog")) {
      continue;
    }
    let back = element;
    while (back && /^(transparent|rgba\\(0, 0, 0, 0\\))$/.test(getComputedStyle(back).backgroundColor)) {
      back = back.parentElement;
    }
    const colour = getComputedStyle(back || document.body).backgroundColor;
    if (!colour.startsWith("rgb")) {
      continue;
    }
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(parse(colour))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) {
      poor.push(`${element.className} "${element.textContent.slice(0, 20)}" ${((a + 0.05) / (b + 0.05)).toFixed(1)}`);
    }
  }
  return [...new Set(poor)];
})()"""


def test_narrow():
    for width in (360, 700, 900, 1280):
        for view in ("block", "flow", "timeline", "events"):
            with Page(f"#block=4&view={view}", width=width) as page:
                page.key(str(("block", "flow", "timeline", "events").index(view) + 1))
                check(page.run("document.documentElement.scrollWidth") <= width, f"{view} is wider than {width}: {page.run('document.documentElement.scrollWidth')}")


def test_strange_text():
    """What a trace says is text, whatever it looks like."""
    lines = [json.loads(line) for line in open(SAMPLE, encoding="utf-8")]
    evil = "</script ><img src=x onerror=console.error(1)><!-- <script >"
    for line in lines:
        if line["type"] == "translation":
            line["insns"][0].update(text=evil, callout=evil)
            for each in (line.get("ir") or [{}])[0].get("ops", []) + line.get("host", {}).get("code", []):
                each["text"] = evil
        elif line["type"] == "header":
            line.update(program=evil, filter=evil)
        elif line["type"] == "invalidate":
            line["cause"] = evil
    path = os.path.join(FOLDER.name, "evil.html")
    explain(write("evil", "".join(json.dumps(line) + "\n" for line in lines)), "-o", path, "--title", evil)
    with Page("#block=1&pass=0", path=path) as page:
        equal(page.run("document.querySelectorAll('img').length"), 0, "images")
        equal(text(page, "#title"), evil, "title")
        check(evil in text(page, "#grid"), "the text itself")


def test_poor_traces():
    """Traces with few items, or nothing: every view can be looked at."""
    lines = open(SAMPLE, encoding="utf-8").read().splitlines(keepends=True)
    kinds = [json.loads(line)["type"] for line in lines]
    for name, keep in (("nothing", ()), ("code", ("translation",)), ("guest", ("block", "exec")), ("counters", ("profile", "chain")), ("links", ("translation", "chain")),
                       ("events", ("int", "mmu", "invalidate", "tier")), ("samples", ("occupancy",))):
        path = os.path.join(FOLDER.name, f"{name}.html")
        explain(write(name, "".join(line for line, kind in zip(lines, kinds) if kind in keep or kind == "header")), "-o", path)
        with Page(path=path) as page:
            for key in "2341jjck":
                page.key(key)
            check("has no end" in text(page, "#notes"), f"{name}: no note about the end")
            if name == "links":
                page.key("2")
                check(count(page, ".flow-edge.uncounted") >= 4, "links are not edges")


if __name__ == "__main__":
    try:
        sys.exit(run_cases([(name[5:], function) for name, function in list(globals().items()) if name.startswith("test_")]))
    finally:
        if Page.browser:
            Page.browser.close()
