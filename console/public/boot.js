// Runs before anything else: no string with markup ever becomes a part of the page, and the
// colours are right from the first frame.
if (window.trustedTypes) {
  window.trustedTypes.createPolicy("default", {
    createHTML: (text) => (text.includes("<") ? null : text),
    createScript: () => null,
    createScriptURL: (url) => (new URL(url, location.href).origin === location.origin ? url : null),
  });
}
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("weft-theme");
  } catch {
    // Storage is off: the system decides.
  }
  const dark =
    chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
}
