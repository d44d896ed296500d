// Where whoever acts by the keyboard goes on: at what a deed came to, or, if they left it, at its button. The button that
// they pressed is gone or disabled by then, and with it the focus, which nobody who is elsewhere meanwhile is robbed of.
(() => {
  let left = "";
  let told = "";

  const isLost = () => document.activeElement === document.body || document.activeElement?.disabled;

  const look = () => {
    const line = [...document.querySelectorAll(".console-outcomes > p")].find((each) => each.textContent);
    const news = line && line.textContent !== told;
    if (!line) told = "";
    if (!isLost()) return;
    const button = left && document.querySelector(`[data-deed="${CSS.escape(left)}"]:enabled`);
    if (button) {
      left = "";
      button.focus();
    } else if (news) {
      told = line.textContent;
      line.parentElement.focus();
    }
  };

  addEventListener("click", (event) => (left = event.target.closest?.("[data-leave]")?.dataset.leave ?? ""), true);

  addEventListener("DOMContentLoaded", () => {
    const watched = { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["disabled"] };
    new MutationObserver(look).observe(document.getElementById("content"), watched);
  });
})();
