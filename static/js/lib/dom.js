// Small helpers for elements that are passed in.

/** Listen; returns the function that stops listening. */
export function on(target, type, listen, options) {
  target.addEventListener(type, listen, options);
  return () => target.removeEventListener(type, listen, options);
}

/** The content of a <template>. */
export function wholeOf(template) {
  return template.content.firstElementChild;
}

/** A copy of it. */
export function copyOf(template) {
  return wholeOf(template).cloneNode(true);
}

export function setAttribute(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Without a value there is no attribute. */
export function putAttribute(element, name, value) {
  if (value) setAttribute(element, name, value);
  else element.removeAttribute(name);
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const childOf = (element, selector) => element.querySelector(`:scope > ${selector}`);
const keyOf = (child) => child.classList[0] ?? child.localName;

/** Have a child or have none. One that is missing is copied from `whole`, an element that
    has every child, and takes its place in their order. Returns it, or null. */
export function setPart(element, whole, selector, isThere) {
  const known = childOf(element, selector);
  if (isThere) return known ?? addPart(element, whole, childOf(whole, selector));
  known?.remove();
  return null;
}

function addPart(element, whole, model) {
  const keys = [...whole.children].map(keyOf);
  const later = new Set(keys.slice(keys.indexOf(keyOf(model)) + 1));
  const next = [...element.children].find((child) => later.has(keyOf(child)));
  const part = model.cloneNode(true);
  element.insertBefore(part, next ?? null);
  return part;
}

/** Whether keys typed here go to a field. */
export function isField(element) {
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable]"));
}

/** A keyboard and a pointer that hovers: where Enter may send. */
export function isDesk() {
  return matchMedia("(hover: hover) and (pointer: fine)").matches;
}
