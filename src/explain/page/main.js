/* The page as a whole: what is chosen, views, keys, colours, and the address of all that in the URL's fragment:
 * #block=ID&view=block|flow|timeline|events&pass=N&theme=light|dark. */
(function (app) {
  "use strict";

  const {h} = app;
  const VIEWS = ["block", "flow", "timeline", "events"];
  const THEMES = {auto: "◐", light: "☀", dark: "☾"};
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  app.state = {view: "block", block: null, pass: -1, bytes: false, theme: "auto"};

  /* ---- views ---- */

  function render() {
    const {view} = app.state;
    document.body.dataset.view = view;
    for (const each of VIEWS) {
      const chosen = each === view;
      app.byId(`panel-${each}`).hidden = !chosen;
      app.byId(`tab-${each}`).setAttribute("aria-selected", String(chosen));
      app.byId(`tab-${each}`).setAttribute("tabindex", chosen ? "0" : "-1");
    }
    if (view === "block") {
      app.renderBlock();
    } else if (view === "flow") {
      app.renderFlow();
    } else if (view === "timeline") {
      app.renderTimeline();
    } else {
      app.renderEvents();
    }
  }

  app.show = function (view) {
    app.state.view = view;
    render();
    app.remember();
  };

  app.choose = function (block, view) {
    app.state.block = block;
    app.state.view = view || app.state.view;
    app.markInList(block);
    render();
    if (app.state.view === "block") {
      app.byId("view").scrollTop = 0;
    }
    app.remember();
  };

  /* ---- the fragment ---- */

  app.remember = function () {
    const {view, block, pass, theme} = app.state;
    const parts = [block && `block=${block.name}`, `view=${view}`, pass >= 0 && `pass=${pass}`, theme !== "auto" && `theme=${theme}`];
    try {
      window.history.replaceState(null, "", `#${parts.filter(Boolean).join("&")}`);
    } catch {
      // not allowed where the page is a part of another: then there is no address to share
    }
  };

  function recall() {
    const parts = new URLSearchParams(window.location.hash.slice(1));
    const block = app.data.byName.get(parts.get("block"));
    app.state.block = block || app.state.block || app.data.blocks[0] || null;
    app.state.view = VIEWS.includes(parts.get("view")) ? parts.get("view") : app.state.view;
    app.state.pass = /^\d+$/.test(parts.get("pass")) ? Number(parts.get("pass")) : -1;
    app.state.theme = parts.get("theme") in THEMES ? parts.get("theme") : app.state.theme;
  }

  /* ---- colours ---- */

  function colour() {
    const {theme} = app.state;
    const button = app.byId("theme");
    document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
    button.textContent = THEMES[theme];
    button.setAttribute("aria-label", `Colour scheme: ${theme === "auto" ? "the system's" : theme}`);
  }

  function nextTheme() {
    const names = Object.keys(THEMES);
    app.state.theme = names[(names.indexOf(app.state.theme) + 1) % names.length];
    colour();
    app.remember();
    try {
      window.localStorage.setItem("dragoman-theme", app.state.theme);
    } catch {
      // no storage here: the choice lasts as long as the page
    }
  }

  function storedTheme() {
    try {
      const theme = window.localStorage.getItem("dragoman-theme");
      return theme in THEMES ? theme : "auto";
    } catch {
      return "auto";
    }
  }

  /* ---- the head ---- */

  function figures() {
    const {totals, raw, source} = app.data;
    const last = raw.timeline.occupancy[raw.timeline.occupancy.length - 1];
    const dead = raw.deaths.causes.reduce((sum, cause) => sum + cause[1], 0);
    const seconds = source.milliseconds || app.data.endTime / 1000;
    const items = [
      last && [app.short(last[5]), "guest instructions", last[6] && `${app.percent(last[6], last[5])} interpreted`],
      [app.full(totals.translations), "translations", totals.time_ns && `${app.time(totals.time_ns / 1000)} to make`],
      totals.host_bytes && [app.ratio(totals.host_bytes, totals.guest_bytes), "host bytes for each guest byte", `${app.size(totals.guest_bytes)} → ${app.size(totals.host_bytes)}`],
      totals.host_insns && [app.ratio(totals.host_insns, totals.guest_insns), "host instructions for each of the guest's", totals.ops_final && `${app.ratio(totals.ops_final, totals.guest_insns)} ops`],
      totals.critical && [app.full(totals.critical), "critical instructions", totals.callouts && `${app.short(totals.callouts)} callouts`],
      dead && [app.full(dead), "invalidations"],
      [app.time(seconds * 1000), "traced"],
    ];
    return items.filter(Boolean).map(([value, label, note]) => h("div", {}, h("dt", {}, label), h("dd", {}, value, note && h("small", {}, ` ${note}`))));
  }

  function warnings() {
    const {source, totals} = app.data;
    return [
      source.cut_off && "The trace has no end: the emulator was killed, or still runs. What is there is shown.",
      source.damaged > 0 && `${app.count(source.damaged, "damaged line")} left out.`,
      totals.metric === "none" && "Nobody counted: without profile (or exec) in -d there is no time spent; blocks come in the order of the trace.",
      totals.metric === "instructions" && totals.profiled && !totals.exact && "Counters are sampled: proportions mean something, absolute numbers do not.",
      totals.forgotten > 0 && `${app.full(totals.forgotten)} lines of blocks beyond the program's limit are only counted.`,
    ].filter(Boolean).join(" ");
  }

  function head() {
    const {source} = app.data;
    app.byId("title").textContent = source.title;
    app.byId("subtitle").textContent = [source.program, source.engine && `engine ${source.engine}`,
      source.filter && source.filter.length && `filter ${[].concat(source.filter).join(",")}`].filter(Boolean).join(" · ");
    document.title = `${source.title} – Dragoman`;
    app.byId("figures").append(...figures());
    app.byId("notes").textContent = warnings();
    app.byId("notes").hidden = !app.byId("notes").textContent;
  }

  /* ---- keys ---- */

  const KEYS = {
    j: () => app.stepInList(1),
    k: () => app.stepInList(-1),
    "/": () => app.byId("search").focus(),
    "[": () => app.state.view === "block" && app.stepPass(-1),
    "]": () => app.state.view === "block" && app.stepPass(1),
    b: () => app.state.view === "block" && app.toggleBytes(),
    c() {
      app.show("block");
      app.focusCode();
    },
    t: nextTheme,
    "?": () => app.byId("help").showModal(),
    "+": () => app.state.view === "flow" && app.zoomFlow(1),
    "-": () => app.state.view === "flow" && app.zoomFlow(-1),
    0: () => app.state.view === "flow" && app.zoomFlow(null),
  };

  function onKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, dialog")) {
      return;
    }
    if (VIEWS[Number(event.key) - 1]) {
      event.preventDefault();
      app.show(VIEWS[Number(event.key) - 1]);
      if (app.state.view === "flow") {
        app.focusFlow();
      }
    } else if (Object.hasOwn(KEYS, event.key)) {
      event.preventDefault();
      KEYS[event.key]();
    }
  }

  function onTabKey(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (step) {
      event.preventDefault();
      app.show(VIEWS[(VIEWS.indexOf(app.state.view) + step + VIEWS.length) % VIEWS.length]);
      app.byId(`tab-${app.state.view}`).focus();
    }
  }

  /* ---- start ---- */

  app.state.theme = storedTheme();
  recall();
  colour();
  head();
  app.startList();
  render();
  app.markInList(app.state.block);
  app.byId("tabs").addEventListener("click", (event) => event.target.dataset.view && app.show(event.target.dataset.view));
  app.byId("tabs").addEventListener("keydown", onTabKey);
  app.byId("theme").addEventListener("click", nextTheme);
  app.byId("help-button").addEventListener("click", KEYS["?"]);
  dark.addEventListener("change", colour);
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", () => app.state.view === "timeline" && app.renderTimeline());
  window.addEventListener("hashchange", () => {
    recall();
    colour();
    app.markInList(app.state.block);
    render();
  });
})(window.explorer = window.explorer || {});
