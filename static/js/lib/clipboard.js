/** Copy a text, also where the page is not secure (http on a home network): there by
    means of a temporary field within `element`. Resolves with whether it worked. */
export async function copyText(text, element) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => copyByField(text, element),
    );
  }
  return copyByField(text, element);
}

function copyByField(text, element) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.className = "only-spoken";
  field.value = text;
  element.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return isCopied;
}
