// Says so in the part of a page that asked for something and got no answer it can use: the server refused it, failed,
// or was not reached. A later answer replaces that part, and so what is said.
"use strict";

(() => {
  const words = document.querySelector("meta[name=console-trouble]");

  const tell = (part, text, repeated) => {
    const before = part.querySelector(":scope > .console-trouble");
    if (repeated && before?.textContent === text) return; // once, however often it asks in vain
    before?.remove();
    const notice = document.createElement("p");
    notice.className = "console-trouble";
    notice.setAttribute("role", "alert");
    notice.textContent = text;
    part.prepend(notice);
    if (!repeated) notice.scrollIntoView({ block: "nearest" });
  };

  const asksAgain = (part) => part.matches("[hx-trigger^=every]");

  const failed = ({ detail: { requestConfig: { elt } } }) =>
    tell(elt, asksAgain(elt) ? words.dataset.again : words.content, asksAgain(elt));

  // Whoever is signed out meanwhile is sent to another page, which is no part of this one.
  const moved = ({ detail }) => {
    const { requestPath, responsePath } = detail.pathInfo;
    const path = (address) => new URL(address, document.location).pathname;
    if (!responsePath || path(requestPath) === path(responsePath)) return;
    detail.shouldSwap = false;
    tell(detail.requestConfig.elt, words.content, asksAgain(detail.requestConfig.elt));
  };

  document.addEventListener("htmx:responseError", failed);
  document.addEventListener("htmx:sendError", failed);
  document.addEventListener("htmx:beforeSwap", moved);
})();
