// Choosing a file of leads: the upload shows how far it is and can be stopped, and what is wrong is said beside the field.
(() => {
  const LARGEST = 20 * 1024 * 1024; // bytes, as importing.py takes them
  const AWAY = "We cannot be reached right now. The file is still chosen; please try again in a moment.";
  let upload = null;

  const say = (form, words) => (form.querySelector("[data-message]").textContent = words);

  const show = (form, busy) => {
    form.elements.file.disabled = busy;
    form.querySelector("[data-send]").hidden = busy;
    form.querySelector("[data-cancel]").hidden = form.querySelector("progress").hidden = !busy;
    if (!busy) upload = null;
  };

  const answered = (form, text) => {
    let told = { message: AWAY };
    try {
      told = JSON.parse(text);
    } catch {
      // No answer of ours
    }
    if (told.location) return location.assign(told.location);
    show(form, false);
    say(form, told.message);
  };

  const send = (form, file) => {
    const bar = form.querySelector("progress");
    upload = new XMLHttpRequest();
    upload.open("POST", `${form.action}?${new URLSearchParams({ name: file.name })}`);
    upload.setRequestHeader("accept", "application/json");
    upload.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = (100 * event.loaded) / event.total;
      if (event.loaded === event.total) {
        bar.removeAttribute("value");
        say(form, "Reading it …");
      }
    });
    upload.addEventListener("load", (event) => answered(form, event.target.responseText));
    upload.addEventListener("error", () => answered(form, ""));
    bar.value = 0;
    show(form, true);
    say(form, "Sending it …");
    upload.send(file);
  };

  addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-import]")) return;
    event.preventDefault();
    const file = form.elements.file.files[0];
    if (upload) return;
    if (!file) return say(form, "Choose a file first.");
    if (file.size > LARGEST) return say(form, "That file is larger than 20 MB. Please take it in parts.");
    send(form, file);
  });

  addEventListener("click", (event) => {
    const form = event.target.closest?.("[data-import]");
    if (!form || !event.target.matches("[data-cancel]")) return;
    upload?.abort();
    show(form, false);
    say(form, "");
  });
})();
