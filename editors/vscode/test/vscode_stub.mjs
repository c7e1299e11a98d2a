/** The part of the module `vscode` that the extension and its language client call, without an editor. */
import Module from "node:module";
import { EventEmitter as NodeEmitter } from "node:events";
import { pathToFileURL, fileURLToPath } from "node:url";

class Disposable {
  constructor(dispose = () => {}) {
    this.dispose = dispose;
  }
}

class EventEmitter {
  emitter = new NodeEmitter();
  event = (listener, self) => {
    const bound = (value) => listener.call(self, value);
    this.emitter.on("event", bound);
    return new Disposable(() => this.emitter.off("event", bound));
  };
  fire(value) {
    this.emitter.emit("event", value);
  }
  dispose() {}
}

class Uri {
  constructor(text) {
    this.text = text;
    this.scheme = String(text).split(":")[0];
    this.fsPath = this.scheme === "file" ? fileURLToPath(text) : text;
  }
  static parse(text) {
    return new Uri(text);
  }
  static file(path) {
    return new Uri(pathToFileURL(path).href);
  }
  toString() {
    return this.text;
  }
}

class Position {
  constructor(line, character) {
    Object.assign(this, { line, character });
  }
}

class Range {
  constructor(start, end) {
    Object.assign(this, { start, end });
  }
}

class CodeActionKind {
  static Empty = new CodeActionKind();
  append() {
    return this;
  }
}

class CancellationTokenSource {
  source = new EventEmitter();
  token = { isCancellationRequested: false, onCancellationRequested: this.source.event };
  cancel() {
    this.token.isCancellationRequested = true;
    this.source.fire();
  }
  dispose() {}
}

/** Return an object that has every member: events that never happen, registrations, and classes. */
function makeNamespace(known) {
  return new Proxy(known, {
    get(target, name) {
      if (name in target || typeof name === "symbol" || name === "then" || name === "__esModule") return target[name];
      if (/^[A-Z]/.test(name)) return (target[name] = class {});
      return () => new Disposable();
    },
  });
}

/** Return a stub with a config open, and what the extension has done with it. */
export function makeStub({ path, text, command, isTrusted = true }) {
  const done = { messages: [], pages: [], posted: [], shown: [], terminals: [], diagnostics: new Map() };
  const events = { changed: new EventEmitter(), received: new EventEmitter() };
  const uri = Uri.file(path);
  const document = { uri, languageId: "yaml", version: 1, text, getText: () => document.text, save: async () => true };
  const commands = new Map();
  const settings = { command, inlayHints: { shapes: true } };
  const panel = {
    webview: {
      set html(page) {
        done.pages.push(page);
      },
      postMessage: async (message) => done.posted.push(message),
      onDidReceiveMessage: events.received.event,
    },
    onDidDispose: () => new Disposable(),
    reveal() {},
    dispose() {},
  };
  const vscode = makeNamespace({
    version: "1.91.0",
    env: makeNamespace({ language: "en", appName: "stub" }),
    Disposable,
    EventEmitter,
    Uri,
    Position,
    Range,
    CodeActionKind,
    CancellationTokenSource,
    ViewColumn: { One: 1, Beside: -2 },
    ColorThemeKind: { Light: 1, Dark: 2 },
    DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
    workspace: makeNamespace({
      isTrusted,
      textDocuments: [document],
      workspaceFolders: [],
      getConfiguration: () => ({ ...settings, get: (key, fallback) => settings[key] ?? fallback }),
      onDidChangeTextDocument: events.changed.event,
    }),
    window: makeNamespace({
      activeTextEditor: { document },
      activeColorTheme: { kind: 1 },
      visibleTextEditors: [],
      tabGroups: makeNamespace({ all: [] }),
      createOutputChannel: () => makeNamespace({}),
      createWebviewPanel: () => panel,
      createTerminal: (name) => ({ show() {}, sendText: (line) => done.terminals.push([name, line]) }),
      showTextDocument: async (shownUri, options) => done.shown.push([shownUri.toString(), options.selection.start]),
      showErrorMessage: async (message) => void done.messages.push(message),
      showWarningMessage: async (message) => void done.messages.push(message),
    }),
    languages: makeNamespace({
      match: (selector) => ([selector].flat(9).some((one) => one.language === "yaml") ? 10 : 0),
      createDiagnosticCollection: () =>
        makeNamespace({ set: (file, found) => done.diagnostics.set(file.toString(), found) }),
    }),
    commands: makeNamespace({
      registerCommand: (name, handler) => (commands.set(name, handler), new Disposable()),
    }),
  });
  return {
    vscode,
    done,
    run: (name, ...values) => commands.get(name)(...values),
    click: (index) => events.received.fire({ index }),
    change(newText) {
      const [before, version] = [document.text, document.version + 1];
      const last = before.split("\n");
      const range = new Range(new Position(0, 0), new Position(last.length - 1, last.at(-1).length));
      Object.assign(document, { text: newText, version });
      events.changed.fire({ document, contentChanges: [{ range, rangeLength: before.length, text: newText }] });
    },
  };
}

/** Load the built extension anew with a stub as its module `vscode`. */
export function loadExtension(stub) {
  const load = Module._load;
  Module._load = (name, ...rest) => (name === "vscode" ? stub.vscode : load(name, ...rest));
  const require = Module.createRequire(import.meta.url);
  delete require.cache[require.resolve("../dist/extension.js")];
  try {
    return require("../dist/extension.js");
  } finally {
    Module._load = load;
  }
}
