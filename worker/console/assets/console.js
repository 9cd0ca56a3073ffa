// Keeps what is shown live. Every page works without it.
"use strict";

(() => {
  const live = document.querySelector("[data-live]");
  if (!live || !window.EventSource) return;

  const replace = (part, html) => {
    const place = live.querySelector(`[data-part="${CSS.escape(part)}"]`);
    if (!place) return;
    // Whoever is at a link stays at it, and where they have scrolled to.
    const focused = place.contains(document.activeElement)
      ? document.activeElement.getAttribute("href")
      : null;
    const scrolled = [...place.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    place.innerHTML = html;
    place.querySelectorAll(".scroll").forEach((one, n) => (one.scrollLeft = scrolled[n] || 0));
    if (focused) place.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
  };

  const source = new EventSource(live.dataset.live);
  source.addEventListener("parts", (event) => {
    for (const [part, html] of Object.entries(JSON.parse(event.data))) replace(part, html);
    live.dataset.fresh = "true";
  });
  // Charts are drawn anew by the minute.
  setInterval(() => {
    for (const chart of document.querySelectorAll("img.chart")) {
      chart.src = `${chart.src.split("?")[0]}?${Date.now()}`;
    }
  }, 60000);
  source.onerror = () => (live.dataset.fresh = "false");
})();
