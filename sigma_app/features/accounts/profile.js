// Keeps a name that is being typed from being lost or from overwriting a newer one. The page says what is stored and what
// became of a try, in `data-` attributes. Leaving when the session ends is the affair of ui/portal.js.
(() => {
  const DRAFT = "sigma.profile.draft"; // in sessionStorage: what was typed when the session ended, and whose it is
  const SLOW = 8000; // ms without an answer until the page says so
  const AWAY = "We cannot be reached right now. What you typed is still here; it is saved once we are back, or at your next press.";
  const SINCE = "Saved, but for what you typed since.";
  const RESTORED = "Saved, with what you typed before you were signed out.";

  let typed = null; // what stands in the field, or null while it is what is stored
  let before = ""; // the stored name that it was typed over
  let owner = "";
  let waiting = null; // the try that is under way
  let late = null; // the last one that nothing was heard of for too long
  let restored = false;
  let leaving = false;

  const attempt = () => crypto.getRandomValues(new Uint32Array(2)).join("-");
  const field = (form) => form.elements.name;

  const say = (form, words, kind) => {
    const line = form.querySelector("[data-message]");
    line.textContent = words;
    line.dataset.kind = kind;
    if (kind === "wrong") field(form).setAttribute("aria-invalid", "true");
    else field(form).removeAttribute("aria-invalid");
  };

  const rest = (form) => {
    clearTimeout(waiting?.timer);
    waiting = null;
    form.removeAttribute("aria-busy");
  };

  // The answer may come yet, or be lost for good: the next press asks again, which does no harm if it was heard.
  const giveUp = (form) => {
    late = waiting;
    rest(form);
    say(form, AWAY, "wrong");
  };

  addEventListener("portal:leaving", ({ detail }) => {
    leaving = true;
    if (typed === null) return;
    sessionStorage.setItem(DRAFT, JSON.stringify({ owner, before, name: typed }));
    detail.said = "kept";
  });

  // Once somebody's page is there: what was typed before the session ended is put back, and saved.
  const restore = (form) => {
    const kept = sessionStorage.getItem(DRAFT);
    if (!kept) return;
    sessionStorage.removeItem(DRAFT);
    const draft = JSON.parse(kept);
    if (draft.owner !== owner) return;
    field(form).value = typed = draft.name;
    before = draft.before;
    restored = true;
    form.requestSubmit();
  };

  const settle = (form, sent) => {
    const { outcome, told, stored } = form.dataset;
    // What stands there "in the meantime" is our own, of a try whose answer was late.
    const ours = outcome === "conflict" && late?.sent.trim().replace(/\s+/g, " ") === stored;
    rest(form);
    late = null;
    if (ours) {
      before = stored;
      return form.requestSubmit();
    }
    form.querySelector("[data-conflict]").hidden = outcome !== "conflict";
    if (outcome === "saved") {
      before = stored;
      if (typed === sent || typed === stored) typed = null;
      field(form).value = typed ?? stored;
      say(form, typed !== null ? SINCE : restored ? RESTORED : told, "done");
      restored = false;
    } else {
      if (outcome === "conflict") before = stored; // it is shown now, so the next press means it
      say(form, told, "wrong");
    }
  };

  const look = () => {
    const form = document.querySelector("[data-profile]");
    if (!form) return;
    if (form.dataset.owner && form.dataset.owner !== owner) {
      owner = form.dataset.owner;
      before = form.dataset.stored;
      typed = null;
      field(form).value = before;
      restore(form);
    } else if (typed !== null && field(form).value !== typed && !waiting) {
      field(form).value = typed; // the form was made anew
    }
    const asked = waiting ?? late;
    if (asked && form.dataset.attempt === asked.name) settle(form, asked.sent);
    else if (typed === null && before !== form.dataset.stored) field(form).value = before = form.dataset.stored;
  };

  addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form?.matches("[data-profile]") || event.target.name !== "name") return;
    typed = event.target.value === before && !waiting ? null : event.target.value;
    if (!waiting) say(form, "", "");
  });

  // Before React hears of it: the try gets a name, and a second press of the same wish is dropped.
  addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.matches("[data-sign-out]")) {
        leaving = true;
        sessionStorage.removeItem(DRAFT);
        return;
      }
      if (!form.matches("[data-profile]")) return;
      if (waiting) {
        event.preventDefault();
        return event.stopPropagation();
      }
      const name = attempt();
      form.elements.attempt.value = name;
      form.elements.before.value = before;
      form.setAttribute("aria-busy", "true");
      say(form, "", "");
      waiting = { name, sent: field(form).value, timer: setTimeout(giveUp, SLOW, form) };
    },
    true,
  );

  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-take]")) return;
    const form = event.target.form;
    field(form).value = before;
    typed = null;
    form.querySelector("[data-conflict]").hidden = true;
    say(form, "", "");
    field(form).focus();
  });

  addEventListener("door:left", () => (leaving = true));

  addEventListener("beforeunload", (event) => {
    const chosen = document.querySelector("[data-picture]")?.elements.picture.files.length; // and not sent yet
    if ((typed !== null || chosen) && !leaving) event.preventDefault();
  });

  addEventListener("DOMContentLoaded", () => {
    new MutationObserver(look).observe(document.getElementById("content"), {
      subtree: true,
      childList: true,
      attributes: true,
      attributeFilter: ["data-stored", "data-owner", "data-outcome", "data-told", "data-attempt"],
    });
    look();
  });
})();
