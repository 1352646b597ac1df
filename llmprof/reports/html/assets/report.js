// The page is complete without this file. It adds: theme switch, copy buttons, links between fixes and the bar, joint
// results of ticked fixes, a search over many ranks, saving analysis.json, and opening folded sections for print and
// for links into them.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, base = document) => [...base.querySelectorAll(selector)];
  root.classList.add("scripted");

  // Storage is refused in some browsers for files: the theme then lasts as long as the page.
  const recall = () => { try { return localStorage.getItem("llmprof-theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("llmprof-theme", theme); } catch { /* refused */ } };
  const button = document.getElementById("theme");
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  const stored = recall();
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  label();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    label();
  });

  // A fix covers a part when it names it; `merged` small parts are inside "other" and stay unmarked.
  const light = (parts) => {
    const wanted = new Set(parts);
    root.classList.toggle("linking", wanted.size > 0);
    all("[data-part]").forEach((node) => node.classList.toggle("linked", wanted.has(node.dataset.part)));
    all("[data-parts]").forEach((node) => node.classList.toggle(
      "linked", node.dataset.parts.split(" ").some((part) => wanted.has(part))));
  };
  const link = (node, parts) => {
    if (!parts.length) return;
    for (const on of ["mouseenter", "focusin"]) node.addEventListener(on, () => light(parts));
    for (const off of ["mouseleave", "focusout"]) node.addEventListener(off, () => light([]));
  };
  all(".fix[data-parts]").forEach((node) => link(node, node.dataset.parts.split(" ").filter(Boolean)));
  all(".segment, .legend li").forEach((node) => link(node, [node.dataset.part]));

  all(".copy").forEach((node) => node.addEventListener("click", async () => {
    const code = node.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      node.textContent = "Copied";
      setTimeout(() => { node.textContent = "Copy"; }, 1500);
    } catch {
      getSelection().selectAllChildren(code);
    }
  }));

  document.getElementById("save").addEventListener("click", () => {
    const data = JSON.parse(document.getElementById("analysis").textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 1) + "\n"], { type: "application/json" }));
    link.download = "analysis.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });

  // Joint results are those of the document, each from one replay; what was not replayed is not made up here.
  const choice = document.getElementById("choice"), boxes = all(".with");
  if (choice && boxes.length) {
    const known = JSON.parse(document.getElementById("choices").textContent);
    const same = (of, ids) => of.length === ids.length && of.every((id) => ids.includes(id));
    const tell = () => {
      const ids = boxes.filter((box) => box.checked).map((box) => box.value);
      const found = known.find((one) => same(one.of, ids));
      choice.classList.toggle("unknown", ids.length > 0 && !found);
      if (!ids.length) choice.textContent = "Tick fixes to see what they bring together.";
      else if (found) choice.textContent = `${ids.length === 1 ? "This fix" : `These ${ids.length} together`}: ${found.text}`;
      else choice.textContent = `Not replayed here. Ask with: llmprof what-if RUN ${ids.map((id) => `--fix ${id}`).join(" ")}`;
    };
    boxes.forEach((box) => box.addEventListener("change", tell));
    tell();
  }

  all(".markdown").forEach((node) => node.addEventListener("click", async () => {
    const card = node.closest(".card"), text = (selector) => card.querySelector(selector)?.textContent.trim() ?? "";
    const facts = all("dl > div", card).map((row) => `- **${row.querySelector("dt").textContent}:** ${row.querySelector("dd").innerText.trim().replace(/\n+/g, ", ")}`);
    const blocks = all(".prose > *", card).map((part) => {
      if (part.tagName === "H4") return `**${part.textContent}**`;
      const code = part.querySelector("pre code");
      return code ? `\`\`\`\n${code.textContent}\n\`\`\`` : part.textContent.trim();
    });
    try {
      await navigator.clipboard.writeText(`### ${text("h3 > span:nth-child(2)")}\n\n${facts.join("\n")}\n\n${blocks.join("\n\n")}\n`);
      node.textContent = "Copied";
      setTimeout(() => { node.textContent = "Copy as Markdown"; }, 1500);
    } catch { getSelection().selectAllChildren(card); }
  }));

  all(".filter").forEach((input) => input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    all(input.dataset.rows).forEach((row) => {
      row.hidden = wanted !== "" && !`${row.cells[0].textContent} ${row.cells[1].textContent}`.toLowerCase().includes(wanted);
    });
  }));

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((node) => { node.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((node) => { node.open = false; }));

  const reveal = () => {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    const folded = target && target.closest("details");
    if (folded && !folded.open) { folded.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();
  root.dataset.ready = "1";
})();
