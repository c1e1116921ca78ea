/** The side panel: the plan of the model looked at last, its run and its results. */
import type * as vscode from 'vscode';
import type { Actions } from './actions';
import { webviewHtml, webviewRoot } from './html';
import { emptyState, type Session } from './session';
import type { Sessions } from './sessions';
import { viewHandlers } from './viewHandlers';
import { ViewHost } from './viewHost';

export const panelViewId = 'espalier.pruning';

export class PruningPanel implements vscode.WebviewViewProvider {
  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly actions: Actions,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  resolveWebviewView(view: vscode.WebviewView): void {
    const { webview } = view;
    webview.options = { enableScripts: true, localResourceRoots: [webviewRoot(this.extensionUri)] };
    const handlers = viewHandlers(() => this.sessions.active, this.actions);
    const host = new ViewHost(webview, handlers, this.log);
    let changes: vscode.Disposable | undefined;
    const follow = (session: Session | undefined) => {
      changes?.dispose();
      changes = session?.onDidChange((patch) => host.patch(patch));
      view.description = session?.state.title ?? undefined;
    };
    const active = this.sessions.onDidChangeActive((session) => {
      follow(session);
      host.patch(session?.state ?? emptyState);
    });
    view.onDidDispose(() => {
      changes?.dispose();
      active.dispose();
      host.dispose();
    });
    follow(this.sessions.active);
    webview.html = webviewHtml(webview, this.extensionUri, 'panel');
  }
}
