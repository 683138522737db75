/* What a pass did: its ops beside those of the pass before. Ops keep their number `n`. */
(function (app) {
  "use strict";

  /* [{op, mark, before}] in the order of AFTER, with the ops that went at their old places.
   * mark: "" | "added" | "removed" | "changed"; before: the text that changed. */
  app.diffOps = function (before, after) {
    const old = new Map(before.map((op, index) => [op.n, {op, index}]));
    const kept = new Set(after.map((op) => op.n));
    const rows = [];
    let next = 0;

    function passOver(limit) {
      for (; next < limit; next += 1) {
        if (!kept.has(before[next].n)) {
          rows.push({op: before[next], mark: "removed"});
        }
      }
    }
    for (const op of after) {
      const was = old.get(op.n);
      if (!was) {
        rows.push({op, mark: "added"});
        continue;
      }
      passOver(was.index);
      next = Math.max(next, was.index + 1);
      rows.push(was.op.text === op.text ? {op, mark: ""} : {op, mark: "changed", before: was.op.text});
    }
    passOver(before.length);
    return rows;
  };

  /* The rows of pass INDEX; the first has nothing before it. */
  app.passRows = function (detail, index) {
    const pass = detail.passes[index];
    if (!pass) {
      return [];
    }
    return index === 0 ? pass.ops.map((op) => ({op, mark: ""})) : app.diffOps(detail.passes[index - 1].ops, pass.ops);
  };

  app.passCounts = function (rows) {
    const counts = {added: 0, removed: 0, changed: 0};
    for (const row of rows) {
      if (row.mark) {
        counts[row.mark] += 1;
      }
    }
    return counts;
  };
})(window.explorer = window.explorer || {});
