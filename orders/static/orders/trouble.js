// Says so when what somebody asked for came to nothing: the server refused it, could not do it, or was not reached.
// What a page asks for by itself it asks for again, without a word.
"use strict";

(() => {
  const words = document.querySelector("meta[name=trouble]").content;
  let shown = null;

  const clear = () => {
    shown?.remove();
    shown = null;
  };

  const tell = ({ detail: { elt } }) => {
    if (elt.closest("[hx-post], [hx-get]") === null) return;
    clear();
    shown = document.createElement("p");
    shown.className = "notice notice-error";
    shown.textContent = words;
    const notices = document.getElementById("notices");
    notices.replaceChildren(shown);
    notices.scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("htmx:responseError", tell);
  document.addEventListener("htmx:sendError", tell);
  document.addEventListener("htmx:beforeSwap", ({ detail: { isError } }) => isError || clear());
})();
