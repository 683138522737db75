/* What happened when: instructions by engine, the code cache, and events. One cursor goes through all of it. */
(function (app) {
  "use strict";

  const {h} = app;
  const {raw, endTime} = app.data;
  const samples = raw.timeline.occupancy.map(([t, used, size, translations, dead, instructions, interpreted]) => ({t, used, size, translations, dead, instructions, interpreted}));
  const LANES = [
    ["translation", "translations", "host"], ["link", "links made", "host"], ["unlink", "links cut", "removed"],
    ["death: guest store", "✕ guest store", "removed"], ["death: DMA", "✕ DMA", "removed"], ["death: debugger", "✕ debugger", "removed"],
    ["death: eviction", "✕ eviction", "removed"], ["death: flush", "✕ flush", "removed"], ["death: replaced", "✕ replaced", "removed"], ["death: other", "✕ other", "removed"],
    ["int: exception", "exceptions", "critical"], ["int: interrupt", "interrupts", "ir"], ["int: software", "INT n", "ir"],
    ["mmu: fill", "TLB fills", "guest"], ["mmu: flush", "TLB flushes", "guest"], ["mmu: invlpg", "INVLPG", "guest"], ["mmu: fault", "page faults", "critical"],
  ];
  const state = {width: 0, t: 0, scale: null};

  /* Between samples, not nearer to each other than the eye can tell: instructions a second by engine, and the share of
   * the interpreter. */
  function rates() {
    const points = {interpreted: [], translated: [], share: []};
    let before = {t: 0, instructions: 0, interpreted: 0};
    for (const sample of samples) {
      if (sample.t - before.t < endTime / 240 && sample !== samples[samples.length - 1]) {
        continue;
      }
      const seconds = Math.max(1, sample.t - before.t) / 1e6;
      const interpreted = Math.max(0, sample.interpreted - before.interpreted);
      const all = Math.max(interpreted, sample.instructions - before.instructions);
      points.interpreted.push([sample.t, interpreted / seconds]);
      points.translated.push([sample.t, (all - interpreted) / seconds]);
      points.share.push([sample.t, all ? interpreted / all : 0]);
      before = sample;
    }
    for (const list of Object.values(points)) {
      list.unshift([0, list.length ? list[0][1] : 0]);
    }
    return points;
  }

  function readout(t) {
    const at = samples.findIndex((sample) => sample.t >= t);
    const sample = samples[at < 0 ? samples.length - 1 : at];
    const bucket = Math.floor(t / raw.timeline.width);
    const events = LANES.map(([id, label]) => [label, (raw.timeline.series[id] || [])[bucket] || 0]).filter(([, count]) => count);
    const parts = [app.time(t)];
    if (sample) {
      const before = samples[samples.indexOf(sample) - 1] || {t: 0, instructions: 0, interpreted: 0};
      const all = Math.max(0, sample.instructions - before.instructions);
      parts.push(`${app.short(all / (Math.max(1, sample.t - before.t) / 1e6))} instructions/s, ${app.percent(sample.interpreted - before.interpreted, all)} interpreted`);
      parts.push(`cache ${app.size(sample.used)}, ${app.count(sample.translations, "translation")}`);
    }
    return parts.concat(events.map(([label, count]) => `${app.short(count)} ${label}`)).join(" · ");
  }

  function moveCursor(t) {
    state.t = app.clamp(t, 0, endTime);
    const cursor = app.byId("time-cursor");
    const strip = app.byId("strip");
    const text = readout(state.t);
    cursor.style.left = `${state.scale.x(state.t)}px`;
    app.byId("time-readout").textContent = text;
    strip.setAttribute("aria-valuenow", String(Math.round(state.t)));
    strip.setAttribute("aria-valuetext", text);
  }

  const percent = (share) => `${Number((100 * share).toPrecision(2))} %`;

  function legend(items) {
    return h("span", {class: "legend small"}, items.map(([kind, text]) => h("span", {}, h("i", {class: kind}), text)));
  }

  function charts(scale) {
    const parts = [];
    if (samples.length > 1) {
      const points = rates();
      const held = samples.map((sample) => [sample.t, sample.used]);
      const size = samples[samples.length - 1].size;
      held.unshift([0, held[0][1]]);
      parts.push(
        h("div", {class: "chart-head"}, h("h2", {}, "Guest instructions a second"), legend([["guest", "interpreted"], ["host", "translated"]])),
        app.areaChart({scale, endTime, height: 190, steps: true, format: app.short, label: "Instructions a second by engine",
          series: [{className: "guest", points: points.interpreted}, {className: "host", points: points.translated}]}),
        h("div", {class: "chart-head"}, h("h2", {}, "Of these interpreted")),
        app.areaChart({scale, endTime, height: 92, steps: true, format: percent, label: "The interpreter's share of the instructions",
          series: [{className: "guest", points: points.share}]}),
        h("div", {class: "chart-head"}, h("h2", {}, "Code cache"), h("span", {class: "dim small"}, `${app.size(samples[samples.length - 1].used)} of ${app.size(size)} at the end, ` +
          `${app.count(samples[samples.length - 1].translations, "translation")}, ${app.full(samples[samples.length - 1].dead)} died`)),
        app.areaChart({scale, endTime, height: 110, format: app.size, label: "Bytes of host code in the cache",
          series: [{className: "host", points: held}], limit: {value: size, label: "full"}}));
    } else {
      parts.push(h("p", {class: "empty"}, "No samples of the engines and the code cache: ", h("code", {}, "-d profile"), " writes them."));
    }
    return parts;
  }

  function lanes(scale) {
    const shown = LANES.filter(([id]) => raw.timeline.series[id]);
    return shown.length > 0 && [
      h("div", {class: "chart-head"}, h("h2", {}, "Events"), h("span", {class: "dim small"}, "heights are square roots, each row has its own scale")),
      shown.map(function ([id, label, kind]) {
        const counts = raw.timeline.series[id];
        const total = counts.reduce((sum, count) => sum + count, 0);
        return h("div", {class: "lane"},
          h("span", {class: "lane-label"}, label, " ", h("b", {class: "num"}, app.short(total))),
          app.barRow({scale, counts, width: raw.timeline.width, height: 22, className: `fill-${kind}`, label: `${label}: ${total}`}));
      }),
    ];
  }

  app.renderTimeline = function () {
    const panel = app.byId("panel-timeline");
    const width = Math.max(320, panel.clientWidth - 34);
    if (panel.hidden || width === state.width) {
      return;
    }
    state.width = width;
    state.scale = app.chartScale(width, endTime);
    panel.replaceChildren(h("div", {class: "card"},
      h("p", {id: "time-readout", class: "readout num"}),
      h("div", {id: "strip", class: "strip", tabindex: "0", role: "slider", "aria-label": "Time", "aria-valuemin": "0", "aria-valuemax": String(endTime)},
        charts(state.scale), lanes(state.scale), h("div", {id: "time-cursor", class: "cursor", "aria-hidden": "true"}))));
    const strip = app.byId("strip");
    strip.addEventListener("pointermove", (event) => moveCursor(state.scale.t(event.clientX - strip.getBoundingClientRect().left)));
    strip.addEventListener("keydown", (event) => {
      const steps = {ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1};
      if (event.key in steps) {
        event.preventDefault();
        moveCursor(state.t + steps[event.key] * endTime);
      }
    });
    moveCursor(state.t || endTime);
  };
})(window.explorer = window.explorer || {});
