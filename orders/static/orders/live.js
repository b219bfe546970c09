// Keeps an order's page up to date: by server-sent events; while they do not come, by asking again and again.
// EventSource is used directly: htmx's extension for it logs an error at every planned end of a stream, and does not
// notice a proxy that holds the events back.
"use strict";

(() => {
  const SILENCE = 25_000; // milliseconds without a sign of life, which the server gives every 10 s
  const COME_BACK = 20_000; // after the server refused to stream

  let source = null;
  let asking = null;
  let silence = null;
  let comingBack = null;

  const section = () => document.getElementById("progress");
  const hasMore = () => "events" in section().dataset;
  const seen = (url) => `${url}?seen=${encodeURIComponent(section().dataset.seen)}`;

  const stop = () => {
    source?.close();
    source = null;
    clearInterval(asking);
    asking = null;
    clearTimeout(silence);
    clearTimeout(comingBack);
  };

  const ask = () => {
    if (!hasMore()) return stop();
    htmx.ajax("GET", seen(section().dataset.poll), { target: "#progress", swap: "outerHTML" });
  };

  const askAgainAndAgain = () => {
    asking ??= setInterval(ask, Number(section().dataset.pollSeconds) * 1000);
  };

  const heard = () => {
    clearInterval(asking);
    asking = null;
    clearTimeout(silence);
    silence = setTimeout(askAgainAndAgain, SILENCE);
  };

  const listen = () => {
    stop();
    if (!hasMore() || document.hidden) return; // a page that nobody looks at holds no connection
    source = new EventSource(seen(section().dataset.events));
    source.addEventListener("open", heard);
    source.addEventListener("beat", heard);
    source.addEventListener("progress", (event) => {
      heard();
      htmx.swap("#progress", event.data, { swapStyle: "outerHTML" });
      if (!hasMore()) stop();
    });
    source.addEventListener("error", () => {
      askAgainAndAgain();
      if (source?.readyState === EventSource.CLOSED) comingBack = setTimeout(listen, COME_BACK);
    });
  };

  document.addEventListener("visibilitychange", listen);
  listen();
})();
