/** What the user can do with runs that are over or stopped, from the Runs view, the palette or a webview. */
import * as vscode from 'vscode';
import { nothingToSave } from '../errors';
import type { RunSummary } from '../protocol/runs';
import type { Actions } from './actions';
import type { RunStore } from './runs/store';
import { runDescription } from './runs/text';
import type { SaveOptions } from './saving';
import type { Session } from './session';
import type { Sessions } from './sessions';

export class RunActions {
  constructor(
    private readonly actions: Actions,
    private readonly sessions: Sessions,
    private readonly runs: RunStore,
  ) {}

  /** Shows a run in its model's editor. */
  async open(id: string): Promise<void> {
    await this.inItsEditor(id, (session) => session.runs.open(id));
  }

  async useSettings(id: string): Promise<void> {
    await this.inItsEditor(id, (session) => session.runs.useSettings(id));
  }

  /** Resolves when the run ended. */
  async resume(id: string): Promise<void> {
    await this.inItsEditor(id, (session) => this.actions.run(session, id));
  }

  save(id: string, options: SaveOptions = {}): Promise<{ model: string; recipe: string } | undefined> {
    return this.inItsEditor(id, (session) => this.actions.savePruned(session, { ...options, id }));
  }

  /**
   * Asks, then removes the record.
   *
   * @param options.confirmed the caller has asked
   */
  async remove(id: string, { confirmed = false }: { confirmed?: boolean } = {}): Promise<void> {
    const run = this.runs.get(id);
    if (!confirmed && !(await this.mayDelete(run))) return;
    const session = this.sessions.get(vscode.Uri.file(run.model));
    if (session) session.runs.delete(id);
    else this.runs.delete(id);
  }

  /** Compares with the original: the saved model, or the candidate while there is none. */
  async compare(id: string): Promise<vscode.Uri | undefined> {
    const { model, savedAs, result } = this.runs.read(id);
    const pruned = savedAs ?? result?.candidate;
    if (!pruned) throw nothingToSave();
    return this.actions.compare([vscode.Uri.file(model), vscode.Uri.file(pruned)]);
  }

  /** Shows where the saved model lies, or the candidate while there is none. */
  async reveal(id: string): Promise<void> {
    const { savedAs, result } = this.runs.read(id);
    if (savedAs) await vscode.commands.executeCommand('revealInExplorer', vscode.Uri.file(savedAs));
    else if (result) await vscode.commands.executeCommand('revealFileInOS', vscode.Uri.file(result.candidate));
    else throw nothingToSave();
  }

  /** Asks for one of the runs that will do. */
  async pick(title: string, suits: (run: RunSummary) => boolean): Promise<string | undefined> {
    const picks = this.runs.models().flatMap((model) =>
      this.runs
        .of(model)
        .filter(suits)
        .map((run) => ({
          label: run.title,
          description: vscode.workspace.asRelativePath(model),
          detail: runDescription(run),
          id: run.id,
        })),
    );
    const placeHolder = picks.length > 0 ? undefined : 'There is no such run yet.';
    return (await vscode.window.showQuickPick(picks, { title, placeHolder }))?.id;
  }

  private async inItsEditor<T>(id: string, action: (session: Session) => T | Promise<T>): Promise<T> {
    const model = vscode.Uri.file(this.runs.get(id).model);
    const session = this.sessions.acquire(model);
    try {
      await this.actions.prune(model);
      return await action(session);
    } finally {
      this.sessions.release(session);
    }
  }

  private async mayDelete({ title, savedAs, canResume }: RunSummary): Promise<boolean> {
    const remove = 'Delete';
    const kept = savedAs ? ' The saved model stays.' : ' Its model was not saved.';
    const lost = canResume ? ' It can’t be resumed any more.' : kept;
    const pressed = await vscode.window.showWarningMessage(
      `Delete the run “${title}”?`,
      { modal: true, detail: lost.trim() },
      remove,
    );
    return pressed === remove;
  }
}
