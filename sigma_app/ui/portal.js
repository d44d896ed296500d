// What every page of the portal does beyond Reflex: it leaves when the session ends, asks again when it comes out of the
// browser's memory, and says what was just done elsewhere. `portal:leaving` goes before it leaves: whoever keeps
// something for later answers with `event.detail.said`.
(() => {
  let leaving = false;
  let posting = false; // a form whose answer may be what ended the session, and knows where to go on to

  const leave = () => {
    if (leaving || posting) return;
    leaving = true;
    const detail = { said: "over" };
    dispatchEvent(new CustomEvent("portal:leaving", { detail }));
    location.assign(`/sign-in?${new URLSearchParams({ said: detail.said, next: location.pathname + location.search })}`);
  };

  const look = () => document.querySelector("[data-phase]")?.dataset.phase === "out" && leave();

  // What was done, by the `said` in the address, in the words that the page has for it; a reload says it no more.
  const tell = () => {
    const line = document.querySelector("[data-said]");
    const words = line && JSON.parse(line.dataset.said)[new URL(location.href).searchParams.get("said")];
    if (!words) return;
    line.textContent = words;
    history.replaceState(history.state, "", location.pathname);
  };

  addEventListener("submit", (event) => event.target.matches("[data-sign-out]") && (leaving = true), true);
  addEventListener("door:posting", () => (posting = true));
  addEventListener("door:left", () => (leaving = true));
  addEventListener("door:answered", () => {
    posting = false;
    look();
  });

  // From the browser's memory of a page that was left: ask again whose it is.
  addEventListener("pageshow", (event) => event.persisted && location.reload());

  addEventListener("DOMContentLoaded", () => {
    const watched = { subtree: true, childList: true, attributes: true, attributeFilter: ["data-phase"] };
    new MutationObserver(() => {
      look();
      tell();
    }).observe(document.getElementById("content"), watched);
    look();
    tell();
  });
})();
