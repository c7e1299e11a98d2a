/** Text that needs no editor: messages, quoting, and the page of the panel. */

export function explainFailedStart(command: string): string {
  return (
    `layercli: the command "${command}" cannot be started. Install it with \`pip install layercli\`, or set ` +
    "`layercli.command` to its full path, such as [\"/home/me/.venv/bin/layercli\"], or to " +
    "[\"/home/me/.venv/bin/python\", \"-m\", \"layercli\"]."
  );
}

/** Return a word as a shell reads it unchanged. */
export function quoteForShell(word: string, platform: string): string {
  if (/^[\w./:@%+=,\\-]+$/.test(word)) {
    return word;
  }
  return platform === "win32" ? `"${word.replaceAll('"', '""')}"` : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Return the page of the panel. Its content security policy admits one script and one style, and nothing from outside. */
export function makePage(nonce: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'">
<title>Model</title>
<style nonce="${nonce}">
body { margin: 0; padding: 8px; text-align: center; }
svg { max-width: 100%; height: auto; }
.old svg { opacity: 0.5; }
.place { fill: transparent; cursor: pointer; }
.place:hover, .place:focus { stroke: var(--vscode-focusBorder, #2563eb); stroke-width: 2; outline: none; }
</style>
</head>
<body>
<p id="message" role="status"></p>
<div id="picture"></div>
<script nonce="${nonce}">
const vscode = acquireVsCodeApi();
const shown = document.getElementById("picture");
window.addEventListener("message", ({ data }) => {
  document.getElementById("message").textContent = data.message ?? "";
  shown.className = data.isCurrent ? "" : "old";
  shown.replaceChildren();
  if (!data.svg) return;
  const svg = document.importNode(new DOMParser().parseFromString(data.svg, "image/svg+xml").documentElement, true);
  data.boxes.forEach((box, index) => {
    const place = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const name of ["x", "y", "width", "height"]) place.setAttribute(name, box[name]);
    place.setAttribute("class", "place");
    place.setAttribute("rx", 7);
    place.setAttribute("tabindex", 0);
    place.setAttribute("role", "link");
    const open = () => vscode.postMessage({ index });
    place.addEventListener("click", open);
    place.addEventListener("keydown", (event) => event.key === "Enter" && open());
    svg.append(place);
  });
  shown.append(svg);
});
vscode.postMessage({ isReady: true });
</script>
</body>
</html>`;
}
