// Loses no quantity that a customer chose, however slow the way to the server is: chosen before this page's scripts
// were there, or while the answer to another choice was on its way. One is sent at a time; an answer replaces the
// basket, but not what was typed meanwhile, which is sent next.
"use strict";

(() => {
  let typing = null; // the id of the field that somebody types in: not sent before they are done
  let kept = []; // what an answer must not overwrite: [id, value]
  let leaving = null; // where a link leads that was followed before the answer came

  const changed = () =>
    [...document.querySelectorAll("#basket input[type=number]")].filter((field) => field.value !== field.defaultValue);

  const send = () => {
    for (const field of changed()) {
      if (field.id !== typing) htmx.trigger(field.form, "change");
    }
  };

  const isSending = () => document.querySelector("#basket .htmx-request") !== null;

  const leave = () => {
    if (leaving !== null && !isSending()) location.assign(leaving);
    leaving = null;
  };

  document.addEventListener("input", (event) => (typing = event.target.id));
  document.addEventListener("change", () => (typing = null)); // htmx sends it
  document.addEventListener("focusout", () => {
    typing = null;
    send(); // of a field that was replaced while somebody typed, browsers report no change
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#basket a[href]");
    if (link === null || !isSending()) return;
    event.preventDefault();
    leaving = link.href;
  });

  document.addEventListener("htmx:beforeSwap", ({ detail: { requestConfig } }) => {
    const answered = (field) => field.form === requestConfig.elt && field.value === requestConfig.formData.get("quantity");
    kept = changed().flatMap((field) => (answered(field) ? [] : [[field.id, field.value]]));
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, value] of kept) {
      const field = document.getElementById(id);
      if (field !== null) field.value = value;
    }
    kept = [];
  });

  document.addEventListener("htmx:afterSettle", () => {
    send();
    if (document.querySelector("#basket .field-wrong") !== null) leaving = null; // stay, and see why
    if (!isSending()) leave();
  });

  // Nothing came of it: the page shows what holds, and who wanted to go on stays and reads why.
  const failed = ({ detail: { requestConfig } }) => {
    const field = requestConfig.elt.closest("#basket form")?.querySelector("input[type=number]");
    if (field?.value === requestConfig.formData.get("quantity") && field.id !== typing) field.value = field.defaultValue;
    leaving = null;
    setTimeout(send); // what was chosen meanwhile, when htmx is done with this one
  };

  document.addEventListener("htmx:responseError", failed);
  document.addEventListener("htmx:sendError", failed);

  document.addEventListener("DOMContentLoaded", send);
})();
