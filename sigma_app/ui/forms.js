// Forms marked `data-door` are posted without leaving the page, so that what was typed stays: an answer is a place to go
// on to, or a sentence and the field it is about (doors.py). Each works without this script, too.
(() => {
  const STRENGTH_PAUSE = 300; // ms after the last key before a password is judged
  const AWAY = "We cannot be reached right now. What you typed is still here; please try again in a moment.";

  const say = (form, message, field, kind = "wrong") => {
    const line = form.querySelector("[data-message]");
    if (line) line.textContent = message;
    if (line) line.dataset.kind = kind;
    for (const input of form.elements) if (input.name) input.removeAttribute("aria-invalid");
    const input = field && form.elements[field];
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    input.focus();
    const judged = input.dataset.strength && document.getElementById(input.dataset.strength);
    if (!judged) return;
    judged.textContent = ""; // the message says it, too
    delete judged.dataset.score;
  };

  const busy = (form, on) => {
    form.toggleAttribute("aria-busy", on);
    if (on) form.setAttribute("aria-busy", "true");
  };

  const tell = (what) => dispatchEvent(new CustomEvent(`door:${what}`)); // portal.js listens

  const post = async (form) => {
    busy(form, true);
    say(form, "");
    tell("posting");
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        headers: { accept: "application/json" },
        body: new URLSearchParams(new FormData(form)),
      });
      const told = await answer.json().catch(() => ({ message: AWAY }));
      if (told.location) {
        tell("left");
        return location.assign(told.location); // and stays busy until the next page is there
      }
      say(form, told.message ?? "", told.field, answer.ok ? "done" : "wrong");
    } catch {
      say(form, AWAY);
    }
    busy(form, false);
    tell("answered");
  };

  addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-door]")) return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") !== "true") post(form); // a second click is the same wish
  });

  // Coming back by the back button finds the page as it was left, its busy form included.
  addEventListener("pageshow", () => document.querySelectorAll("[data-door]").forEach((form) => busy(form, false)));

  // Shows or hides what was typed into the password field beside it.
  addEventListener("click", (event) => {
    const button = event.target.closest("[data-reveal]");
    if (!button) return;
    const input = document.getElementById(button.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });

  // An address that was typed need not be typed again on the page that helps with it.
  addEventListener("click", (event) => {
    const link = event.target.closest("[data-carries] a");
    const typed = link && document.querySelector("[data-door] [name=email]")?.value.trim();
    if (!typed) return;
    const onward = new URL(link.href);
    onward.searchParams.set("email", typed);
    link.href = onward;
  });

  // How strong a new password is, in words, while it is typed.
  const waiting = new WeakMap();
  addEventListener("input", (event) => {
    const input = event.target;
    const line = input.dataset?.strength && document.getElementById(input.dataset.strength);
    if (!line) return;
    clearTimeout(waiting.get(input));
    const password = input.value;
    if (!password) {
      line.textContent = "";
      return delete line.dataset.score;
    }
    const judge = async () => {
      try {
        const email = input.form.elements.email?.value ?? "";
        const answer = await fetch("/password-strength", { method: "POST", body: new URLSearchParams({ password, email }) });
        const told = await answer.json();
        if (!answer.ok || input.value !== password) return; // of what stood there before
        line.textContent = told.words;
        line.dataset.score = told.score;
      } catch {
        // the server judges it again when the form is sent
      }
    };
    waiting.set(input, setTimeout(judge, STRENGTH_PAUSE));
  });
})();
