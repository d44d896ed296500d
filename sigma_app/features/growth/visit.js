// Tells the server that somebody arrived from elsewhere: which page of ours they came to and which of another site's led
// there, once, and nothing else. It keeps nothing in the browser, and says nothing of whoever asks not to be counted.
(() => {
  const LONGEST_ADDRESS = 2000; // as in join.js, so that a visit and the lead that comes of it tell the same

  const isAsked = navigator.globalPrivacyControl || navigator.doNotTrack === "1";

  // A look at another page of ours is no arrival; neither is loading a page again, or going back to it.
  const isArrival = () => {
    const type = performance.getEntriesByType("navigation")[0]?.type;
    const isFromHere = document.referrer && new URL(document.referrer).origin === location.origin;
    return type !== "reload" && type !== "back_forward" && !isFromHere;
  };

  const tell = () => {
    if (isAsked || !isArrival()) return;
    const short = (address) => address.slice(0, LONGEST_ADDRESS);
    navigator.sendBeacon?.("/visit", JSON.stringify({ page: short(location.href.split("#")[0]), referrer: short(document.referrer) }));
  };

  // A page that the browser loads ahead is seen when somebody goes there, or never.
  if (document.prerendering) document.addEventListener("prerenderingchange", tell, { once: true });
  else tell();
})();
