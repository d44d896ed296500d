// What the pages behind the links in our mails do beyond plain HTML, each of which works without it: a button that was
// pressed rests, and one's own link can be copied.
(() => {
  // Coming back finds the page as it was left, a resting button included.
  addEventListener("pageshow", () => document.querySelectorAll("form button").forEach((button) => (button.disabled = false)));
  addEventListener("submit", (event) => (event.target.querySelector("button").disabled = true));

  addEventListener("DOMContentLoaded", () => {
    const copy = document.querySelector("[data-copy]");
    const field = document.querySelector("[data-share-url]");
    if (!copy) return;
    field.addEventListener("focus", () => field.select());
    if (!navigator.clipboard) return; // without https
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      const words = copy.firstElementChild;
      const before = words.textContent;
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        return field.focus(); // not allowed: then it is selected, at least
      }
      if (before === "Copied") return;
      words.textContent = "Copied";
      setTimeout(() => (words.textContent = before), 3000);
    });
  });
})();
