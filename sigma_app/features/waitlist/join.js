// What the waitlist's forms do in the browser before, beside and without React.
//
// The forms work with no script at all. This one fills in where the visitor came from, keeps a second click from
// sending twice, shows that an answer is on its way and then what it is, sends the form the plain way when the websocket
// gives no answer, remembers that somebody joined here, and keeps the founder count live.
(() => {
  const MINIMUM_FILL_MS = 1100; // just over intake.MINIMUM_FILL
  const ANSWER_WITHIN_MS = 5000;
  const COUNT_EVERY_MS = 20000;

  const LONGEST_ADDRESS = 2000; // of a page; the service keeps less of it
  const OFFLINE = "You seem to be offline. Your address is still here: try again.";
  const SILENT = "No answer came. Your address is still here: try again.";

  const loadedAt = performance.now();
  const formOf = (event) => event.target.closest?.("form[data-join]");

  // What became of whoever joined from this browser: "yes", "confirmed" (ui/on_the_list.js) or null; the address is not
  // kept. The mark on <html> puts the joined panel in the place of every form, and says which of its words are true.
  const show = (joined) => {
    const page = document.documentElement;
    if (joined) page.setAttribute("data-on-the-list", joined === "confirmed" ? joined : "");
    else page.removeAttribute("data-on-the-list");
  };

  const recall = () => {
    try {
      show(localStorage.getItem("sigma:joined"));
    } catch {
      // Storage is off: then the page shows what it showed.
    }
  };

  const remember = (joined) => {
    show(joined);
    try {
      if (joined) localStorage.setItem("sigma:joined", joined);
      else localStorage.removeItem("sigma:joined");
    } catch {
      // Storage is off: then only this page knows.
    }
  };

  // Where the mail went, so that a typing error is seen; it stays on this page, but for the links to type the code.
  const tell = (address) => {
    for (const place of document.querySelectorAll("[data-sent-to]")) {
      place.hidden = !address;
      place.firstElementChild.textContent = address;
    }
    for (const link of document.querySelectorAll("a[data-confirm]"))
      link.search = address && `?email=${encodeURIComponent(address)}`;
  };

  if (location.pathname === "/joined") remember("yes"); // a plain POST ends there
  else recall();
  addEventListener("storage", recall); // the mail's button was pressed in another tab

  addEventListener("click", (event) => {
    const another = event.target.closest?.("[data-another]");
    if (!another) return;
    remember(null);
    tell("");
    const field = another.closest(".join")?.querySelector("[name=email]");
    if (!field) return; // a link to the form
    field.value = "";
    field.focus();
  });

  // Where the visitor came in, for as long as the tab is open: a look at another page must not lose it.
  const arrival = (() => {
    const now = { page: location.href.slice(0, LONGEST_ADDRESS), referrer: document.referrer.slice(0, LONGEST_ADDRESS) };
    try {
      const known = JSON.parse(sessionStorage.getItem("sigma:arrival"));
      if (known && !location.search) return known;
      sessionStorage.setItem("sigma:arrival", JSON.stringify(now));
    } catch {
      // Storage is off: then this page is all there is to know.
    }
    return now;
  })();

  const fill = (form) => {
    const set = (name, value) => {
      const field = form.elements.namedItem(name);
      if (field) field.value = value;
    };
    set("landing_url", arrival.page);
    set("referrer", arrival.referrer);
    set("elapsed_ms", Math.round(performance.now() - loadedAt));
    set("attempt", `${form.dataset.join}-${Date.now()}`);
  };

  const say = (form, words, invalid = false) => {
    form.querySelector('[role="status"]').textContent = words;
    form.elements.namedItem("email").setAttribute("aria-invalid", invalid);
  };

  const rest = (form) => {
    form.removeAttribute("aria-busy");
    clearTimeout(form.fallback);
  };

  const giveUp = (form, words) => {
    rest(form);
    say(form, words);
  };

  // Whoever corrects the address has read what was wrong with it.
  addEventListener("input", (event) => {
    if (event.target.name === "email" && formOf(event)) say(formOf(event), "");
  });

  // React listens on the document; this listens on the window before it, and lets pass what may be sent now.
  addEventListener(
    "submit",
    (event) => {
      const form = formOf(event);
      if (!form) return;
      const stop = () => {
        event.preventDefault();
        event.stopImmediatePropagation();
      };
      if (form.getAttribute("aria-busy") === "true" && !form.released) return stop();
      say(form, ""); // the same words again are news only after silence
      tell(form.elements.namedItem("email").value.trim()); // now, while the panel is hidden: no answer moves the page
      if (!navigator.onLine) {
        stop();
        return giveUp(form, OFFLINE);
      }
      form.setAttribute("aria-busy", "true");
      const early = MINIMUM_FILL_MS - (performance.now() - loadedAt);
      if (early > 0) {
        stop();
        setTimeout(() => {
          form.released = true;
          form.requestSubmit();
        }, early);
        return;
      }
      form.released = false;
      fill(form);
    },
    true,
  );

  // Hydrated, React has taken the event over by now. When its websocket gives no answer, the form goes the plain way:
  // joining twice is joining once. A plain POST that the visitor stopped must not leave the form busy either.
  addEventListener("submit", (event) => {
    const form = formOf(event);
    if (!form || form.getAttribute("aria-busy") !== "true") return;
    form.fallback = event.defaultPrevented
      ? setTimeout(() => sendPlainly(form), ANSWER_WITHIN_MS)
      : setTimeout(() => rest(form), 2 * ANSWER_WITHIN_MS);
  });

  const sendPlainly = async (form) => {
    try {
      await fetch("/founders.json", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    } catch (error) {
      return giveUp(form, error.name === "TimeoutError" ? SILENT : OFFLINE);
    }
    if (form.getAttribute("aria-busy") === "true") form.submit(); // no answer came meanwhile
  };

  // An answer has come when React changes data-attempt; the panel, or the field that needs another look, takes the focus.
  new MutationObserver((changes) => {
    for (const { target: form } of changes) {
      const { attempt, outcome, message } = form.dataset;
      const field = form.elements.namedItem("email");
      if (attempt !== form.elements.namedItem("attempt").value) continue; // not what this form waits for
      rest(form);
      if (outcome === "joined") {
        remember("yes");
        form.parentElement.querySelector("[data-joined]").focus();
        continue;
      }
      say(form, message, outcome === "invalid");
      if (outcome !== "invalid") continue;
      field.focus({ preventScroll: true });
      form.querySelector('[role="status"]').scrollIntoView({ block: "nearest" });
    }
    count();
  }).observe(document.body, { subtree: true, attributeFilter: ["data-attempt"] });

  // Coming back by the back button finds the page as it was left, a busy form included.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.querySelectorAll("form[data-join]").forEach(rest);
    recall();
  });

  const words = (founders) =>
    founders === 0
      ? "Be the first founder on the list."
      : `${founders.toLocaleString("en")} ${founders === 1 ? "founder" : "founders"} on the list`;

  const count = async () => {
    const places = document.querySelectorAll("[data-founders-text]");
    if (!places.length || document.hidden) return;
    try {
      const answer = await fetch("/founders.json", { cache: "no-store" });
      if (!answer.ok) return;
      const { founders } = await answer.json();
      for (const place of places) place.textContent = words(founders);
    } catch {
      // Offline: the words that are there stay true.
    }
  };
  addEventListener("load", () => setTimeout(count, 500)); // painting comes first
  document.addEventListener("visibilitychange", count);
  setInterval(count, COUNT_EVERY_MS);
})();
