// Choosing a picture: it is shown before it is sent, the upload shows how far it is and can be stopped, and what is
// wrong is said beside the field. The page then asks its state where the new one is.
(() => {
  const LARGEST = 10 * 1024 * 1024; // bytes, as files_http.py takes them
  const AWAY = "We cannot be reached right now. The picture is still chosen; please try again in a moment.";
  const NO_PICTURE = "That is no picture we can read. Please choose a JPEG, PNG, WebP or GIF.";
  let upload = null;
  let preview = "";

  const parts = (form) => ({
    file: form.elements.picture,
    use: form.querySelector("[data-use]"),
    cancel: form.querySelector("[data-cancel]"),
    bar: form.querySelector("progress"),
    portrait: document.querySelector("[data-portrait]"),
  });

  const say = (form, words, kind) => {
    const line = form.querySelector("[data-message]");
    line.textContent = words;
    line.dataset.kind = kind;
  };

  // Beside what React shows, not in its place: it would lose its own.
  const show = (form, file) => {
    const { portrait } = parts(form);
    portrait.querySelector("[data-preview]")?.remove();
    if (preview) URL.revokeObjectURL(preview);
    preview = file ? URL.createObjectURL(file) : "";
    if (!preview) return;
    const image = document.createElement("img");
    image.src = preview;
    image.alt = "Your picture, as it would be";
    image.dataset.preview = "";
    image.addEventListener("error", () => {
      if (!image.isConnected) return; // another one was chosen meanwhile
      reset(form);
      say(form, NO_PICTURE, "wrong");
    });
    portrait.append(image);
  };

  const rest = (form) => {
    const { file, use, cancel, bar } = parts(form);
    file.value = "";
    file.disabled = false;
    use.hidden = cancel.hidden = bar.hidden = true;
    upload = null;
  };

  const reset = (form) => {
    rest(form);
    show(form, null);
  };

  // What was sent stays until the page has it, and the browser its bytes: else the picture before is seen once more.
  const showUntilReplaced = (form) => {
    const { portrait } = parts(form);
    const sent = preview;
    const replaced = new MutationObserver(async () => {
      replaced.disconnect();
      await portrait.querySelector("img:not([data-preview])")?.decode().catch(() => {}); // it may be another by then
      if (preview === sent) show(form, null);
    });
    replaced.observe(portrait, { childList: true, subtree: true, attributeFilter: ["src"] });
  };

  const answered = (form, request) => {
    let told = {};
    try {
      told = JSON.parse(request.responseText);
    } catch {
      told = { message: AWAY };
    }
    if (told.location) return location.assign(told.location);
    if (request.status === 200) {
      rest(form);
      say(form, told.message, "done");
      if (preview) showUntilReplaced(form);
      return document.querySelector("[data-reload]").click();
    }
    const { file, bar, use } = parts(form);
    file.disabled = false;
    bar.hidden = true;
    use.hidden = false;
    upload = null;
    say(form, told.message || AWAY, "wrong");
  };

  const send = (form, address, body) => {
    const { file, use, cancel, bar } = parts(form);
    upload = new XMLHttpRequest();
    upload.open("POST", address);
    upload.setRequestHeader("accept", "application/json");
    upload.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
    });
    upload.addEventListener("load", (event) => answered(form, event.target));
    upload.addEventListener("error", () => answered(form, { status: 0, responseText: "" }));
    file.disabled = true;
    use.hidden = true;
    bar.value = 0;
    bar.hidden = cancel.hidden = !body;
    say(form, body ? "Sending it …" : "", "");
    upload.send(body);
  };

  addEventListener("change", (event) => {
    const form = event.target.form;
    if (!form?.matches("[data-picture]")) return;
    const file = event.target.files[0];
    const { use, cancel } = parts(form);
    if (!file) return reset(form);
    if (file.size > LARGEST) {
      reset(form);
      return say(form, "That picture is larger than 10 MB. Please choose a smaller one.", "wrong");
    }
    say(form, "", "");
    show(form, file);
    use.hidden = cancel.hidden = false;
  });

  addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-picture]")) return;
    event.preventDefault();
    const file = form.elements.picture.files[0];
    if (!upload && file) send(form, form.action, file);
  });

  addEventListener("click", (event) => {
    const form = event.target.closest?.("[data-picture]");
    if (!form) return;
    if (event.target.matches("[data-cancel]")) {
      upload?.abort();
      reset(form);
      say(form, "", "");
    }
    if (event.target.matches("[data-remove-picture]") && !upload) send(form, "/profile/picture/remove", null);
  });
})();
