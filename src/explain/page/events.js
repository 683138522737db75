/* Invalidations, interrupts, tiers, the MMU, and where the page comes from. */
(function (app) {
  "use strict";

  const {h} = app;
  const {raw, endTime} = app.data;
  const EXCEPTIONS = {
    0: "#DE divide error", 1: "#DB debug", 2: "NMI", 3: "#BP breakpoint", 4: "#OF overflow", 5: "#BR bound range", 6: "#UD invalid opcode",
    7: "#NM no coprocessor", 8: "#DF double fault", 10: "#TS invalid TSS", 11: "#NP segment not present", 12: "#SS stack fault",
    13: "#GP general protection", 14: "#PF page fault", 16: "#MF x87 error", 17: "#AC alignment check", 18: "#MC machine check", 19: "#XM SIMD error",
  };
  const CAUSES = {
    "guest store": "the guest wrote to its own code", DMA: "a device wrote to it", debugger: "a breakpoint or a write from outside",
    eviction: "the cache was full", flush: "all of it was thrown away", replaced: "a new translation took its place",
  };

  function table(caption, heads, rows) {
    return h("div", {class: "scroll"}, h("table", {}, h("caption", {class: "aside"}, caption),
      h("thead", {}, h("tr", {}, heads.map(([text, kind]) => h("th", {scope: "col", class: kind}, text)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => h("td", {class: heads[i][1]}, cell)))))));
  }

  function countBars(items, kind) {
    const most = Math.max(...items.map((item) => item[1]), 1);
    const sum = items.reduce((total, item) => total + item[1], 0);
    return items.map(([label, count, note]) => h("div", {class: "count-row"},
      h("span", {}, label, note && h("span", {class: "dim small"}, ` ${note}`)),
      h("span", {class: "track", "aria-hidden": "true"}, h("i", {class: kind, style: {width: `${(100 * count) / most}%`}})),
      h("span", {class: "num"}, app.full(count), h("span", {class: "dim"}, ` ${app.percent(count, sum)}`))));
  }

  function blockLink(key, linear) {
    const block = app.data.byName.get(String(key));
    const label = linear >= 0 ? app.hex(linear) : `#${key}`;
    return block ? h("button", {class: "link mono", onclick: () => app.choose(block, "block")}, label) : h("span", {class: "mono"}, label);
  }

  function deaths() {
    const {causes, list, pages} = raw.deaths;
    const total = causes.reduce((sum, cause) => sum + cause[1], 0);
    if (!total) {
      return h("div", {class: "card"}, h("h2", {}, "Invalidations"), h("p", {class: "dim"}, "None in this trace (smc writes them)."));
    }
    return h("div", {class: "card"}, h("h2", {}, "Invalidations ", h("span", {class: "dim"}, app.full(total))),
      countBars(causes.map(([cause, count]) => [cause, count, CAUSES[cause]]), "removed"),
      pages.length > 1 && [h("h3", {class: "gap"}, "Physical pages that were written to most"), countBars(pages.map(([page, count]) => [h("span", {class: "mono"}, app.hex(page * 4096)), count]), "removed")],
      h("h3", {class: "gap"}, total > list.length ? `The first ${app.full(list.length)}` : "One by one"),
      table("Invalidations one by one", [["at", ""], ["block", ""], ["cause", ""], ["written", ""], ["bytes", "num"]],
        list.map(([t, key, cause, linear, physical, length]) => [app.time(t), blockLink(key, linear), cause,
          physical >= 0 ? h("span", {class: "mono"}, app.hex(physical)) : h("span", {class: "dim"}, "–"), length ? app.full(length) : ""])));
  }

  function interrupts() {
    const list = raw.interrupts.slice().sort((a, b) => b.count - a.count);
    const scale = {...app.chartScale(150, endTime), left: 0, right: 150, x: (t) => (150 * app.clamp(t, 0, endTime)) / endTime};
    return h("div", {class: "card"}, h("h2", {}, "Exceptions and interrupts ", h("span", {class: "dim"}, app.full(list.reduce((sum, each) => sum + each.count, 0)))),
      list.length ? table("Exceptions and interrupts", [["vector", ""], ["what", ""], ["count", "num"], ["ring 0", "num"], ["ring 3", "num"], ["the last one", ""], ["over time", ""]],
        list.map((each) => [
          h("span", {class: "mono"}, app.hex(each.vector, 2)),
          each.kind === "exception" ? EXCEPTIONS[each.vector] || "exception" : each.kind === "software" ? "INT instruction" : "external interrupt",
          app.full(each.count), app.short(each.cpl[0]), app.short(each.cpl[1] + each.cpl[2] + each.cpl[3]),
          h("span", {}, app.time(each.last), " at ", h("span", {class: "mono"}, app.hex(each.eip)), each.address !== undefined && [", CR2 ", h("span", {class: "mono"}, app.hex(each.address))]),
          app.barRow({scale, counts: each.series || [], width: raw.timeline.width, height: 20, label: "over time",
            className: each.kind === "exception" ? "fill-critical" : "fill-ir"}),
        ])) : h("p", {class: "dim"}, "None in this trace (int writes them)."));
  }

  function counters() {
    const {tiers, mmu, totals} = raw;
    const sets = [
      ["Changes of engine", [["hot: translated", tiers.hot], ["written to too often", tiers.churn], ["refused by the translator", tiers.refused], ["other", tiers.other]], "host"],
      ["MMU", [["TLB fills", mmu.fill], ["TLB flushes", mmu.flush], ["INVLPG", mmu.invlpg], ["page faults", mmu.fault]], "guest"],
      ["Links", [["made", totals.links], ["cut", totals.unlinks]], "ir"],
      ["Entries (exec)", [["of translations", totals.exec_translated], ["of interpreted blocks", totals.exec_interpreted]], "host"],
    ];
    return h("div", {class: "pair"}, sets.map(([title, items, kind]) => [title, items.filter((item) => item[1]), kind]).filter(([, items]) => items.length)
      .map(([title, items, kind]) => h("div", {class: "card"}, h("h2", {}, title), countBars(items, kind))));
  }

  function origin() {
    const {source} = app.data;
    const facts = [
      ["program", source.program], ["engine", source.engine], ["items", [].concat(source.list || []).join(", ")], ["filter", [].concat(source.filter || []).join(", ")],
      ["lines", `${app.full(source.lines)}, ${app.size(source.bytes)}`], ["left out by the filter", source.suppressed ? app.full(source.suppressed) : ""],
      ["types not known to this page", source.unknown.map(([name, count]) => `${name || "(none)"} ×${count}`).join(", ")],
    ];
    return h("div", {class: "card"}, h("h2", {}, "The trace"), h("dl", {class: "origin"}, facts.filter((fact) => fact[1]).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  }

  app.renderEvents = function () {
    const panel = app.byId("panel-events");
    if (!panel.firstChild && !panel.hidden) {
      panel.append(interrupts(), deaths(), counters(), origin());
    }
  };
})(window.explorer = window.explorer || {});
