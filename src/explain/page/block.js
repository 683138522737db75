/* The chosen block: what it is, what it costs, where control comes from and goes, how it grew. */
(function (app) {
  "use strict";

  const {h} = app;

  function chip(text, kind, title) {
    return h("span", {class: `chip ${kind || ""}`, title}, text);
  }

  function headline(block) {
    const detail = block.detail;
    const life = block.interpreted ? "" : `made at ${app.time(block.made)}` +
      (block.cause ? `, died at ${app.time(block.died)}` : ", alive at the end");
    return h("div", {class: "headline"},
      h("h2", {class: "address"}, block.label),
      chip(block.interpreted ? "interpreted" : `translation ${block.key}`, block.interpreted ? "guest" : "host"),
      block.bits > 0 && chip(app.modeText(block)),
      !block.interpreted && block.bits > 0 && chip(block.forced ? "translated at once" : `hot after ${app.full(block.before)} runs`),
      block.critical > 0 && chip(`◆ ${app.count(block.critical, "critical instruction")}`, "critical"),
      block.cause && chip(`✕ died: ${block.cause}`, "dead"),
      h("span", {class: "dim small"}, [life, detail && detail.physical && `physical ${detail.physical}`, detail && detail.cr3 && block.paging && `CR3 ${detail.cr3}`]
        .filter(Boolean).join(" · ")));
  }

  function figure(value, label, title) {
    return h("div", {title}, h("dt", {}, label), h("dd", {}, value));
  }

  function figures(block) {
    const totals = app.data.totals;
    const each = block.executions && block.host_us ? `${((block.host_us * 1000) / block.executions).toFixed(1)} ns` : "";
    return h("dl", {class: "facts"},
      totals.metric !== "none" && [
        figure(app.shareOf(block), totals.metric === "host_us" ? "of the time in translations" : "of the instructions"),
        figure(app.short(block.executions), block.profile && !block.exact ? "runs (sampled)" : "runs"),
        figure(app.short(block.executions * block.insns), "guest instructions"),
      ],
      each && figure(each, "for each run"),
      block.time_ns > 0 && figure(app.time(block.time_ns / 1000), "to translate"),
      !block.interpreted && figure(app.full(block.links), `links made${block.unlinks ? `, ${app.full(block.unlinks)} cut` : ""}`));
  }

  /* One bar for each language, as long as it has instructions. */
  function growth(block) {
    const most = Math.max(block.insns, block.ops_lifted, block.ops_final, block.host_insns, 1);
    const bar = (kind, label, count, note, removed) => h("div", {class: "grow"},
      h("span", {class: `c-${kind}`}, label),
      h("span", {class: "track", "aria-hidden": "true"}, h("i", {class: kind, style: {width: `${(100 * count) / most}%`}}),
        removed > 0 && h("i", {class: `${kind} gone`, style: {width: `${(100 * removed) / most}%`}})),
      h("span", {class: "num"}, h("b", {}, count), " ", h("span", {class: "dim"}, note)));
    return h("div", {class: "growth", role: "group", "aria-label": "Size"},
      bar("guest", "guest", block.insns, `instructions, ${block.bytes} bytes`),
      block.ops_lifted > 0 && bar("ir", "IR", block.ops_final, `ops${block.ops_lifted === block.ops_final ? "" : `, ${block.ops_lifted} as lifted`} · ${app.ratio(block.ops_final, block.insns)}`,
        block.ops_lifted - block.ops_final),
      block.host_insns > 0 && bar("host", "host", block.host_insns, `instructions, ${block.host_bytes} bytes · ${app.ratio(block.host_bytes, block.bytes)}`));
  }

  function edgeList(title, edges, other, whole) {
    const shown = edges.slice(0, 4);
    return h("div", {class: "edges"}, h("h3", {}, title),
      shown.map(function (edge) {
        const block = other(edge);
        const share = whole && edge.count !== undefined ? edge.count / whole : 0;
        const name = block ? block.label : app.hex(edge.linear);
        const content = [
          h("span", {class: "mono"}, name, block === app.state.block && " ↻"),
          h("span", {class: "track", "aria-hidden": "true"}, share > 0 && h("i", {class: `edge ${edge.kind.split(" ")[0]}`, style: {width: `${100 * Math.min(1, share)}%`}})),
          h("span", {class: "num dim"}, edge.count === undefined ? "not counted" : `${app.percent(edge.count, whole)} · ${app.short(edge.count)}`),
          h("span", {class: "dim"}, edge.kind),
        ];
        return block ? h("button", {class: "edge-row", onclick: () => app.choose(block), title: `go to ${name}`}, content)
          : h("div", {class: "edge-row", title: "not in this page"}, content);
      }),
      !edges.length && h("p", {class: "dim small"}, "not known"),
      edges.length > shown.length && h("p", {class: "dim small"}, `and ${edges.length - shown.length} more`));
  }

  function edgeProfile(block) {
    const to = app.successors(block).slice().sort((a, b) => (b.count || 0) - (a.count || 0));
    const from = app.predecessors(block);
    const sum = (list) => list.reduce((total, edge) => total + (edge.count || 0), 0);
    return [
      edgeList("Comes from", from, (edge) => edge.from, Math.max(sum(from), block.profile && block.exact ? block.executions : 0)),
      edgeList("Goes to", to, (edge) => edge.block, sum(to)),
    ];
  }

  app.renderBlock = function () {
    const panel = app.byId("panel-block");
    const block = app.state.block;
    if (!block) {
      panel.replaceChildren(h("div", {class: "card empty"}, app.data.blocks.length ? "Choose a block at the left."
        : h("span", {}, "There are no blocks in this trace: ", h("code", {}, "-d in_asm,op,op_opt,out_asm,profile"), " writes them.")));
      return;
    }
    panel.replaceChildren(
      h("div", {class: "card about"}, headline(block), figures(block),
        h("div", {class: "three"}, growth(block), edgeProfile(block))),
      block.detail ? h("div", {class: "card code-card", id: "code"})
        : h("div", {class: "card empty"}, "The code of this block is not in the page: ", h("code", {}, "--blocks N"), " puts more of them in."));
    if (block.detail) {
      app.renderCode();
    }
  };
})(window.explorer = window.explorer || {});
