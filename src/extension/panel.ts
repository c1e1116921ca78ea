/** The side panel: the plan of the model looked at last, its run and its results. */
import type * as vscode from 'vscode';
import { webviewHtml, webviewRoot } from './html';
import { emptyState, type Session } from './session';
import type { Sessions } from './sessions';
import { type ViewActions, viewHandlers } from './viewHandlers';
import { ViewHost } from './viewHost';

export const panelViewId = 'espalier.pruning';

export class PruningPanel implements vscode.WebviewViewProvider {
  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly sessions: Sessions,
    private readonly actions: ViewActions,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  resolveWebviewView(view: vscode.WebviewView): void {
    const { webview } = view;
    webview.options = { enableScripts: true, localResourceRoots: [webviewRoot(this.extensionUri)] };
    const handlers = viewHandlers(() => this.sessions.active, this.actions);
    const host = new ViewHost(webview, handlers, this.log);
    let shown: Session | undefined;
    let changes: vscode.Disposable | undefined;
    const mark = () => {
      if (view.visible) shown?.visibleIn.add(view);
      else shown?.visibleIn.delete(view);
    };
    const follow = (session: Session | undefined) => {
      shown?.visibleIn.delete(view);
      changes?.dispose();
      shown = session;
      changes = session?.onDidChange((patch) => host.patch(patch));
      mark();
    };
    const subscriptions = [
      host,
      view.onDidChangeVisibility(mark),
      this.sessions.onDidChangeActive((session) => {
        follow(session);
        host.patch(session?.state ?? emptyState);
      }),
    ];
    view.onDidDispose(() => {
      follow(undefined);
      for (const subscription of subscriptions) subscription.dispose();
    });
    follow(this.sessions.active);
    webview.html = webviewHtml(webview, this.extensionUri, 'panel');
  }
}
