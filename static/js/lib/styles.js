/** Have a style sheet that the page began without. Resolves when it holds, or cannot be
    had: what it is for works plainly then. */
export function haveStyles(url) {
  if (document.querySelector(`link[href="${url}"]`)) return Promise.resolve();
  const link = document.createElement("link");
  Object.assign(link, { rel: "stylesheet", href: url });
  return new Promise((resolve) => {
    link.onload = resolve;
    link.onerror = () => {
      link.remove(); // asked for again the next time
      resolve();
    };
    document.head.append(link);
  });
}
