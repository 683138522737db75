/* Elements, numbers and times as text. All text of the trace goes through textContent: none of it is ever markup. */
(function (app) {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) {
        continue;
      }
      if (name.startsWith("on")) {
        element.addEventListener(name.slice(2), value);
      } else if (name === "style" && typeof value === "object") {
        for (const [property, setting] of Object.entries(value)) {
          element.style.setProperty(property, setting);
        }
      } else {
        element.setAttribute(name, value === true ? "" : value);
      }
    }
    for (const child of children.flat(Infinity)) {
      if (child !== undefined && child !== null && child !== false) {
        element.append(child);
      }
    }
    return element;
  }

  /* h("p", {class: "dim"}, "text", otherElement) */
  app.h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  app.svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  app.byId = (id) => document.getElementById(id);
  app.clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  /* Three significant digits: 950, 1.21 k, 34.5 M. */
  app.short = function (number) {
    const units = ["", " k", " M", " G", " T", " P"];
    let unit = 0;
    let value = number;
    while (value >= 999.5 && unit < units.length - 1) {
      value /= 1000;
      unit += 1;
    }
    if (unit === 0) {
      return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 1 : 0);
    }
    return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + units[unit];
  };
  app.full = (number) => number.toLocaleString("en-US").replaceAll(",", "\u202f");
  app.percent = function (part, whole) {
    if (!whole) {
      return "–";
    }
    const share = (100 * part) / whole;
    return part === 0 ? "0 %" : share < 0.05 ? "< 0.1 %" : `${share.toFixed(share < 99.95 && share >= 0 ? 1 : 0)} %`;
  };
  app.size = function (bytes) {
    if (bytes < 1024) {
      return `${bytes} B`;
    }
    const units = ["KiB", "MiB", "GiB", "TiB"];
    let value = bytes / 1024;
    let unit = 0;
    while (value >= 1023.5 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${value.toFixed(value < 9.95 ? 1 : 0)} ${units[unit]}`;
  };
  app.ratio = (after, before) => (before && after ? `×${(after / before).toFixed(after / before < 9.95 ? 1 : 0)}` : "–");
  app.hex = (number, digits = 8) => number.toString(16).padStart(digits, "0");
  app.count = (number, one, many = `${one}s`) => `${app.short(number)} ${number === 1 ? one : many}`;

  /* Microseconds. */
  app.time = function (us) {
    if (us < 1000) {
      return `${Math.round(us)} µs`;
    }
    if (us < 1e6) {
      return `${(us / 1e3).toFixed(us < 1e4 ? 2 : 1)} ms`;
    }
    if (us < 120e6) {
      return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s`;
    }
    const seconds = Math.round(us / 1e6);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  };

  /* "mov eax, [ebx]": the mnemonic apart from the rest; prefixes belong to it. */
  app.assembly = function (text) {
    const match = /^((?:(?:lock|rep|repe|repz|repne|repnz|xacquire|xrelease)\s+)*\S+)(.*)$/.exec(text) || ["", text, ""];
    return [app.h("b", {}, match[1]), match[2]];
  };
})(window.explorer = window.explorer || {});
