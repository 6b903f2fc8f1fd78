// The pictures about to be sent, below the composer's rim: chosen, pasted, or dropped
// anywhere on the page. Draws models/tray.js.

import { copyOf, isDesk, on, setText } from "#lib/dom";
import { isMedia } from "#lib/picture_types";
import { kindOf } from "#lib/text";
import { Tray } from "#models/tray";
import { newClientId } from "#net/events";

const AGAIN_MS = 30_000; // for what failed while the socket stayed up

const UNKEPT = {
  full: "This device is full. Pictures stay only while this tab is open.",
  refused: "This browser keeps no pictures. They stay while this tab is open.",
};

/** Part of the composer. */
export function connectTray(form, page, composer) {
  const tray = new Tray({
    roomId: page.list.roomId,
    store: page.store,
    uploads: page.uploads,
    tabs: page.tabs,
    epoch: () => page.state.epoch,
    maxBytes: page.limits.bytes,
    makeUrl: (file) => URL.createObjectURL(file),
    newKey: newClientId,
  });
  page.tray = tray;
  const offs = listen(form, page, composer, tray);
  tray.open();
  return () => {
    offs.forEach((off) => off());
    tray.close();
    if (page.tray === tray) page.tray = null;
  };
}

function listen(form, page, composer, tray) {
  const drawing = new TrayDrawing(form, tray);
  const inputs = [form.elements.picture, form.elements.camera];
  const add = (files) => [...files].forEach((file) => tray.add(file));
  const load = () => tray.uploads.load();
  const take = (input) => {
    add(input.files);
    input.value = "";
    composer.focus();
  };
  // Chosen before the scripts were loaded.
  inputs.filter(({ files }) => files.length).forEach(take);
  return [
    on(tray, "changed", () => drawing.draw()),
    on(drawing.keep, "change", ({ target }) => tray.setKeepsMetadata(target.checked)),
    on(tray, "full", ({ detail }) => page.tell(detail)),
    on(tray, "unkept", ({ detail }) => page.tell(UNKEPT[detail])),
    on(tray.uploads, "dropped", ({ detail }) => tray.add(detail)),
    ...inputs.flatMap((input) => [
      on(input, "change", () => take(input)),
      on(input, "focus", load),
      on(input.labels[0], "pointerenter", load),
    ]),
    on(document, "paste", (event) => paste(event, add)),
    on(document, "dragover", (event) => hasFiles(event) && event.preventDefault()),
    on(document, "drop", (event) => dropEarly(event, add)),
    on(page.socket, "up", () => tray.retryOffline()),
    on(window, "online", () => tray.retryOffline()),
    on(window, "beforeunload", (event) => tray.isKeeping && event.preventDefault()),
    every(AGAIN_MS, () => tray.retryOffline()),
    overlay(document.getElementById("drop"), load),
  ];
}

function every(pauseMs, act) {
  const timer = setInterval(act, pauseMs);
  return () => clearInterval(timer);
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

/** Dropped before Dropzone was loaded; it takes later ones itself. */
function dropEarly(event, add) {
  if (!hasFiles(event) || event.defaultPrevented) return;
  event.preventDefault();
  add(event.dataTransfer.files);
}

function paste(event, add) {
  const files = [...(event.clipboardData?.files ?? [])].filter(isMedia);
  if (!files.length) return;
  event.preventDefault();
  add(files);
}

/** While files are dragged over the page, all of it says where they will go. */
function overlay(element, load) {
  let depth = 0;
  const show = (is) => {
    element.hidden = !is;
  };
  const enter = (event) => {
    if (!hasFiles(event)) return;
    load();
    depth += 1;
    const name = document.getElementById("room_name")?.textContent ?? "";
    setText(element.querySelector("[data-words]"), `Drop pictures or videos for ${name}`);
    show(true);
  };
  const leave = (event) => {
    if (hasFiles(event) && --depth <= 0) end();
  };
  const end = () => {
    depth = 0;
    show(false);
  };
  const offs = [
    on(document, "dragenter", enter, true),
    on(document, "dragleave", leave, true),
    on(document, "drop", end, true),
    on(document, "dragend", end, true),
  ];
  return () => offs.forEach((off) => off());
}

class TrayDrawing {
  constructor(form, tray) {
    this.tray = tray;
    this.box = form.querySelector("[data-tray]");
    this.template = form.parentElement.querySelector("[data-tray-template]");
    this.keep = form.querySelector("[data-keep]");
    this.field = form.elements.text;
    this.drawn = new Map(); // key -> element
  }

  draw() {
    const { items } = this.tray;
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, element] of this.drawn) if (!keys.has(key)) this.#remove(key, element);
    items.forEach((item) => this.#fill(this.drawn.get(item.key) ?? this.#add(item), item));
    this.box.hidden = !items.length;
    this.keep.hidden = !items.some(({ state }) => state !== "refused");
    this.keep.querySelector("input").checked = this.tray.keepsMetadata;
  }

  #remove(key, element) {
    this.drawn.delete(key);
    element.remove();
  }

  #add(item) {
    const element = copyOf(this.template);
    this.#show(element, item);
    on(element.querySelector("[data-remove]"), "click", () => {
      this.#passFocusFrom(element);
      this.tray.remove(item.key);
    });
    on(element.querySelector("[data-retry]"), "click", () => this.tray.retry(item));
    element.querySelector(".tray__view").dataset.name = item.file.name;
    const alt = element.querySelector("[data-alt]");
    alt.value = item.alt;
    on(alt, "input", () => this.tray.setAlt(item.key, alt.value));
    this.drawn.set(item.key, element);
    this.box.append(element);
    element.scrollIntoView({ block: "nearest", inline: "nearest" });
    return element;
  }

  /** To its neighbour, or to the text field; on a phone that would open the keyboard. */
  #passFocusFrom(element) {
    const next = element.nextElementSibling ?? element.previousElementSibling;
    const other = next?.querySelector("[data-remove]") ?? (isDesk() ? this.field : null);
    other?.focus();
  }

  /** Offline, the code that draws it may be missing: it is kept, but not shown. */
  async #show(element, item) {
    element.dataset.kind = kindOf(item);
    const { showMedia } = await import("#controllers/tray_media").catch(() => ({}));
    showMedia?.(element, item, (found) => this.tray.measured(item.key, found));
  }

  #fill(element, item) {
    element.dataset.state = item.state;
    element.querySelector("[data-remove]").ariaLabel = `Remove ${item.file.name}`;
    const progress = element.querySelector("progress");
    progress.hidden = item.state !== "uploading";
    progress.value = item.progress;
    element.querySelector("[data-alt]").hidden = item.state === "refused";
    const problem = element.querySelector("[data-problem]");
    problem.hidden = !item.error;
    const isPassing = item.error?.code === "offline"; // it is retried by itself
    problem.toggleAttribute("data-quiet", isPassing);
    setText(problem.querySelector("[data-words]"), item.error?.message ?? "");
    element.querySelector("[data-retry]").hidden = item.state !== "failed" || isPassing;
  }
}
