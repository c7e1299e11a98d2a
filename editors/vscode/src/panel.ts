import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { LanguageClient, Position } from "vscode-languageclient/node";
import { makePage } from "./texts";

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
  uri: string;
  position: Position;
}

interface Picture {
  svg: string | null;
  boxes: Box[];
  isCurrent: boolean;
  message: string | null;
}

/** The picture of the model in the active editor, next to its text. */
export class PicturePanel implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private uri: vscode.Uri | undefined;
  private boxes: Box[] = [];

  constructor(private readonly findClient: () => LanguageClient | undefined) {}

  dispose(): void {
    this.panel?.dispose();
  }

  show(): void {
    this.uri = vscode.window.activeTextEditor?.document.uri ?? this.uri;
    if (this.panel !== undefined) {
      this.panel.reveal(undefined, true);
      void this.draw();
      return;
    }
    this.panel = vscode.window.createWebviewPanel(
      "layercli.picture",
      "Model",
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: true, localResourceRoots: [], retainContextWhenHidden: true },
    );
    this.panel.onDidDispose(() => (this.panel = undefined));
    this.panel.webview.onDidReceiveMessage((message: { index?: number }) =>
      message.index === undefined ? this.draw() : this.open(this.boxes.at(message.index)),
    );
    this.panel.webview.html = makePage(randomBytes(16).toString("hex"));
  }

  /** Show the model of the editor that has become active, if it is a YAML file. */
  follow(): void {
    const document = vscode.window.activeTextEditor?.document;
    if (document?.languageId === "yaml") {
      this.uri = document.uri;
      void this.draw();
    }
  }

  refresh(uri: vscode.Uri): void {
    if (uri.toString() === this.uri?.toString()) {
      void this.draw();
    }
  }

  private async draw(): Promise<void> {
    const [client, uri, panel] = [this.findClient(), this.uri, this.panel];
    if (client === undefined || uri === undefined || panel === undefined) {
      return;
    }
    const isDark = vscode.window.activeColorTheme.kind === vscode.ColorThemeKind.Dark;
    const params = {
      textDocument: { uri: client.code2ProtocolConverter.asUri(uri) },
      theme: isDark ? "dark" : "light",
    };
    let picture: Picture | null;
    try {
      picture = await client.sendRequest<Picture | null>("layercli/modelPicture", params);
    } catch {
      return; // the text has changed in the meantime: its diagnostics ask again
    }
    if (picture === null || uri.toString() !== this.uri?.toString()) {
      return;
    }
    this.boxes = picture.boxes;
    await panel.webview.postMessage(picture);
  }

  private async open(box: Box | undefined): Promise<void> {
    if (box === undefined) {
      return;
    }
    const uri = vscode.Uri.parse(box.uri);
    const known = vscode.window.visibleTextEditors.find((one) => one.document.uri.toString() === uri.toString());
    const place = new vscode.Position(box.position.line, box.position.character);
    await vscode.window.showTextDocument(uri, {
      viewColumn: known?.viewColumn ?? vscode.ViewColumn.One,
      selection: new vscode.Range(place, place),
    });
  }
}
