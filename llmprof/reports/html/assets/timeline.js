// The timeline: events of the island `events`, inflated on first use, drawn on a canvas by bisection. Each row holds
// ascending, disjoint events, so a redraw costs rows x pixels however many events there are.
"use strict";
(() => {
  const root = document.documentElement;
  const canvas = document.getElementById("tl-canvas");
  const island = document.getElementById("events");
  if (!canvas || !island) return;
  const $ = (id) => document.getElementById(id);
  const told = $("tl-told");
  const AXIS = 30, ROW = 15, LEAST = 20;
  let data = null, ranks = new Map(), rows = [], names = [], t0 = 0, t1 = 1, low = 0, high = 1, gutter = 150, height = ROW;
  let found = null, wanted = "", picked = { row: -1, at: -1 }, hover = null, touched = false, frame = 0, timer = 0;

  // --- data ---------------------------------------------------------------------------------------------------------
  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  };
  const column = async (text) => {
    const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const n = bytes.length / 4, values = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      values[i] = bytes[i] | (bytes[n + i] << 8) | (bytes[2 * n + i] << 16) | (bytes[3 * n + i] << 24);
    }
    return values;
  };
  const unpack = async (one) => {
    const [start, length, name, tone] = await Promise.all(
      ["start", "length", "name", "tone"].map((key) => column(one.columns[key])));
    let head = 0;
    const listed = one.rows.map((row) => {
      for (let i = head + 1; i < head + row.count; i++) start[i] += start[i - 1];
      const from = head;
      head += row.count;
      return { ...row, rank: one.rank, from, to: head };
    });
    return { rank: one.rank, unit: one.unit_ns, names: one.names, start, length, name, tone, rows: listed };
  };
  let loading = null;
  const load = () => (loading ??= (async () => {
    data = JSON.parse(island.textContent);
    for (const one of await Promise.all(data.ranks.map(unpack))) ranks.set(one.rank, one);
    const select = $("tl-rank");
    if (ranks.size > 1) select.add(new Option("all GPUs", "all"));
    for (const number of ranks.keys()) select.add(new Option(`rank ${number}`, String(number)));
    choose(ranks.size > 1 ? "all" : String([...ranks.keys()][0]));
    [low, high] = extent();
    show(low, high);
    canvas.dataset.ready = "1";
  })());
  const extent = () => {
    let end = 1;
    for (const one of ranks.values()) {
      for (const row of one.rows) {
        if (row.to > row.from) end = Math.max(end, (one.start[row.to - 1] + one.length[row.to - 1]) * one.unit);
      }
    }
    return [0, end];
  };
  const current = () => $("tl-rank").value;
  const stepsOf = () => data.steps[current() === "all" ? String(data.focus ?? [...ranks.keys()][0]) : current()]
    ?? data.steps[String([...ranks.keys()][0])] ?? [];
  const choose = (value) => {
    $("tl-rank").value = value;
    rows = [];
    for (const one of ranks.values()) {
      if (value !== "all" && String(one.rank) !== value) continue;
      for (const row of one.rows) {
        if (row.count && (value !== "all" || row.on === "device")) rows.push({ ...row, one });
      }
    }
    if (!rows.length) for (const one of ranks.values()) for (const row of one.rows) if (row.count) rows.push({ ...row, one });
    height = Math.max(6, Math.min(24, Math.floor(rows.length < 18 ? 270 / rows.length : 900 / rows.length), rows.length < 18 ? 24 : ROW));
    const select = $("tl-step");
    select.replaceChildren(new Option("all", ""));
    for (const [number] of stepsOf()) select.add(new Option(String(number), String(number)));
    picked = { row: -1, at: -1 };
    match();
    size();
  };

  // --- looking up ---------------------------------------------------------------------------------------------------
  const after = (one, from, to, time) => {  // the first event of a row that ends after `time`
    const limit = time / one.unit;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (one.start[middle] + Math.max(one.length[middle], 1) > limit) to = middle; else from = middle + 1;
    }
    return from;
  };
  const nameAt = (one, at) => one.names[one.name[at]];
  const time = (ns) => {
    const size = Math.abs(ns);
    if (size < 1e3) return `${ns.toFixed(0)} ns`;
    if (size < 1e6) return `${(ns / 1e3).toPrecision(4)} µs`;
    return size < 1e10 ? `${(ns / 1e6).toPrecision(5)} ms` : `${(ns / 1e9).toPrecision(5)} s`;
  };
  const describe = (row, at) => {
    const { one } = row, start = one.start[at] * one.unit;
    const step = (data.steps[String(one.rank)] ?? []).find(([, from, to]) => start >= from && start < to);
    return `${nameAt(one, at)}: ${time(one.length[at] * one.unit)} at ${time(start)}`
      + `${step ? `, step ${step[0]}` : ""}, ${data.tones[one.tone[at]].name}, ${row.label}, rank ${one.rank}`;
  };

  // --- drawing ------------------------------------------------------------------------------------------------------
  const size = () => {
    const ratio = devicePixelRatio || 1, wide = canvas.clientWidth || 800;
    gutter = wide < 600 ? 84 : 150;
    const tall = AXIS + rows.length * height + 4;
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(tall * ratio);
    canvas.style.height = `${tall}px`;
    later();
  };
  const later = () => { frame ||= requestAnimationFrame(draw); };
  const draw = () => {
    frame = 0;
    if (!data || !rows.length) return;
    const begun = performance.now(), ratio = devicePixelRatio || 1, wide = canvas.width / ratio;
    const c = canvas.getContext("2d", { alpha: false }), css = getComputedStyle(root);
    const colour = (name) => css.getPropertyValue(name).trim();
    const ink = colour("--ink"), soft = colour("--faint"), line = colour("--line"), panel = colour("--panel");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = panel;
    c.fillRect(0, 0, wide, canvas.height / ratio);
    const scale = (wide - gutter) / (t1 - t0);
    c.font = `11px ${css.fontFamily || "sans-serif"}`;
    c.textBaseline = "middle";
    axis(c, wide, scale, soft, line, ink);
    rows.forEach((row, place) => paint(c, row, place, wide, scale));
    labels(c, panel, ink, line, wide);
    chosen(c, scale, ink);
    tip(c, wide, panel, ink, line);
    canvas.dataset.start = String(t0);
    canvas.dataset.end = String(t1);
    canvas.dataset.rank = current();
    canvas.dataset.drawMs = String(performance.now() - begun);
  };
  const axis = (c, wide, scale, soft, line, ink) => {
    const bottom = AXIS + rows.length * height;
    stepsOf().forEach(([number, from, to], place) => {
      const x0 = Math.max(gutter, gutter + (from - t0) * scale), x1 = Math.min(wide, gutter + (to - t0) * scale);
      if (x1 <= x0) return;
      c.fillStyle = line;
      c.globalAlpha = place % 2 ? 0.55 : 0.28;
      c.fillRect(x0, 14, x1 - x0, bottom - 14);
      c.globalAlpha = 1;
      c.fillStyle = ink;
      if (x1 - x0 > 46) c.fillText(`step ${number}`, x0 + 4, 22);
    });
    const rough = (t1 - t0) / Math.max(2, (wide - gutter) / 110), base = 10 ** Math.floor(Math.log10(rough));
    const tick = [1, 2, 5, 10].map((n) => n * base).find((n) => n >= rough);
    for (let t = Math.ceil(t0 / tick) * tick; t < t1; t += tick) {
      const x = gutter + (t - t0) * scale;
      c.fillStyle = line;
      c.fillRect(Math.round(x), 10, 1, bottom - 10);
      c.fillStyle = soft;
      if (x < wide - 40) c.fillText(time(t), x + 3, 7);
    }
  };
  const paint = (c, row, place, wide, scale) => {
    const { one } = row, y = AXIS + place * height, tall = height - 1, { start, length, tone, unit } = one;
    let at = after(one, row.from, row.to, t0), last = -1;
    while (at < row.to) {
      const x = gutter + (start[at] * unit - t0) * scale;
      if (x >= wide) break;
      const end = x + Math.max(length[at], 1) * unit * scale, from = Math.max(gutter, x);
      const dim = found && !found.get(one).has(one.name[at]);
      const till = Math.min(wide, Math.max(end, from + 1));
      const key = tone[at] + (dim ? 1000 : 0);
      if (key !== last) {
        c.fillStyle = data.tones[tone[at]].colour;
        c.globalAlpha = dim ? 0.18 : 1;
        last = key;
      }
      c.fillRect(from, y, till - from - (end - x > 3 ? 0.5 : 0), tall);
      if (end - x > 34 && height > 10) {
        c.fillStyle = light(data.tones[tone[at]]) ? "#14171a" : "#ffffff";
        const room = Math.floor((till - from - 6) / 6.9), text = short(nameAt(one, at));
        if (room > 2) c.fillText(text.length > room ? `${text.slice(0, room - 1)}…` : text, from + 3, y + tall / 2 + 0.5);
        last = -1;
      }
      // Events inside one pixel are one picture: jump to the first one that ends beyond it.
      at = end - x < 1 ? Math.max(at + 1, after(one, at, row.to, t0 + (Math.floor(from) + 1 - gutter) / scale)) : at + 1;
    }
    c.globalAlpha = 1;
  };
  const short = (name) => name.replace(/^void |\(anonymous namespace\)::|\bat::native::/g, "");
  const light = (tone) => (tone.light ??= (() => {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(tone.colour.slice(i, i + 2), 16));
    return 0.3 * r + 0.59 * g + 0.11 * b > 140;
  })());
  const labels = (c, panel, ink, line, wide) => {
    c.fillStyle = panel;
    c.fillRect(0, 0, gutter - 2, AXIS + rows.length * height + 4);
    let before = "";
    rows.forEach((row, place) => {
      const text = (current() === "all" ? `${row.rank}: ` : "") + row.label;
      if (text === before) return;
      before = text;
      const y = AXIS + place * height;
      c.fillStyle = line;
      c.fillRect(0, y - 1, wide, 1);
      c.fillStyle = ink;
      const room = Math.floor((gutter - 10) / 5.8);
      if (height > 8 || place % 2 === 0) c.fillText(text.length > room ? `${text.slice(0, room - 1)}…` : text, 4, y + height / 2);
    });
  };
  const chosen = (c, scale, ink) => {
    if (picked.row < 0 || !rows[picked.row]) return;
    const row = rows[picked.row], y = AXIS + picked.row * height;
    c.strokeStyle = ink;
    c.lineWidth = 2;
    if (picked.at < 0) { c.strokeRect(1, y, gutter - 4, height - 1); return; }
    const x = gutter + (row.one.start[picked.at] * row.one.unit - t0) * scale;
    c.strokeRect(x, y - 1, Math.max(3, row.one.length[picked.at] * row.one.unit * scale), height + 1);
  };
  const tip = (c, wide, panel, ink, line) => {
    if (!hover) return;
    const parts = describe(hover.row, hover.at).match(/.{1,90}/gu) ?? [];
    const w = Math.min(wide - 8, 12 + Math.max(...parts.map((part) => c.measureText(part).width)));
    const x = Math.min(hover.x + 12, wide - w - 4), h = parts.length * 15 + 8;
    const bottom = AXIS + rows.length * height;
    const y = hover.y + 16 + h > bottom ? Math.max(0, hover.y - h - 6) : hover.y + 16;
    c.fillStyle = panel;
    c.fillRect(x, y, w, h);
    c.strokeStyle = ink;
    c.lineWidth = 1;
    c.strokeRect(x, y, w, h);
    c.fillStyle = ink;
    parts.forEach((part, place) => c.fillText(part, x + 6, y + 11 + place * 15));
  };

  // --- moving -------------------------------------------------------------------------------------------------------
  const show = (from, to) => {
    const whole = high - low, span = Math.min(Math.max(to - from, LEAST), whole * 1.04);
    const middle = (from + to) / 2, edge = whole * 0.02;
    t0 = Math.min(Math.max(middle - span / 2, low - edge), high + edge - span);
    t1 = t0 + span;
    later();
    if (touched) {
      clearTimeout(timer);
      timer = setTimeout(remember, 250);
    }
  };
  const zoom = (factor, at = (t0 + t1) / 2) => { touched = true; show(at - (at - t0) * factor, at + (t1 - at) * factor); };
  const pan = (share) => { touched = true; show(t0 + (t1 - t0) * share, t1 + (t1 - t0) * share); };
  const remember = () => {
    const number = current() === "all" ? String(data.focus ?? [...ranks.keys()][0]) : current(), zero = data.zero_ns[number] ?? 0;
    const text = (ns) => ((ns + zero) / 1e6).toFixed(6);
    try { history.replaceState(null, "", `#t=r${number},${text(t0)}-${text(t1)}ms`); } catch { /* refused for files */ }
  };
  const pick = (row, at, far) => {
    picked = { row, at };
    const { one } = rows[row], from = one.start[at] * one.unit, to = from + one.length[at] * one.unit;
    if (far || from < t0 || to > t1) {
      const room = Math.max((to - from) * 10, far ? 0 : t1 - t0, 2000);
      touched = true;
      show((from + to) / 2 - room / 2, (from + to) / 2 + room / 2);
    }
    told.textContent = describe(rows[row], at);
    later();
  };
  const go = (text) => {
    const parts = /^#t=r(\d+),(-?[\d.]+)-(-?[\d.]+)ms$/.exec(text);
    if (!parts) return false;
    load().then(() => {
      if (!ranks.has(Number(parts[1]))) return;
      const zero = data.zero_ns[parts[1]] ?? 0, from = Number(parts[2]) * 1e6 - zero, to = Number(parts[3]) * 1e6 - zero;
      if (current() !== parts[1]) choose(parts[1]);
      const edge = (to - from) * 0.15;
      show(from - edge, to + edge);
      told.textContent = `${time(to - from)} on rank ${parts[1]}, from ${time(from)}`;
    });
    document.getElementById("timeline").scrollIntoView();
    return true;
  };

  // --- finding ------------------------------------------------------------------------------------------------------
  const match = () => {
    wanted = $("tl-find").value.trim().toLowerCase();
    found = null;
    $("tl-found").textContent = "";
    if (wanted) {
      found = new Map();
      let count = 0;
      for (const one of ranks.values()) {
        const some = new Set();
        one.names.forEach((name, id) => { if (name.toLowerCase().includes(wanted)) some.add(id); });
        found.set(one, some);
      }
      for (const row of rows) {
        const some = found.get(row.one);
        if (some.size) for (let i = row.from; i < row.to; i++) if (some.has(row.one.name[i])) count++;
      }
      $("tl-found").textContent = `${count.toLocaleString("en")} found`;
    }
    later();
  };
  const next = () => {
    if (!found) return;
    const now = picked.at >= 0 ? rows[picked.row].one.start[picked.at] * rows[picked.row].one.unit : t0;
    let best = null;
    for (const again of [false, true]) {
      rows.forEach((row, place) => {
        const { one } = row, some = found.get(one);
        if (!some.size) return;
        for (let i = again ? row.from : after(one, row.from, row.to, now); i < row.to; i++) {
          const start = one.start[i] * one.unit;
          if (best && start >= best.start) break;
          const same = place === picked.row && i === picked.at;
          if (some.has(one.name[i]) && !same && (again || start > now || (start === now && place > picked.row))) {
            best = { start, place, i };
            break;
          }
        }
      });
      if (best) break;
    }
    if (best) pick(best.place, best.i, true);
  };

  // --- hands --------------------------------------------------------------------------------------------------------
  const where = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, wide: box.width };
  };
  const under = (x, y, wide) => {
    const place = Math.floor((y - AXIS) / height), row = rows[place];
    if (!row || x < gutter) return null;
    const pixel = (t1 - t0) / (wide - gutter), t = t0 + (x - gutter) * pixel, at = after(row.one, row.from, row.to, t - pixel);
    return at < row.to && row.one.start[at] * row.one.unit <= t + pixel ? { row, place, at, x, y } : null;
  };
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (!data) return;
    drag = { ...where(event), t0, t1, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!data) return;
    const { x, y, wide } = where(event);
    if (drag) {
      const shift = (drag.x - x) * (drag.t1 - drag.t0) / (wide - gutter);
      if (Math.abs(drag.x - x) > 3) drag.moved = touched = true;
      if (drag.moved) show(drag.t0 + shift, drag.t1 + shift);
      hover = null;
      return;
    }
    hover = under(x, y, wide);
    later();
  });
  canvas.addEventListener("pointerup", (event) => {
    const { x, y, wide } = where(event), hit = drag && !drag.moved && under(x, y, wide);
    drag = null;
    if (hit) pick(hit.place, hit.at, false);
  });
  canvas.addEventListener("pointerleave", () => { hover = null; later(); });
  canvas.addEventListener("dblclick", (event) => {
    const { x, y, wide } = where(event), hit = under(x, y, wide);
    if (hit) pick(hit.place, hit.at, true);
  });
  canvas.addEventListener("wheel", (event) => {
    if (!data || (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY))) return;
    event.preventDefault();
    const { x, wide } = where(event), at = t0 + (x - gutter) * (t1 - t0) / (wide - gutter);
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(Math.min(Math.max(event.deltaY, -60), 60) / 100), at);
    else pan(event.deltaX / wide);
  }, { passive: false });
  const along = (by) => {
    if (picked.row < 0) picked = { row: 0, at: -1 };
    const row = rows[picked.row];
    let at = picked.at < 0 ? after(row.one, row.from, row.to, t0) : picked.at + by;
    at = Math.min(Math.max(at, row.from), row.to - 1);
    pick(picked.row, at, false);
  };
  const keys = {
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6),
    0: () => { touched = true; show(low, high); }, n: () => along(1), p: () => along(-1),
    ArrowDown: () => { picked = { row: Math.min(picked.row + 1, rows.length - 1), at: -1 }; line(); },
    ArrowUp: () => { picked = { row: Math.max(picked.row - 1, 0), at: -1 }; line(); },
    Enter: () => { if (picked.at >= 0) pick(picked.row, picked.at, true); else along(0); },
    Escape: () => { $("tl-find").value = ""; picked = { row: -1, at: -1 }; match(); },
  };
  const line = () => {
    const row = rows[picked.row];
    told.textContent = `${row.label}, rank ${row.rank}, depth ${row.depth}: ${row.count.toLocaleString("en")} events`;
    later();
  };
  canvas.addEventListener("keydown", (event) => {
    if (!data || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  $("tl-rank").addEventListener("change", () => choose(current()));
  $("tl-step").addEventListener("change", () => {
    const step = stepsOf().find(([number]) => String(number) === $("tl-step").value);
    touched = true;
    if (step) show(step[1] - (step[2] - step[1]) * 0.02, step[2] + (step[2] - step[1]) * 0.02); else show(low, high);
  });
  $("tl-find").addEventListener("input", match);
  $("tl-find").addEventListener("keydown", (event) => { if (event.key === "Enter") next(); });
  $("tl-next").addEventListener("click", next);
  $("tl-in").addEventListener("click", () => zoom(0.5));
  $("tl-out").addEventListener("click", () => zoom(2));
  $("tl-all").addEventListener("click", () => { touched = true; show(low, high); });
  document.querySelectorAll("a.at").forEach((link) => { link.href = `#t=${link.dataset.at}`; });
  addEventListener("hashchange", () => go(location.hash));
  addEventListener("resize", () => data && size());
  // Paper is light, whatever the screen is; the canvas is printed as it was drawn last.
  let theme;
  addEventListener("beforeprint", () => {
    if (!data) return;
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    draw();
  });
  addEventListener("afterprint", () => {
    if (!data) return;
    if (theme === undefined) delete root.dataset.theme; else root.dataset.theme = theme;
    later();
  });
  new MutationObserver(later).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
  if (!go(location.hash)) {
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) { seen.disconnect(); load(); }
    }, { rootMargin: "300px" });
    seen.observe(canvas);
  }
})();
