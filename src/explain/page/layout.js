/* A layered layout of a directed graph (Sugiyama, Tagawa, Toda 1981): cycles are broken, nodes get layers, an order
 * within the layer with few crossings, and places near their neighbours. Knows nothing of blocks or SVG. */
(function (app) {
  "use strict";

  const LAYER_GAP = 54;
  const NODE_GAP = 26;
  const LANE = 16; // width of an edge that passes a layer
  const SWEEPS = 12;

  function components(nodes, edges) {
    const root = new Map(nodes.map((node) => [node, node]));
    function find(node) {
      let at = node;
      while (root.get(at) !== at) {
        root.set(at, root.get(root.get(at)));
        at = root.get(at);
      }
      return at;
    }
    for (const edge of edges) {
      root.set(find(edge.from), find(edge.to));
    }
    const groups = new Map();
    for (const node of nodes) {
      groups.set(find(node), (groups.get(find(node)) || []).concat(node));
    }
    return [...groups.values()];
  }

  /* Marks the edges that close a cycle, searching depth first from the nodes that nothing leads to. */
  function breakCycles(nodes, edges) {
    const out = new Map(nodes.map((node) => [node, []]));
    const entered = new Set();
    for (const edge of edges) {
      out.get(edge.from).push(edge);
      if (edge.from !== edge.to) {
        entered.add(edge.to);
      }
    }
    const state = new Map(); // 1: on the path, 2: done
    function visit(start) {
      const path = [{node: start, next: 0}];
      state.set(start, 1);
      while (path.length) {
        const top = path[path.length - 1];
        const edge = out.get(top.node)[top.next];
        top.next += 1;
        if (!edge) {
          state.set(top.node, 2);
          path.pop();
        } else if (state.get(edge.to) === 1) {
          edge.back = true;
        } else if (!state.has(edge.to)) {
          state.set(edge.to, 1);
          path.push({node: edge.to, next: 0});
        }
      }
    }
    for (const each of out.values()) {
      each.sort((a, b) => (b.weight || 0) - (a.weight || 0));
    }
    for (const node of [...nodes].sort((a, b) => entered.has(a) - entered.has(b) || a.rank - b.rank)) {
      if (!state.has(node)) {
        visit(node);
      }
    }
  }

  /* The longest path from above decides. */
  function assignLayers(nodes, edges) {
    const forward = edges.filter((edge) => !edge.back && edge.from !== edge.to);
    const waiting = new Map(nodes.map((node) => [node, 0]));
    for (const edge of forward) {
      waiting.set(edge.to, waiting.get(edge.to) + 1);
    }
    const ready = nodes.filter((node) => !waiting.get(node));
    for (const node of nodes) {
      node.layer = 0;
    }
    while (ready.length) {
      const node = ready.shift();
      for (const edge of forward) {
        if (edge.from === node) {
          edge.to.layer = Math.max(edge.to.layer, node.layer + 1);
          waiting.set(edge.to, waiting.get(edge.to) - 1);
          if (!waiting.get(edge.to)) {
            ready.push(edge.to);
          }
        }
      }
    }
  }

  /* Edges that pass layers get a dummy in each; those that go back, in every layer from their target to their source. */
  function addDummies(edges, layers) {
    const joints = []; // pairs that want to be near each other: {upper, lower} or {beside, dummy}
    function dummy(layer) {
      const made = {layer, width: LANE, height: 0, dummy: true};
      layers[layer].push(made);
      return made;
    }
    for (const edge of edges) {
      edge.path = [];
      if (edge.from === edge.to) {
        continue;
      }
      const [top, bottom] = edge.back ? [edge.to.layer, edge.from.layer] : [edge.from.layer + 1, edge.to.layer - 1];
      for (let layer = top; layer <= bottom; layer += 1) {
        edge.path.push(dummy(layer));
      }
      const chain = edge.back ? edge.path : [edge.from, ...edge.path, edge.to];
      for (let i = 1; i < chain.length; i += 1) {
        joints.push({upper: chain[i - 1], lower: chain[i]});
      }
      if (edge.back && edge.path.length) {
        joints.push({beside: edge.to, dummy: edge.path[0]}, {beside: edge.from, dummy: edge.path[edge.path.length - 1]});
      }
    }
    return joints;
  }

  function neighbours(joints) {
    const near = new Map();
    const add = (node, side, other) => {
      const lists = near.get(node) || {up: [], down: [], side: []};
      lists[side].push(other);
      near.set(node, lists);
    };
    for (const joint of joints) {
      if (joint.beside) {
        add(joint.dummy, "side", joint.beside);
      } else {
        add(joint.lower, "up", joint.upper);
        add(joint.upper, "down", joint.lower);
      }
    }
    return near;
  }

  function crossings(layers, near) {
    let count = 0;
    for (const layer of layers) {
      const ends = layer.map((node) => ((near.get(node) || {}).down || []).map((other) => other.order));
      for (let i = 0; i < ends.length; i += 1) {
        for (let j = i + 1; j < ends.length; j += 1) {
          for (const a of ends[i]) {
            count += ends[j].filter((b) => b < a).length;
          }
        }
      }
    }
    return count;
  }

  function orderLayers(layers, near) {
    const number = (layer) => layer.forEach((node, index) => {
      node.order = index;
    });
    layers.forEach(number);
    let best = layers.map((layer) => [...layer]);
    let fewest = crossings(layers, near);
    for (let sweep = 0; sweep < SWEEPS && fewest; sweep += 1) {
      const down = sweep % 2 === 0;
      for (const layer of down ? layers : [...layers].reverse()) {
        for (const node of layer) {
          const lists = near.get(node) || {up: [], down: [], side: []};
          const orders = [...lists[down ? "up" : "down"].map((other) => other.order), ...lists.side.map((other) => other.order + 0.6)];
          node.wish = orders.length ? orders.reduce((sum, order) => sum + order, 0) / orders.length : node.order;
        }
        layer.sort((a, b) => a.wish - b.wish || a.order - b.order);
        number(layer);
      }
      const count = crossings(layers, near);
      if (count < fewest) {
        fewest = count;
        best = layers.map((layer) => [...layer]);
      }
    }
    best.forEach((layer, index) => {
      layers[index] = layer;
      number(layer);
    });
  }

  /* Nodes of one layer as near to their wishes as their order allows, in least squares: neighbours that would overlap
   * become one group with the mean of their wishes (pool adjacent violators). */
  function settle(layer) {
    const groups = [];
    let offset = 0;
    layer.forEach((node, index) => {
      if (index) {
        offset += (layer[index - 1].width + node.width) / 2 + (node.dummy && layer[index - 1].dummy ? 4 : NODE_GAP);
      }
      node.offset = offset;
      const weight = node.dummy ? 2 : 1;
      let group = {sum: (node.wish - offset) * weight, weight, first: index};
      while (groups.length && groups[groups.length - 1].sum / groups[groups.length - 1].weight > group.sum / group.weight) {
        const before = groups.pop();
        group = {sum: before.sum + group.sum, weight: before.weight + group.weight, first: before.first};
      }
      groups.push(group);
    });
    groups.forEach((group, index) => {
      const end = index + 1 < groups.length ? groups[index + 1].first : layer.length;
      for (let i = group.first; i < end; i += 1) {
        layer[i].x = group.sum / group.weight + layer[i].offset;
      }
    });
  }

  function place(layers, near) {
    for (const layer of layers) {
      let x = 0;
      for (const node of layer) {
        node.x = x + node.width / 2;
        x += node.width + NODE_GAP;
      }
    }
    for (let sweep = 0; sweep < 2 * SWEEPS; sweep += 1) {
      for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
        for (const node of layer) {
          const lists = near.get(node) || {up: [], down: [], side: []};
          const along = [...lists.up, ...lists.down].map((other) => other.x);
          const wishes = along.length ? along : lists.side.map((other) => other.x + other.width / 2 + LANE);
          node.wish = wishes.length ? wishes.reduce((sum, x) => sum + x, 0) / wishes.length : node.x;
        }
        settle(layer);
      }
    }
    let y = LAYER_GAP / 2;
    for (const layer of layers) {
      const height = Math.max(...layer.map((node) => node.height), 0);
      for (const node of layer) {
        node.y = y + height / 2;
      }
      y += height + LAYER_GAP;
    }
  }

  function layOut(nodes, edges) {
    breakCycles(nodes, edges);
    assignLayers(nodes, edges);
    const layers = Array.from({length: Math.max(...nodes.map((node) => node.layer)) + 1}, () => []);
    for (const node of nodes) {
      layers[node.layer].push(node);
    }
    const near = neighbours(addDummies(edges, layers));
    orderLayers(layers, near);
    place(layers, near);
    const all = layers.flat();
    const left = Math.min(...all.map((node) => node.x - node.width / 2));
    for (const node of all) {
      node.x -= left;
    }
    const loops = nodes.filter((node) => edges.some((edge) => edge.from === node && edge.to === node));
    return {
      all,
      width: Math.max(...all.map((node) => node.x + node.width / 2), ...loops.map((node) => node.x + node.width / 2 + 2 * LANE)),
      height: Math.max(...nodes.map((node) => node.y + node.height / 2)) + LAYER_GAP / 2,
    };
  }

  /* NODES: [{width, height, rank}], EDGES: [{from, to, weight}]. Gives nodes x and y (their middle), edges `back` and
   * `path` (points to pass), and returns the size of it all. Parts that nothing joins stand beside each other. */
  app.layOutGraph = function (nodes, edges, wantedWidth) {
    let x = 0;
    let y = 0;
    let shelf = 0;
    let width = 0;
    let column = null; // the last one of the shelf: what is small goes below its neighbour
    const parts = components(nodes, edges).map((group) => ({
      group, box: layOut(group, edges.filter((edge) => group.includes(edge.from))),
    })).sort((a, b) => Math.min(...a.group.map((node) => node.rank)) - Math.min(...b.group.map((node) => node.rank)));
    for (const {box} of parts) {
      if (column && column.bottom + box.height <= y + shelf && box.width <= column.width) {
        for (const node of box.all) {
          node.x += column.x;
          node.y += column.bottom;
        }
        column.bottom += box.height;
        continue;
      }
      if (x && x + box.width > wantedWidth) {
        y += shelf;
        x = 0;
        shelf = 0;
      }
      for (const node of box.all) {
        node.x += x;
        node.y += y;
      }
      column = {x, width: box.width, bottom: y + box.height};
      x += box.width + NODE_GAP;
      width = Math.max(width, x - NODE_GAP);
      shelf = Math.max(shelf, box.height);
    }
    return {width, height: y + shelf};
  };
})(window.explorer = window.explorer || {});
