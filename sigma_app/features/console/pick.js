// The box above a table's boxes picks all of its page, and says by itself when that is so. Return on a box leads to what
// can be done with those that are picked, however far down the list it stands. Whoever picks others, or another deed, after
// they asked for one is asked nothing any more: the question was about those before. Whoever stopped a run by the keyboard
// goes on at what it says then: the button is gone.
(() => {
  const boxes = (table) => [...table.querySelectorAll("tbody input[type=checkbox]")];

  addEventListener("change", (event) => {
    const table = event.target.closest?.("table");
    const all = table?.querySelector("[data-pick-all]");
    if (!all) return;
    if (event.target === all) for (const box of boxes(table)) box.checked = all.checked;
    const picked = boxes(table).filter((box) => box.checked).length;
    all.checked = picked > 0 && picked === boxes(table).length;
    all.indeterminate = picked > 0 && !all.checked;
  });

  addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches?.("table input[type=checkbox]")) return;
    event.preventDefault();
    event.target.form?.elements.action?.focus();
  });

  let changed = false; // since what is picked was sent
  const withdraw = () => changed && document.querySelector('[data-leave="go on"]')?.click();

  addEventListener("submit", (event) => {
    if (event.target.id === "picked") changed = false;
  }, true);
  addEventListener("change", (event) => {
    if (event.target.form?.id !== "picked") return;
    changed = true;
    withdraw();
  });

  let run = null;
  addEventListener("click", (event) => (run = event.target.closest?.("[data-run]")), true);
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver(() => {
      withdraw(); // a question that comes late
      if (!run?.isConnected || document.activeElement !== document.body) return;
      run.focus();
      run = null;
    }).observe(document.getElementById("content"), { subtree: true, childList: true });
  });
})();
