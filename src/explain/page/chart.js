/* Small charts as SVG: stacked areas over time, and rows of little bars. */
(function (app) {
  "use strict";

  const {svg} = app;
  const PLOT = {left: 122, right: 14, top: 8, bottom: 22};

  /* Some COUNT steps up to MOST: of 1, 2 or 5 times a power of ten, or of a power of two for bytes. */
  function ticks(most, count, binary) {
    if (!(most > 0)) {
      return [0];
    }
    const rough = most / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = binary ? 2 ** Math.ceil(Math.log2(rough)) : [1, 2, 5, 10].find((each) => each * power >= rough) * power;
    const marks = [];
    for (let mark = 0; mark <= most * 1.0001; mark += step) {
      marks.push(mark);
    }
    return marks;
  }

  const plain = (text) => text.replace(/\.0+(?= )/, "");

  app.chartScale = function (width, endTime) {
    const inner = width - PLOT.left - PLOT.right;
    return {
      width, left: PLOT.left, right: width - PLOT.right, inner,
      x: (t) => PLOT.left + (inner * app.clamp(t, 0, endTime)) / endTime,
      t: (x) => (app.clamp((x - PLOT.left) / inner, 0, 1)) * endTime,
    };
  };

  function timeAxis(scale, endTime, y) {
    return svg("g", {class: "axis"}, ticks(endTime, Math.max(3, Math.floor(scale.inner / 90))).map((t) =>
      svg("text", {x: scale.x(t), y, "text-anchor": t === 0 ? "start" : scale.x(t) > scale.right - 24 ? "end" : "middle"}, t === 0 ? "0" : plain(app.time(t)))));
  }

  /* SERIES: [{className, points: [[t, value]]}], the first at the bottom; all have the same times. STEPS: a value holds
   * from the point before to its own. LIMIT: a line that is drawn across, {value, label}. */
  app.areaChart = function ({scale, endTime, height, series, format, steps, limit, label}) {
    const plot = height - PLOT.top - PLOT.bottom;
    const times = series[0].points.map((point) => point[0]);
    const sums = times.map((_, i) => series.reduce((sum, each) => sum + each.points[i][1], 0));
    const highest = Math.max(...sums, limit && limit.value <= 3 * Math.max(...sums) ? limit.value : 0) || 1;
    const y = (value) => PLOT.top + plot * (1 - value / highest);
    const below = times.map(() => 0);
    const areas = series.map(function (each) {
      const lower = below.slice();
      each.points.forEach((point, i) => {
        below[i] += point[1];
      });
      const edge = (values) => values.map((value, i) => (steps && i ? [[scale.x(times[i - 1]), y(value)], [scale.x(times[i]), y(value)]] : [[scale.x(times[i]), y(value)]])).flat();
      const outline = [...edge(below), ...edge(lower).reverse()].map((point) => point.map((number) => number.toFixed(1)).join()).join(" ");
      return svg("polygon", {class: `area ${each.className}`, points: outline});
    });
    return svg("svg", {class: "chart", width: scale.width, height, role: "img", "aria-label": label},
      svg("g", {class: "axis"}, ticks(highest, 4, format === app.size).map((mark) => [
        svg("line", {x1: scale.left, x2: scale.right, y1: y(mark), y2: y(mark)}),
        svg("text", {x: scale.left - 8, y: y(mark) + 4, "text-anchor": "end"}, plain(format(mark))),
      ])),
      areas,
      limit && limit.value <= highest && svg("g", {class: "limit"}, svg("line", {x1: scale.left, x2: scale.right, y1: y(limit.value), y2: y(limit.value)}),
        svg("text", {x: scale.right, y: y(limit.value) + 13, "text-anchor": "end"}, limit.label)),
      timeAxis(scale, endTime, height - 6));
  };

  /* One row of bars: COUNTS in buckets of WIDTH microseconds. Square roots, so that single events can be seen. */
  app.barRow = function ({scale, counts, width, height, className, label}) {
    const most = Math.sqrt(Math.max(...counts, 1));
    const parts = counts.map(function (count, i) {
      if (!count) {
        return "";
      }
      const x = scale.x(i * width);
      const tall = Math.max(1.5, (height * Math.sqrt(count)) / most);
      return `M${x.toFixed(1)},${height} v${(-tall).toFixed(1)} h${Math.max(1.2, scale.x((i + 1) * width) - x - 0.4).toFixed(1)} v${tall.toFixed(1)} z`;
    });
    return svg("svg", {class: "bars", width: scale.width, height, role: "img", "aria-label": label},
      svg("line", {class: "base", x1: scale.left, x2: scale.right, y1: height - 0.5, y2: height - 0.5}),
      svg("path", {class: className, d: parts.join("")}));
  };
})(window.explorer = window.explorer || {});
