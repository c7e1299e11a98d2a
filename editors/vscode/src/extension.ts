import * as vscode from "vscode";
import { LanguageClient, State } from "vscode-languageclient/node";
import { PicturePanel } from "./panel";
import { explainFailedStart, quoteForShell } from "./texts";

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const panel = new PicturePanel(() => client);
  context.subscriptions.push(
    panel,
    vscode.commands.registerCommand("layercli.showPicture", () => panel.show()),
    vscode.commands.registerCommand("layercli.restart", restart),
    vscode.workspace.onDidChangeConfiguration((event) =>
      event.affectsConfiguration("layercli.command") ? restart() : undefined,
    ),
    vscode.window.onDidChangeActiveTextEditor(() => panel.follow()),
  );
  await start(panel);

  async function restart(): Promise<void> {
    await stop();
    await start(panel);
  }
}

export async function deactivate(): Promise<void> {
  await stop();
}

async function stop(): Promise<void> {
  const stopped = client;
  client = undefined;
  if (stopped?.state === State.Running) {
    await stopped.stop();
  }
}

async function start(panel: PicturePanel): Promise<void> {
  const settings = vscode.workspace.getConfiguration("layercli");
  const [command, ...args] = settings.get<string[]>("command", ["layercli"]);
  const started = new LanguageClient(
    "layercli",
    "layercli",
    { command: command ?? "layercli", args: [...args, "lsp"] },
    {
      documentSelector: [{ language: "yaml" }],
      initializationOptions: settings,
      synchronize: { configurationSection: "layercli" },
      middleware: {
        // The diagnostics of a version are published when its shapes are known.
        handleDiagnostics: (uri, diagnostics, next) => {
          next(uri, diagnostics);
          panel.refresh(uri);
        },
        executeCommand: (name, values, next) =>
          name === "layercli.train" ? train(vscode.Uri.parse(String(values[0]))) : next(name, values),
      },
    },
  );
  client = started;
  try {
    await started.start();
  } catch {
    const choice = await vscode.window.showErrorMessage(explainFailedStart(command ?? "layercli"), "Open Settings");
    if (choice !== undefined) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "layercli.command");
    }
  }
}

async function train(uri: vscode.Uri): Promise<void> {
  if (!vscode.workspace.isTrusted) {
    await vscode.window.showWarningMessage("Training needs a trusted folder.");
    return;
  }
  const document = vscode.workspace.textDocuments.find((one) => one.uri.toString() === uri.toString());
  if (document !== undefined && !(await document.save())) {
    return;
  }
  const command = vscode.workspace.getConfiguration("layercli").get<string[]>("command", ["layercli"]);
  const terminal = vscode.window.createTerminal("layercli train");
  terminal.show();
  terminal.sendText([...command, "train", uri.fsPath].map((word) => quoteForShell(word, process.platform)).join(" "));
}
