// Runs before the page is painted, so that a chosen theme does not flash.
"use strict";
document.documentElement.classList.add("js");
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") {
    document.documentElement.dataset.theme = chosen;
  }
} catch {
  // Storage may be forbidden: then the machine's theme holds.
}
