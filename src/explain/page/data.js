/* What the C program left in #data, as objects, and the edges between blocks. page_data.c writes it. */
(function (app) {
  "use strict";

  const raw = JSON.parse(document.getElementById("data").textContent);
  const FLAG = {interpreted: 1, address: 2, v86: 4, paging: 8, profile: 16, exact: 32, forced: 64};

  /* Translations are known by their id, interpreted blocks by "i" and their linear address. */
  function nameOf(key, interpreted) {
    return interpreted ? `i${app.hex(key)}` : String(key);
  }

  /* Addresses inside the translation as offsets, like those at the left of the code. */
  function withOffsets(text, host) {
    return text.replace(/\b0x0*([0-9a-f]{9,16})\b/gi, function (whole, digits) {
      const offset = BigInt(`0x${digits}`) - BigInt(`0x${host.address || 0}`);
      return offset >= 0n && offset <= BigInt(host.size) ? `+${app.hex(Number(offset), 3)}` : whole;
    });
  }

  const blocks = raw.blocks.map(function (values, rank) {
    const block = {rank};
    raw.block_columns.forEach((column, index) => {
      block[column] = values[index];
    });
    for (const [name, bit] of Object.entries(FLAG)) {
      block[name] = (block.flags & bit) !== 0;
    }
    block.name = nameOf(block.key, block.interpreted);
    block.label = block.address ? app.hex(block.linear) : `#${block.key}`;
    return block;
  });
  const byName = new Map(blocks.map((block) => [block.name, block]));
  const byLinear = new Map(); // the heaviest translation, or else the interpreted block
  for (const block of blocks) {
    const known = byLinear.get(block.linear);
    if (block.address && (!known || (known.interpreted && !block.interpreted))) {
      byLinear.set(block.linear, block);
    }
  }
  for (const detail of raw.details) {
    const block = byName.get(nameOf(detail.key, detail.interpreted));
    if (!block) {
      continue;
    }
    block.detail = detail;
    detail.insns = detail.insns.map(([eip, bytes, text, kind, callout]) => ({eip, bytes, text, kind, callout}));
    detail.ops = (detail.ops || []).map(([n, insn, text]) => ({n, insn, text}));
    detail.passes = (detail.passes || []).map((pass) => ({name: pass.name, ops: pass.ops.map((i) => detail.ops[i])}));
    if (detail.host) {
      const {host} = detail;
      host.code = host.code.map(([at, bytes, text, insn, n]) => ({at, bytes, text: withOffsets(text, host), insn, n}));
    }
    block.words = detail.insns.map((insn) => `${insn.text} ${insn.callout}`).join("\n").toLowerCase();
  }

  /* ---- edges ---- */

  function signed(bytes, at, size) {
    let value = 0;
    for (let i = size - 1; i >= 0; i -= 1) {
      value = value * 256 + bytes[at + i];
    }
    return value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value;
  }

  /* Where a direct branch goes, from its bytes: {taken, falls}, EIPs; undefined where it does not go. */
  function branchTargets(insn, bits) {
    const bytes = (insn.bytes.match(/../g) || []).map((pair) => parseInt(pair, 16));
    const next = parseInt(insn.eip, 16) + bytes.length;
    let wide = bits === 32;
    let at = 0;
    while ([0x66, 0x67, 0x2e, 0x3e, 0xf2, 0xf3].includes(bytes[at])) {
      wide = wide !== (bytes[at] === 0x66);
      at += 1;
    }
    const opcode = bytes[at];
    const reach = (from, size) => (((next + signed(bytes, from, size)) & (wide ? -1 : 0xffff)) >>> 0);
    const displacement = wide ? 4 : 2;
    if ((opcode >= 0x70 && opcode <= 0x7f) || (opcode >= 0xe0 && opcode <= 0xe3)) {
      return {taken: reach(at + 1, 1), falls: next};
    }
    if (opcode === 0x0f && bytes[at + 1] >= 0x80 && bytes[at + 1] <= 0x8f) {
      return {taken: reach(at + 2, displacement), falls: next};
    }
    if (opcode === 0xeb) {
      return {jumps: reach(at + 1, 1)};
    }
    if (opcode === 0xe9 || opcode === 0xe8) {
      return {jumps: reach(at + 1, displacement)};
    }
    const indirect = (opcode === 0xff && [2, 3, 4, 5].includes((bytes[at + 1] >> 3) & 7)) ||
      [0xc2, 0xc3, 0xca, 0xcb, 0xcf, 0x9a, 0xea, 0xcc, 0xcd, 0xf4].includes(opcode);
    return indirect ? {} : {falls: next};
  }

  /* [{kind, linear, block, count}]: block is undefined if the page does not know it, count if nobody counted. */
  function findSuccessors(block) {
    const detail = block.detail;
    const edges = [];
    const taken = detail && detail.profile && detail.profile.taken;
    const base = detail ? parseInt(detail.cs_base, 16) || 0 : 0;
    const last = detail && detail.insns[detail.insns.length - 1];
    const branch = last ? branchTargets(last, block.bits) : {};
    const linearOf = (eip) => (base + eip) >>> 0;
    const certain = branch.taken === undefined && taken && !taken.some(Boolean); // left through a callout: no slot counted
    const countOf = (slot) => (certain ? block.executions : taken ? taken[slot] : undefined);

    function add(kind, slot, eip) {
      const linked = block[`link${slot}`] >= 0 && !block.interpreted ? byName.get(String(block[`link${slot}`])) : undefined;
      const linear = linked && linked.address ? linked.linear : eip === undefined ? undefined : linearOf(eip);
      const target = linked || byLinear.get(linear);
      if (linear !== undefined || target) {
        edges.push({from: block, kind, linear, block: target, count: countOf(slot), linked: linked !== undefined});
      }
    }
    if (branch.taken !== undefined) {
      add("taken", 1, branch.taken);
      add("falls through", 0, branch.falls);
    } else if (branch.jumps !== undefined) {
      add("jumps", 0, branch.jumps);
    } else if (branch.falls !== undefined) {
      add("falls through", 0, branch.falls);
    } else {
      add("link", 0, undefined);
      add("link", 1, undefined);
    }
    for (const [eip, count] of (detail && detail.profile && detail.profile.targets) || []) {
      const linear = linearOf(parseInt(eip, 16) || 0);
      const same = edges.find((edge) => edge.linear === linear);
      if (same) {
        same.count = Math.max(same.count || 0, count);
      } else {
        edges.push({from: block, kind: "indirect", linear, block: byLinear.get(linear), count});
      }
    }
    return edges.filter((edge) => edge.kind !== "link" || edge.linked);
  }

  let incoming;
  app.successors = function (block) {
    block.successors = block.successors || findSuccessors(block);
    return block.successors;
  };
  app.predecessors = function (block) {
    if (!incoming) {
      incoming = new Map();
      for (const from of blocks) {
        if (from.interpreted && byLinear.get(from.linear) !== from) {
          continue; // the same code was translated, and that is what was counted
        }
        for (const edge of app.successors(from)) {
          if (edge.block) {
            incoming.set(edge.block, incoming.get(edge.block) || []);
            incoming.get(edge.block).push(edge);
          }
        }
      }
    }
    return (incoming.get(block) || []).slice().sort((a, b) => (b.count || 0) - (a.count || 0));
  };

  app.data = {
    raw, blocks, byName, byLinear,
    source: raw.source,
    totals: raw.totals,
    heaviest: blocks.reduce((most, block) => Math.max(most, block.weight), 0),
    endTime: Math.max(raw.source.end_t, ...raw.timeline.occupancy.slice(-1).map((sample) => sample[0]), 1),
  };
  app.metricName = {
    host_us: "Time", instructions: "Share", none: "Order",
  }[raw.totals.metric];
  app.shareOf = (block) => (raw.totals.metric === "none" ? "–" : app.percent(block.weight, raw.totals.weight));
  app.modeText = (block) => [
    block.v86 ? "virtual 8086" : `${block.bits}-bit`, block.v86 ? "" : `ring ${block.cpl}`, block.paging ? "paging" : "no paging",
  ].filter(Boolean).join(" · ");
})(window.explorer = window.explorer || {});
