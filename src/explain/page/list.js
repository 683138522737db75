/* The list of blocks at the left: sorting, finding, choosing. */
(function (app) {
  "use strict";

  const {h} = app;
  const growth = (block) => (block.bytes ? block.host_bytes / block.bytes : 0);
  const SORTS = [
    {id: "address", label: "Block", title: "by address", value: (block) => -block.linear},
    {id: "time", label: app.metricName, title: app.data.totals.metric === "none" ? "as in the trace" : "by time spent", value: (block) => -block.rank},
    {id: "runs", label: "Runs", title: "by executions", value: (block) => block.executions},
    {id: "growth", label: "Growth", title: "by bytes of host code for a byte of the guest's", value: growth},
  ];
  const FILTERS = [
    ["all", "all", () => true],
    ["translated", "translated", (block) => !block.interpreted],
    ["interpreted", "interpreted", (block) => block.interpreted],
    ["critical", "◆ critical", (block) => block.critical > 0],
    ["callouts", "with callouts", (block) => block.callouts > 0],
    ["died", "✕ died", (block) => block.cause !== ""],
    ["kernel", "ring 0", (block) => block.bits && block.cpl === 0 && !block.v86],
    ["user", "ring 3, V86", (block) => block.cpl === 3 || block.v86],
  ];
  const state = {sort: "time", reverse: false, text: "", filter: "all", shown: []};
  const rows = new Map();

  function matches(block, text) {
    if (!text) {
      return true;
    }
    if (text.startsWith("#")) {
      return block.name === text.slice(1);
    }
    return block.label.includes(text.replace(/^0x/, "")) || (block.words || "").includes(text) || block.cause.includes(text);
  }

  function makeRow(block) {
    const first = block.detail ? block.detail.insns.map((insn) => insn.text).join("; ") : "";
    const share = app.data.heaviest ? block.weight / app.data.heaviest : 0;
    return h("div", {
      class: `row${block.interpreted ? " interpreted" : ""}`, role: "option", id: `row-${block.name}`, "data-name": block.name, "aria-selected": "false",
      title: `${block.interpreted ? "interpreted block" : `translation ${block.key}`}, ${app.modeText(block)}`,
    },
    h("span", {class: "address"}, block.label,
      block.critical > 0 && h("span", {class: "mark c-critical", title: "critical instructions"}, "◆"),
      block.cause && h("span", {class: "mark dim", title: `died: ${block.cause}`}, "✕"),
      block.interpreted && h("span", {class: "mark c-guest"}, "interpreted")),
    h("span", {class: "num"}, app.data.totals.metric === "none" ? app.full(block.rank + 1) : app.shareOf(block)),
    h("span", {class: "num dim"}, block.executions ? app.short(block.executions) : "–"),
    h("span", {class: "num dim"}, block.host_bytes ? app.ratio(block.host_bytes, block.bytes) : "–"),
    h("span", {class: "what"}, first || (block.insns ? app.count(block.insns, "instruction") : "code not in this page")),
    h("span", {class: "bar", "aria-hidden": "true"}, share > 0 && h("i", {style: {width: `${100 * share}%`}})));
  }

  function render() {
    const sort = SORTS.find((each) => each.id === state.sort);
    const filter = FILTERS.find((each) => each[0] === state.filter)[2];
    state.shown = app.data.blocks.filter((block) => filter(block) && matches(block, state.text));
    state.shown.sort((a, b) => (sort.value(b) - sort.value(a)) * (state.reverse ? -1 : 1) || a.rank - b.rank);
    app.byId("list").replaceChildren(...state.shown.map((block) => {
      if (!rows.has(block)) {
        rows.set(block, makeRow(block));
      }
      return rows.get(block);
    }));
    if (!state.shown.length) {
      app.byId("list").replaceChildren(h("p", {class: "empty"}, "No such block."));
    }
    const total = app.data.totals.blocks;
    app.byId("list-foot").textContent = `${app.full(state.shown.length)} of ${app.full(app.data.blocks.length)} blocks` +
      (total > app.data.blocks.length ? `, the hottest of ${app.full(total)}` : "");
    for (const button of app.byId("sorts").children) {
      const chosen = button.dataset.sort === state.sort;
      button.setAttribute("aria-pressed", String(chosen));
      button.textContent = SORTS.find((each) => each.id === button.dataset.sort).label + (chosen ? (state.reverse ? " ↑" : " ↓") : "");
    }
    mark(app.state && app.state.block);
  }

  function mark(block) {
    for (const row of app.byId("list").querySelectorAll('[aria-selected="true"]')) {
      row.setAttribute("aria-selected", "false");
    }
    const row = block && rows.get(block);
    if (row && row.isConnected) {
      row.setAttribute("aria-selected", "true");
      app.byId("list").setAttribute("aria-activedescendant", row.id);
    } else {
      app.byId("list").removeAttribute("aria-activedescendant");
    }
    return row;
  }

  app.markInList = function (block) {
    const row = mark(block);
    if (row && row.isConnected) {
      row.scrollIntoView({block: "nearest"});
    }
  };

  app.stepInList = function (step) {
    const at = state.shown.indexOf(app.state.block);
    const next = state.shown[at < 0 ? 0 : app.clamp(at + step, 0, state.shown.length - 1)];
    if (next) {
      app.choose(next);
    }
  };

  app.startList = function () {
    app.byId("sorts").append(...SORTS.map((sort) => h("button", {"data-sort": sort.id, title: sort.title, onclick() {
      state.reverse = state.sort === sort.id && !state.reverse;
      state.sort = sort.id;
      render();
    }})));
    app.byId("filter").append(...FILTERS.filter((filter) => filter[0] === "all" || app.data.blocks.some(filter[2]))
      .map(([id, label]) => h("option", {value: id}, label)));
    app.byId("filter").addEventListener("change", (event) => {
      state.filter = event.target.value;
      render();
    });
    app.byId("search").addEventListener("input", (event) => {
      state.text = event.target.value.trim().toLowerCase();
      render();
    });
    app.byId("search").addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") {
        event.preventDefault();
        app.byId("list").focus();
        if (state.shown.length && !state.shown.includes(app.state.block)) {
          app.choose(state.shown[0]);
        }
      } else if (event.key === "Escape") {
        event.target.value = "";
        state.text = "";
        render();
      }
    });
    app.byId("list").addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) {
        app.choose(app.data.byName.get(row.dataset.name), "block");
      }
    });
    app.byId("list").addEventListener("keydown", (event) => {
      const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9};
      if (event.key in steps) {
        event.preventDefault();
        app.stepInList(steps[event.key]);
      } else if (event.key === "Enter" && app.state.block) {
        app.show("block");
        app.focusCode();
      }
    });
    render();
  };
})(window.explorer = window.explorer || {});
