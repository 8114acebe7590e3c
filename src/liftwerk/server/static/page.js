// The little that every page does: theme, expandable rows, printing.
"use strict";

const root = document.documentElement;
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  if (root.dataset.theme) {
    return root.dataset.theme === "dark";
  }
  return systemDark.matches;
}

const theme = document.getElementById("theme");
theme.hidden = false;
theme.setAttribute("aria-pressed", String(isDark()));
theme.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  root.dataset.theme = next;
  theme.setAttribute("aria-pressed", String(isDark()));
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Not remembered then.
  }
});
systemDark.addEventListener("change", () => theme.setAttribute("aria-pressed", String(isDark())));

for (const button of document.querySelectorAll("button.more")) {
  const rows = document.getElementsByClassName(button.dataset.more);
  button.hidden = false;
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    for (const row of rows) {
      row.classList.toggle("open", open);
    }
  });
}

const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}

// Paper has no clicks: open what belongs to the report, close it again afterwards.
const opened = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details[data-print]:not([open])")) {
    details.open = true;
    opened.push(details);
  }
});
addEventListener("afterprint", () => {
  for (const details of opened.splice(0)) {
    details.open = false;
  }
});
