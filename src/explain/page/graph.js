/* The control-flow graph of the hottest blocks, or of what surrounds the chosen one. */
(function (app) {
  "use strict";

  const {h, svg} = app;
  const NODE = {width: 178, height: 46};
  const state = {region: "hot", count: 24, zoom: 1, nodes: [], signature: ""};

  /* ---- what is in the graph ---- */

  function hotRegion(count) {
    return app.data.blocks.slice(0, 2000).filter((block) => block.weight > 0 || app.data.totals.metric === "none").slice(0, count);
  }

  /* Breadth first over edges both ways, the busiest first. */
  function around(start, count) {
    const found = new Set([start]);
    for (const block of found) {
      const next = [...app.successors(block).map((edge) => [edge.block, edge.count || 0]), ...app.predecessors(block).map((edge) => [edge.from, edge.count || 0])];
      next.sort((a, b) => b[1] - a[1]);
      for (const [other] of next) {
        if (other && found.size < count) {
          found.add(other);
        }
      }
    }
    return [...found];
  }

  function build() {
    const chosen = app.state.block;
    const blocks = state.region === "around" && chosen ? around(chosen, state.count) : hotRegion(state.count);
    const nodes = blocks.map((block, rank) => ({block, rank, ...NODE}));
    const byBlock = new Map(nodes.map((node) => [node.block, node]));
    const edges = [];
    for (const node of nodes) {
      for (const edge of app.successors(node.block)) {
        const to = byBlock.get(edge.block);
        if (to) {
          const whole = app.successors(node.block).reduce((sum, each) => sum + (each.count || 0), 0);
          edges.push({from: node, to, weight: edge.count || 0, counted: edge.count !== undefined, kind: edge.kind, share: whole ? (edge.count || 0) / whole : 1});
        }
      }
    }
    return {nodes, edges};
  }

  /* ---- drawing ---- */

  /* From the bottom of a node to the top of another, through the dummies between them, with upright tangents. */
  function forwardPath(edge, at) {
    const points = [{x: at.x, y: edge.from.y + edge.from.height / 2}, ...edge.path, {x: edge.to.x + at.enter, y: edge.to.y - edge.to.height / 2 - 5}];
    let d = `M${points[0].x},${points[0].y}`;
    for (let i = 1; i < points.length; i += 1) {
      const middle = (points[i - 1].y + points[i].y) / 2;
      d += ` C${points[i - 1].x},${middle} ${points[i].x},${middle} ${points[i].x},${points[i].y}`;
    }
    return d;
  }

  /* Out at the bottom, up a lane beside the nodes, in at the top. */
  function backPath(edge, at) {
    const bottom = edge.from.y + edge.from.height / 2;
    const top = edge.to.y - edge.to.height / 2;
    const lane = edge.path.length ? [...edge.path].reverse() : [{x: edge.from.x + edge.from.width / 2 + 15, y: edge.from.y}];
    let d = `M${at.x},${bottom} C${at.x},${bottom + 26} ${lane[0].x},${bottom + 26} ${lane[0].x},${lane[0].y}`;
    for (let i = 1; i < lane.length; i += 1) {
      const middle = (lane[i - 1].y + lane[i].y) / 2;
      d += ` C${lane[i - 1].x},${middle} ${lane[i].x},${middle} ${lane[i].x},${lane[i].y}`;
    }
    const last = lane[lane.length - 1];
    return `${d} C${last.x},${top - 26} ${edge.to.x + at.enter},${top - 30} ${edge.to.x + at.enter},${top - 5}`;
  }

  function edgeElement(edge, heaviest) {
    const siblings = edge.from.out;
    const place = siblings.indexOf(edge);
    const x = edge.from.x + (siblings.length > 1 ? (place / (siblings.length - 1) - 0.5) * Math.min(124, 62 * siblings.length) : 0);
    const entries = edge.to.in;
    const enter = entries.length > 1 ? (entries.indexOf(edge) / (entries.length - 1) - 0.5) * Math.min(110, 24 * entries.length) : 0;
    const goesBack = edge.back || edge.from === edge.to;
    const d = goesBack ? backPath(edge, {x, enter}) : forwardPath(edge, {x, enter});
    const width = edge.counted && heaviest ? 1 + 4 * (edge.weight / heaviest) ** 0.35 : 1.2;
    const kind = edge.kind.split(" ")[0];
    return svg("g", {class: `flow-edge ${kind}${edge.counted ? edge.weight ? "" : " never" : " uncounted"}${goesBack ? " back" : ""}`},
      svg("title", {}, `${edge.from.block.label} → ${edge.to.block.label}: ${edge.kind}${edge.counted ? `, ${app.full(edge.weight)} times` : ""}`),
      svg("path", {d, "stroke-width": width.toFixed(1), "marker-end": `url(#arrow-${kind})`}),
      siblings.length > 0 && edge.counted && edge.share < 0.999 && svg("text", {
        x: goesBack ? x - 4 : x + 5, y: edge.from.y + edge.from.height / 2 + 13, class: "share", "text-anchor": goesBack ? "end" : "start",
      }, app.percent(edge.share, 1)));
  }

  function nodeElement(node) {
    const {block} = node;
    const insns = block.detail ? block.detail.insns : [];
    const heat = app.data.heaviest ? Math.sqrt(block.weight / app.data.heaviest) : 0;
    const last = insns.length ? insns[insns.length - 1].text : block.insns ? app.count(block.insns, "instruction") : "code not in the trace";
    return svg("g", {
      class: `node${block === app.state.block ? " chosen" : ""}${block.interpreted ? " interpreted" : ""}`, tabindex: "-1", role: "button", "data-name": block.name,
      transform: `translate(${node.x - node.width / 2},${node.y - node.height / 2})`,
      "aria-label": `block ${block.label}, ${app.shareOf(block)}, ${app.count(insns.length, "instruction")}, ends with ${last}`,
    },
    svg("title", {}, insns.map((insn) => `${insn.eip}  ${insn.text}`).join("\n") || block.label),
    svg("rect", {width: node.width, height: node.height, rx: 8, style: {"--heat": `${Math.round(6 + 62 * heat)}%`}}),
    svg("text", {x: 11, y: 19, class: "label"}, block.label, block.critical > 0 && svg("tspan", {class: "critical"}, " ◆")),
    svg("text", {x: node.width - 11, y: 19, class: "weight", "text-anchor": "end"}, app.data.totals.metric === "none" ? "" : app.shareOf(block)),
    svg("text", {x: 11, y: 36, class: "last"}, last.length > 25 ? `${last.slice(0, 24)}…` : last));
  }

  function arrow(kind) {
    return svg("marker", {id: `arrow-${kind}`, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse"},
      svg("path", {d: "M0,0.5 L8,4 L0,7.5 z", class: `arrow ${kind}`}));
  }

  function draw() {
    const {nodes, edges} = build();
    const holder = app.byId("graph");
    state.nodes = nodes;
    if (!nodes.length) {
      holder.replaceChildren(h("p", {class: "empty"}, "Nothing has been counted in this trace: add profile or exec to -d."));
      return;
    }
    const size = app.layOutGraph(nodes, edges, Math.max(700, holder.clientWidth - 40));
    for (const node of nodes) {
      node.out = edges.filter((edge) => edge.from === node).sort((a, b) => a.to.x + (a.back ? 200 : 0) - b.to.x - (b.back ? 200 : 0));
      node.in = edges.filter((edge) => edge.to === node).sort((a, b) => a.from.x + (a.back ? 1000 : 0) - b.from.x - (b.back ? 1000 : 0));
    }
    const heaviest = Math.max(...edges.map((edge) => edge.weight), 0);
    const margin = 14;
    state.size = {width: size.width + 2 * margin, height: size.height + 2 * margin};
    holder.replaceChildren(svg("svg", {id: "flow", role: "group", "aria-label": "Control-flow graph", viewBox: `${-margin} ${-margin} ${state.size.width} ${state.size.height}`},
      svg("defs", {}, ["taken", "falls", "jumps", "indirect", "link"].map(arrow)),
      svg("g", {}, edges.map((edge) => edgeElement(edge, heaviest))),
      svg("g", {}, nodes.map(nodeElement))));
    app.byId("flow-note").textContent = app.count(nodes.length, "block") + (app.data.totals.metric === "none" ? ""
      : `, ${app.percent(nodes.reduce((sum, node) => sum + node.block.weight, 0), app.data.totals.weight)} of the ${app.data.totals.metric === "host_us" ? "time" : "instructions"}`);
    zoom(0);
  }

  /* ---- size and keys ---- */

  function zoom(step) {
    const picture = app.byId("flow");
    if (!picture) {
      return;
    }
    state.zoom = step === null ? 1 : app.clamp(state.zoom * 1.2 ** step, 0.2, 4);
    const room = app.byId("graph").clientWidth - 4;
    const fit = Math.max(0.62, Math.min(1.15, room / state.size.width));
    picture.setAttribute("width", state.size.width * fit * state.zoom);
    picture.setAttribute("height", state.size.height * fit * state.zoom);
  }

  /* The nearest node in that direction: distance along it, and sideways twice. */
  function nearest(from, dx, dy) {
    let best = null;
    let least = Infinity;
    for (const node of state.nodes) {
      const along = (node.x - from.x) * dx + (node.y - from.y) * dy;
      const across = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx);
      if (along > 4 && along + 2 * across < least) {
        least = along + 2 * across;
        best = node;
      }
    }
    return best;
  }

  function mark(block) {
    const nodes = [...app.byId("graph").querySelectorAll(".node")];
    const reachable = nodes.find((node) => block && node.dataset.name === block.name) || nodes[0];
    for (const node of nodes) {
      node.classList.toggle("chosen", Boolean(block) && node.dataset.name === block.name);
      node.setAttribute("tabindex", node === reachable ? "0" : "-1");
    }
  }

  /* Choosing may draw the graph anew, around the chosen block. */
  function chooseHere(block) {
    app.choose(block);
    const target = app.byId("graph").querySelector(`[data-name="${block.name}"]`);
    target.focus();
    target.scrollIntoView({block: "nearest", inline: "nearest"});
  }

  function onKey(event) {
    const element = event.target.closest(".node");
    const direction = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (event.key === "+" || event.key === "=") {
      zoom(1);
    } else if (event.key === "-") {
      zoom(-1);
    } else if (event.key === "0") {
      zoom(null);
    } else if (element && direction) {
      event.preventDefault();
      const from = state.nodes.find((node) => node.block.name === element.dataset.name);
      const to = nearest(from, ...direction);
      if (to) {
        chooseHere(to.block);
      }
    } else if (element && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      app.choose(app.data.byName.get(element.dataset.name), "block");
      app.focusCode();
    }
  }

  app.renderFlow = function () {
    const panel = app.byId("panel-flow");
    const signature = [state.region, state.count, state.region === "around" && app.state.block && app.state.block.name].join();
    if (!panel.firstChild) {
      panel.append(h("div", {class: "card flow-card"},
        h("div", {class: "flow-bar"},
          h("select", {id: "region", "aria-label": "Which part", onchange(event) {
            state.region = event.target.value;
            app.renderFlow();
          }}, h("option", {value: "hot"}, "The hottest blocks"), h("option", {value: "around"}, "Around the chosen block")),
          h("select", {id: "count", "aria-label": "How many blocks", onchange(event) {
            state.count = Number(event.target.value);
            app.renderFlow();
          }}, [12, 24, 48, 96, 160].map((count) => h("option", {value: count, selected: count === state.count}, `${count} blocks`))),
          h("span", {id: "flow-note", class: "dim small", role: "status"}),
          h("span", {class: "legend small"}, [["taken", "taken"], ["falls", "falls through, jumps"], ["indirect", "indirect"]].map(([kind, text]) =>
            h("span", {}, h("i", {class: `edge ${kind}`}), text))),
          h("span", {class: "zooms"}, [["−", -1, "smaller (-)"], ["+", 1, "larger (+)"], ["0", null, "as it was (0)"]].map(([text, step, title]) =>
            h("button", {class: "plain", title, "aria-label": title, onclick: () => zoom(step)}, text)))),
        h("div", {id: "graph", class: "graph"})));
      const graph = app.byId("graph");
      graph.addEventListener("keydown", onKey);
      graph.addEventListener("click", (event) => {
        const node = event.target.closest(".node");
        if (node) {
          chooseHere(app.data.byName.get(node.dataset.name));
        }
      });
      graph.addEventListener("dblclick", (event) => event.target.closest(".node") && app.show("block"));
    }
    if (signature !== state.signature && !panel.hidden) {
      state.signature = signature;
      draw();
    }
    mark(app.state.block);
  };
  app.zoomFlow = zoom;
  app.focusFlow = function () {
    const node = app.byId("graph").querySelector(".node[tabindex=\"0\"]");
    if (node) {
      node.focus();
    }
  };
})(window.explorer = window.explorer || {});
