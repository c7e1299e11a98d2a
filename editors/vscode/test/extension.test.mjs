/** The built extension with the real server; LAYERCLI is the command of layercli, by default `layercli`. */
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadExtension, makeStub } from "./vscode_stub.mjs";

const TEXT = `model:
  input: [4]
  layers:
    - {type: Dense, units: 3}
    - ReLU
train: {loss: mse}
`;
const path = join(mkdtempSync(join(tmpdir(), "layercli-")), "my config.yaml");
writeFileSync(path, TEXT);
const stub = makeStub({ path, text: TEXT, command: [process.env.LAYERCLI ?? "layercli"] });
const extension = loadExtension(stub);

async function waitFor(find) {
  for (let tries = 0; tries < 60; tries += 1) {
    const found = find();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("The extension has not done this in a minute.");
}

before(() => extension.activate({ subscriptions: [] }));
after(() => extension.deactivate());

test("the panel shows the picture and follows the text", async () => {
  await stub.run("layercli.showPicture");
  assert.match(stub.done.pages[0], /default-src 'none'/);
  stub.click(undefined); // the page is ready
  const first = await waitFor(() => stub.done.posted.at(-1));
  assert.match(first.svg, /^<svg .*>output 3</s);
  assert.equal(first.isCurrent, true);
  stub.change(TEXT.replace("units: 3", "units: 77"));
  await waitFor(() => stub.done.posted.at(-1).svg?.includes("output 77"));
  stub.change(TEXT.replace("units: 3", "unit: 77"));
  await waitFor(() => stub.done.posted.at(-1).isCurrent === false);
  stub.change(TEXT);
  await waitFor(() => stub.done.posted.at(-1).isCurrent && stub.done.posted.at(-1).svg.includes("output 3"));
});

test("a click on a box goes to its line", async () => {
  const { boxes } = stub.done.posted.at(-1);
  stub.click(boxes.findIndex((box) => box.position.line === 4));
  const [uri, start] = await waitFor(() => stub.done.shown.at(-1));
  assert.match(uri, /my%20config\.yaml$/);
  assert.deepEqual({ ...start }, { line: 4, character: 6 });
});

test("a click on an unknown box does nothing", () => {
  const count = stub.done.shown.length;
  stub.click(99);
  assert.equal(stub.done.shown.length, count);
});

test("training runs in a terminal", async () => {
  await stub.run("layercli.train", `file://${path.replace(" ", "%20")}`);
  const [[name, line]] = stub.done.terminals;
  assert.equal(name, "layercli train");
  assert.ok(line.endsWith(` train '${path}'`), line);
});

test("a missing command is explained", async () => {
  const other = makeStub({ path, text: TEXT, command: ["/missing/layercli"] });
  await loadExtension(other).activate({ subscriptions: [] });
  assert.match(other.done.messages.at(-1), /"\/missing\/layercli" cannot be started\. Install it with `pip install layercli`/);
});
