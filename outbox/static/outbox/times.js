// Shows times in the reader's own zone, with their day, to the second or to the minute; the exact instant stays in the title. Without this script: UTC.
"use strict";

(() => {
  const two = (number) => String(number).padStart(2, "0");

  const localise = () => {
    for (const time of document.querySelectorAll("time[data-moment]")) {
      const at = new Date(time.dateTime);
      const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
      const minute = `${two(at.getHours())}:${two(at.getMinutes())}`;
      const second = `${minute}:${two(at.getSeconds())}`;
      time.textContent = { minute, second }[time.dataset.moment] ?? `${day} ${second}`;
    }
  };

  document.addEventListener("DOMContentLoaded", localise);
  document.addEventListener("htmx:afterSettle", localise);
})();
