/** What VS Code's own surface shows of the work: the status-bar item, and the context keys that menus depend on. */
import * as vscode from 'vscode';
import type { EngineActivity } from './engineClient';
import type { Session } from './session';
import type { Sessions } from './sessions';

/** Short requests would make the item flicker. Milliseconds. */
const delay = 400;

/** Visible while the engine works; a click shows the log. */
export class EngineStatus implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('espalier.engine', vscode.StatusBarAlignment.Left);
  private timer: NodeJS.Timeout | undefined;

  constructor() {
    this.item.name = 'Espalier Engine';
    this.item.command = 'espalier.showLog';
  }

  show({ open, progress }: EngineActivity): void {
    if (open === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.item.hide();
      return;
    }
    const share = progress?.fraction == null ? '' : ` ${Math.round(progress.fraction * 100)} %`;
    const text = progress ? `${progress.message}${share}` : 'Working';
    this.item.text = `$(loading~spin) Espalier: ${text}`;
    this.item.tooltip = `${open === 1 ? 'One request is' : `${open} requests are`} being worked on. Click for the log.`;
    this.timer ??= setTimeout(() => this.item.show(), delay);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.item.dispose();
  }
}

/** Keeps `espalier.*` context keys in step with the model looked at last. */
export function followContext(sessions: Sessions): vscode.Disposable {
  const known = new Map<string, boolean>();
  const set = (key: string, value: boolean) => {
    if (known.get(key) === value) return;
    known.set(key, value);
    void vscode.commands.executeCommand('setContext', `espalier.${key}`, value);
  };
  const show = (session: Session | undefined) => {
    set('modelOpen', session !== undefined);
    set('running', session?.state.run.kind === 'running');
    set('training', session?.state.run.kind === 'running' && session.state.run.progress.training !== undefined);
    set('paused', session?.state.run.kind === 'running' && session.state.run.paused);
    set('hasResult', session?.state.run.kind === 'done');
    set('canUndo', session?.state.canUndo ?? false);
    set('canRedo', session?.state.canRedo ?? false);
  };
  let changes: vscode.Disposable | undefined;
  const active = sessions.onDidChangeActive((session) => {
    changes?.dispose();
    changes = session?.onDidChange(() => show(session));
    show(session);
  });
  show(sessions.active);
  return { dispose: () => vscode.Disposable.from(active, ...(changes ? [changes] : [])).dispose() };
}
