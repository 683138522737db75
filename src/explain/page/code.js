/* Guest code, IR and host code side by side. A band for each guest instruction keeps what belongs together at one
 * height; code that is out of line has bands of its own below. */
(function (app) {
  "use strict";

  const {h} = app;
  const SIDES = ["guest", "ir", "host"];
  let held = null; // the line whose light is held

  /* ---- lines ---- */

  function line(side, insn, n, content, extra) {
    return h("div", {class: `line ${side} ${extra || ""}`, "data-side": side, "data-insn": insn, "data-n": n, tabindex: "-1", role: "gridcell"}, content);
  }

  function bytesOf(bytes) {
    return app.state.bytes && h("span", {class: "bytes"}, (bytes.match(/../g) || []).join(" "), " ");
  }

  function guestLine(block, index) {
    const insn = block.detail.insns[index];
    const profile = block.detail.profile || {};
    const slow = (profile.slow || []).find((each) => each[0] === index);
    const calls = (profile.calls || []).find((each) => each[0] === index);
    const critical = insn.kind === "critical";
    return line("guest", index, -1, [
      h("span", {class: "at"}, insn.eip), " ", bytesOf(insn.bytes), h("span", {class: "text"}, app.assembly(insn.text)),
      (critical || insn.callout || slow || calls || insn.kind === "privileged") && h("span", {class: "tags"},
        critical && h("span", {class: "chip critical", title: "sensitive, but not privileged: it would not trap"}, "◆ critical"),
        insn.kind === "privileged" && h("span", {class: "chip", title: "traps outside ring 0"}, "privileged"),
        insn.callout && h("span", {class: "chip call", title: "rewritten into a call of this function of the VMM"}, `→ ${insn.callout}`),
        calls && h("span", {class: "chip call"}, app.count(calls[1], "call")),
        slow && h("span", {class: "chip slow", title: "memory accesses that C carried out"},
          [slow[1] && `${app.short(slow[1])} slow reads`, slow[2] && `${app.short(slow[2])} slow writes`].filter(Boolean).join(", "))),
    ], critical ? "is-critical" : "");
  }

  const SIGNS = {"": " ", added: "+", removed: "−", changed: "~"};

  function opLine(row) {
    const {op, mark} = row;
    return line("ir", op.insn, op.n, [
      h("span", {class: "sign", "aria-hidden": "true"}, SIGNS[mark]),
      mark && h("span", {class: "aside"}, `${mark}: `),
      h("span", {class: "text"}, app.assembly(op.text), row.before && h("span", {class: "before"}, h("span", {class: "aside"}, "before: "), row.before)),
    ], mark);
  }

  function hostLine(insn) {
    return line("host", insn.insn, insn.n, [
      h("span", {class: "at"}, `+${app.hex(insn.at, 3)}`), " ", bytesOf(insn.bytes), h("span", {class: "text"}, app.assembly(insn.text)),
    ]);
  }

  /* ---- bands ---- */

  function band(cells, extra) {
    return h("div", {class: `band ${extra || ""}`, role: "row"},
      cells.map((lines, index) => h("div", {class: `cell ${SIDES[index]}`, role: "presentation"}, lines)));
  }

  /* What belongs to no guest instruction goes to the band before or after all others. */
  function hotBands(block, rows, code) {
    const count = block.detail.insns.length;
    const bands = Array.from({length: count + 2}, () => [[], [], []]);
    const place = (insn, started) => (insn >= 0 && insn < count ? insn + 1 : started ? count + 1 : 0);
    let started = false;
    for (let i = 0; i < count; i += 1) {
      bands[i + 1][0].push(guestLine(block, i));
    }
    for (const row of rows) {
      started = started || row.op.insn >= 0;
      bands[place(row.op.insn, started)][1].push(opLine(row));
    }
    started = false;
    for (const insn of code) {
      started = started || insn.insn >= 0;
      bands[place(insn.insn, started)][2].push(hostLine(insn));
    }
    return bands.filter((cells) => cells.some((lines) => lines.length)).map((cells) => band(cells));
  }

  /* Runs of code for the same guest instruction. */
  function coldBands(block, rows, code) {
    const texts = new Map(rows.map((row) => [row.op.n, row.op.text]));
    const bands = [];
    let last;
    for (const insn of code) {
      if (!last || last.insn !== insn.insn || last.n !== insn.n) {
        last = {insn: insn.insn, n: insn.n, lines: []};
        bands.push(last);
      }
      last.lines.push(hostLine(insn));
    }
    return bands.map(function ({insn, n, lines}) {
      const guest = block.detail.insns[insn];
      return band([
        guest ? [h("div", {class: "ref"}, `${guest.eip} ${guest.text}`)] : [],
        texts.has(n) ? [h("div", {class: "ref"}, texts.get(n))] : [],
        lines,
      ], "cold");
    });
  }

  /* ---- light ---- */

  function light(from) {
    const grid = app.byId("grid");
    if (!grid) {
      return;
    }
    for (const lit of grid.querySelectorAll(".lit, .self")) {
      lit.classList.remove("lit", "self");
    }
    grid.classList.toggle("lighting", Boolean(from));
    if (!from) {
      return;
    }
    const {side, insn, n} = from.dataset;
    from.classList.add("self");
    for (const other of grid.querySelectorAll(".line")) {
      const sameInsn = insn !== "-1" && other.dataset.insn === insn;
      const sameOp = n !== "-1" && other.dataset.n === n;
      if (side === "guest" || n === "-1" ? sameInsn : sameOp || (other.dataset.side === "guest" && sameInsn)) {
        other.classList.add("lit");
      }
    }
  }

  function hold(target) {
    held = held === target ? null : target;
    for (const other of app.byId("grid").querySelectorAll(".held")) {
      other.classList.remove("held");
    }
    if (held) {
      held.classList.add("held");
    }
    light(target);
  }

  /* ---- keys ---- */

  function linesOf(side) {
    return [...app.byId("grid").querySelectorAll(`.line.${side}`)];
  }

  function go(target) {
    if (!target) {
      return;
    }
    for (const other of app.byId("grid").querySelectorAll('.line[tabindex="0"]')) {
      other.setAttribute("tabindex", "-1");
    }
    target.setAttribute("tabindex", "0");
    target.focus();
    target.scrollIntoView({block: "nearest"});
  }

  /* Sideways to the counterpart: same op, else same guest instruction, else the nearest below. */
  function counterpart(from, step) {
    for (let at = SIDES.indexOf(from.dataset.side) + step; at >= 0 && at < SIDES.length; at += step) {
      const lines = linesOf(SIDES[at]);
      const found = lines.find((each) => from.dataset.n !== "-1" && each.dataset.n === from.dataset.n) ||
        lines.find((each) => each.dataset.insn === from.dataset.insn) || lines[0];
      if (found) {
        return found;
      }
    }
    return null;
  }

  function onKey(event) {
    const from = event.target.closest(".line");
    if (!from || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    const lines = linesOf(from.dataset.side);
    const at = lines.indexOf(from);
    const moves = {
      ArrowDown: () => lines[at + 1], ArrowUp: () => lines[at - 1], Home: () => lines[0], End: () => lines[lines.length - 1],
      ArrowLeft: () => counterpart(from, -1), ArrowRight: () => counterpart(from, 1),
    };
    if (event.key in moves) {
      event.preventDefault();
      go(moves[event.key]());
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      hold(from);
    } else if (event.key === "Escape") {
      hold(held || from);
      light(null);
      held = null;
    }
  }

  app.focusCode = function () {
    const grid = app.byId("grid");
    if (grid) {
      go(grid.querySelector('.line[tabindex="0"]') || grid.querySelector(".line"));
    }
  };

  /* ---- the whole ---- */

  function stepper(detail, index) {
    if (!detail.passes.length) {
      return h("p", {class: "dim small"}, app.state.block.interpreted ? "Interpreted: there is no IR and no host code."
        : "No IR in this trace (-d op,op_opt).");
    }
    return h("div", {class: "passes", role: "radiogroup", "aria-label": "IR after which pass"},
      detail.passes.map(function (pass, each) {
        const counts = app.passCounts(app.passRows(detail, each));
        const changes = counts.added + counts.removed + counts.changed;
        return h("button", {
          role: "radio", "aria-checked": String(each === index), tabindex: each === index ? "0" : "-1", "data-pass": each,
          class: each && !changes ? "idle" : "", onclick: () => app.setPass(each),
          title: each ? `${pass.name}: ${counts.added} added, ${counts.removed} removed, ${counts.changed} changed` : "as the lifter wrote it",
        }, pass.name.replaceAll("_", " "),
        changes > 0 && h("span", {class: "delta"},
          counts.added > 0 && h("i", {class: "added"}, `+${counts.added}`), counts.removed > 0 && h("i", {class: "removed"}, `−${counts.removed}`),
          counts.changed > 0 && h("i", {class: "changed"}, `~${counts.changed}`)));
      }));
  }

  app.renderCode = function () {
    const card = app.byId("code");
    const block = app.state.block;
    if (!card || !block || !block.detail) {
      return;
    }
    const detail = block.detail;
    const index = app.clamp(app.state.pass < 0 ? detail.passes.length - 1 : app.state.pass, 0, Math.max(0, detail.passes.length - 1));
    const rows = app.passRows(detail, index);
    const code = detail.host ? detail.host.code : [];
    const hotEnd = detail.host ? detail.host.hot_end : 0;
    const cold = code.filter((insn) => insn.at >= hotEnd);
    const passName = detail.passes.length ? detail.passes[index].name.replaceAll("_", " ") : "";
    const head = (side, title, note) => h("div", {class: `cell head ${side}`, role: "columnheader"}, h("b", {class: `c-${side}`}, title), " ", h("span", {class: "dim"}, note));
    const keep = document.activeElement && card.contains(document.activeElement) && document.activeElement.dataset.pass !== undefined;

    held = null;
    card.replaceChildren(
      h("div", {class: "code-bar"}, stepper(detail, index),
        h("button", {class: "plain", id: "bytes", "aria-pressed": String(app.state.bytes), onclick: app.toggleBytes, title: "Bytes of instructions (b)"}, "bytes")),
      h("div", {class: `grid${code.length || rows.length ? "" : " only-guest"}`, id: "grid", role: "grid", "aria-label": "Guest code, IR and host code"},
        h("div", {class: "band heads", role: "row"},
          head("guest", "Guest", app.count(detail.insns.length, "instruction")),
          head("ir", "IR", passName && `${index === 0 ? "as lifted" : `after ${passName}`} · ${app.count(detail.passes[index].ops.length, "op")}`),
          head("host", "Host", code.length ? `${app.count(code.length, "instruction")}${cold.length ? `, ${cold.length} of them out of line` : ""}` : "")),
        hotBands(block, rows, code.filter((insn) => insn.at < hotEnd)),
        cold.length > 0 && h("div", {class: "divider", role: "presentation"}, "out of line: where the fast way does not do"),
        coldBands(block, rows, cold)));
    const grid = app.byId("grid");
    const first = grid.querySelector(".line");
    if (first) {
      first.setAttribute("tabindex", "0");
    }
    grid.addEventListener("mouseover", (event) => {
      if (!held) {
        light(event.target.closest(".line"));
      }
    });
    grid.addEventListener("mouseleave", () => held || light(null));
    grid.addEventListener("focusin", (event) => held || light(event.target.closest(".line")));
    grid.addEventListener("click", (event) => {
      const target = event.target.closest(".line");
      if (target) {
        go(target);
        hold(target);
      }
    });
    grid.addEventListener("keydown", onKey);
    card.querySelector(".code-bar").addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (step && event.target.dataset.pass !== undefined) {
        event.preventDefault();
        app.stepPass(step);
      }
    });
    if (keep) {
      card.querySelector('[data-pass][tabindex="0"]').focus();
    }
  };

  app.setPass = function (index) {
    const passes = app.state.block && app.state.block.detail ? app.state.block.detail.passes.length : 0;
    app.state.pass = index >= passes - 1 ? -1 : index; // -1: the last one, whatever the block
    app.renderCode();
    app.remember();
  };
  app.stepPass = function (step) {
    const passes = app.state.block && app.state.block.detail ? app.state.block.detail.passes.length : 0;
    const at = app.state.pass < 0 ? passes - 1 : Math.min(app.state.pass, passes - 1);
    if (passes) {
      app.setPass(app.clamp(at + step, 0, passes - 1));
    }
  };
  app.toggleBytes = function () {
    app.state.bytes = !app.state.bytes;
    app.renderCode();
  };
})(window.explorer = window.explorer || {});
