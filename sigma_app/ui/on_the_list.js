// Says in this browser what has become of whoever joined from it, so that the landing page (waitlist/join.js) goes on from
// there: "confirmed", or "left" the list. A browser that nobody joined from keeps nothing.
(() => {
  const standing = document.currentScript.parentElement.dataset.standing;
  try {
    if (standing === "left") localStorage.removeItem("sigma:joined");
    else if (localStorage.getItem("sigma:joined")) localStorage.setItem("sigma:joined", standing);
  } catch {
    // Storage is off: then nothing was remembered, either.
  }
})();
