// The box above a table's boxes picks all of its page, and says by itself when that is so.
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
})();
