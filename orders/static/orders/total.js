// Adds up what is chosen, while it is being chosen. The server adds it up again: this is only for the eye.
"use strict";

(() => {
  const line = document.querySelector("[data-total]");
  if (!line) return;
  const output = line.querySelector("output");
  const fields = [...document.querySelectorAll("input[data-price]")];
  const amount = new Intl.NumberFormat(document.documentElement.lang || undefined, {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  });

  const cents = (field) => {
    const count = Number(field.value);
    return Number.isInteger(count) && count > 0 ? Math.round(Number(field.dataset.price) * 100) * count : 0;
  };

  const add = () => {
    const total = fields.reduce((sum, field) => sum + cents(field), 0);
    output.textContent = `${amount.format(total / 100)} ${line.dataset.total}`;
    line.hidden = total === 0;
  };

  document.addEventListener("input", add);
  window.addEventListener("pageshow", add);
  add();
})();
