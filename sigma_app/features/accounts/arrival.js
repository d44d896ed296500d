// Where mailed links lead in the end: the address then carries a session, or what is wrong. First of all scripts, this
// takes it out of the address and out of the history, keeps none of it, and lets the page say what became of the link.
(() => {
  // https://supabase.com/docs/guides/auth/sessions/implicit-flow and …/pkce-flow
  const IN_FRAGMENT = [
    ...["access_token", "refresh_token", "provider_token", "provider_refresh_token"],
    ...["error", "error_code", "error_description", "message"],
  ];
  const IN_QUERY = ["code", "error", "error_code", "error_description", "message"];
  const FLOW_CODE = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i; // other pages' `code` is none of ours
  const CONFIRMING = ["signup", "invite", "email_change"];
  const root = document.documentElement;

  // One of the outcomes of arrival.py.
  const outcome = (told) => {
    if (told.has("access_token")) {
      if (told.get("type") === "recovery") return "recovery";
      return CONFIRMING.includes(told.get("type")) ? "confirmed" : "worked";
    }
    if (told.has("error") || told.has("error_code")) return told.get("error_code") === "otp_expired" ? "over" : "failed";
    return told.has("message") ? "half" : "worked";
  };

  const show = () => {
    if (root.dataset.arrived) document.querySelector("[data-arrival]")?.focus();
  };

  const arrive = () => {
    const url = new URL(location.href);
    const fragment = new URLSearchParams(url.hash.replaceAll("#", "&"));
    const query = url.searchParams;
    const inFragment = IN_FRAGMENT.some((name) => fragment.has(name));
    const flow = FLOW_CODE.test(query.get("code")) || (query.has("error") && query.has("error_description"));
    if (!inFragment && !flow) return;
    const told = new URLSearchParams(inFragment ? fragment : query);
    for (const name of IN_QUERY) query.delete(name);
    url.hash = "";
    history.replaceState(history.state, "", url);
    root.dataset.arrived = outcome(told);
    if (document.readyState !== "loading") show();
  };

  arrive();
  addEventListener("DOMContentLoaded", show);
  // An address that is pasted into a page that is open already; the router must not see it first.
  for (const event of ["popstate", "hashchange"]) addEventListener(event, arrive, true);

  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-arrival] button")) return;
    delete root.dataset.arrived;
    document.getElementById("content")?.focus({ preventScroll: true });
  });
})();
