/** Load a style sheet that the page started without. Resolves when it applies, or failed
    to load: what it is for works without it. */
export function haveStyles(url) {
  if (document.querySelector(`link[href="${url}"]`)) return Promise.resolve();
  const link = document.createElement("link");
  Object.assign(link, { rel: "stylesheet", href: url });
  return new Promise((resolve) => {
    link.onload = resolve;
    link.onerror = () => {
      link.remove(); // fetched again the next time
      resolve();
    };
    document.head.append(link);
  });
}
