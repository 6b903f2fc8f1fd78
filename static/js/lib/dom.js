// Small helpers for elements that are passed in.

/** Listen; returns the function that stops listening. */
export function on(target, type, listen, options) {
  target.addEventListener(type, listen, options);
  return () => target.removeEventListener(type, listen, options);
}

/** A copy of the content of a <template>. */
export function copyOf(template) {
  return template.content.firstElementChild.cloneNode(true);
}

export function setAttribute(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Whether keys typed here go to a field. */
export function isField(element) {
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable]"));
}

/** A keyboard and a pointer that hovers: where Enter may send. */
export function isDesk() {
  return matchMedia("(hover: hover) and (pointer: fine)").matches;
}
