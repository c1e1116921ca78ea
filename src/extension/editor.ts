/** The model editor: a read-only custom editor for `*.onnx`. The file is never changed. */
import type * as vscode from 'vscode';
import { webviewHtml, webviewRoot } from './html';
import type { Session } from './session';
import type { Sessions } from './sessions';
import { type ViewActions, viewHandlers } from './viewHandlers';
import { ViewHost } from './viewHost';

export const editorViewType = 'espalier.model';

class ModelDocument implements vscode.CustomDocument {
  constructor(
    readonly uri: vscode.Uri,
    readonly session: Session,
    private readonly sessions: Sessions,
  ) {}

  dispose(): void {
    this.sessions.release(this.session);
  }
}

export class ModelEditor implements vscode.CustomReadonlyEditorProvider<ModelDocument> {
  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly actions: ViewActions,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  openCustomDocument(uri: vscode.Uri): ModelDocument {
    return new ModelDocument(uri, this.sessions.acquire(uri), this.sessions);
  }

  resolveCustomEditor({ session }: ModelDocument, panel: vscode.WebviewPanel): void {
    const { webview } = panel;
    webview.options = { enableScripts: true, localResourceRoots: [webviewRoot(this.extensionUri)] };
    const handlers = viewHandlers(() => session, this.actions);
    const host = new ViewHost(webview, handlers, this.log);
    const follow = () => {
      if (panel.visible) session.visibleIn.add(panel);
      else session.visibleIn.delete(panel);
      if (panel.active || !this.sessions.active) this.sessions.activate(session);
    };
    const subscriptions = [host, session.onDidChange((patch) => host.patch(patch)), panel.onDidChangeViewState(follow)];
    panel.onDidDispose(() => {
      session.visibleIn.delete(panel);
      for (const subscription of subscriptions) subscription.dispose();
    });
    follow();
    webview.html = webviewHtml(webview, this.extensionUri, 'editor');
  }
}
