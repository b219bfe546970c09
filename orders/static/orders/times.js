// Shows every <time> in the reader's own zone. Without this script it stays in UTC, and says so.
"use strict";

(() => {
  const language = document.documentElement.lang || undefined;
  const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const short = new Intl.DateTimeFormat(language, { timeStyle: "medium" });

  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.textContent = ("short" in time.dataset ? short : full).format(at);
      }
    }
  };

  const zone = document.querySelector("[data-zone]");
  if (zone) zone.textContent = full.resolvedOptions().timeZone;
  localise(document);
  document.addEventListener("htmx:afterSwap", () => localise(document));
  document.addEventListener("htmx:afterSettle", () => localise(document));
})();
