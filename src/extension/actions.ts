/**
 * What the user can set going, from a command or from a webview: everything that needs a dialog, a file or a
 * notification. Dialogs are skipped where the caller brings the answer along, as scripts and tests do.
 */
import { cp, readdir } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { compareNeedsTwo, errorInfo, sampleMissing, UserError } from '../errors';
import type { Progress, RunResult } from '../protocol/plan';
import type { ViewMethods } from '../protocol/view';
import { loadRecipe } from '../recipe/file';
import type { Comparisons } from './comparison';
import { editorViewType } from './editor';
import { panelViewId } from './panel';
import { exportRecipe, exportText, type SaveOptions, savePruned } from './saving';
import type { Session } from './session';
import type { Sessions } from './sessions';

const modelFiles = { 'ONNX models': ['onnx'] };

export class Actions {
  constructor(
    private readonly sessions: Sessions,
    private readonly comparisons: Comparisons,
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** Opens a model in its editor; asks for one when none is given. */
  async openModel(uri?: vscode.Uri): Promise<void> {
    const model = uri ?? (await vscode.window.showOpenDialog({ filters: modelFiles, title: 'Inspect Model' }))?.[0];
    if (model) await vscode.commands.executeCommand('vscode.openWith', model, editorViewType);
  }

  /** Opens a model and the panel in which its pruning is set up; without a model, the one looked at last. */
  async prune(uri?: vscode.Uri): Promise<void> {
    if (uri || !this.sessions.active) await this.openModel(uri);
    await vscode.commands.executeCommand(`${panelViewId}.focus`);
  }

  /**
   * Uses a dataset for calibration and evaluation.
   *
   * @param options.path absolute; asked for when not given
   */
  async chooseData(session: Session, options: { path?: string; role?: 'data' | 'evaluation' } = {}): Promise<void> {
    const chosen = options.path ?? (await this.askForData(session));
    if (chosen) await session.useData(chosen, options.role);
  }

  /**
   * Runs the pruning, with a notification that can cancel it. Resolves when it ended.
   *
   * @param resume a run that was stopped, to go on with instead
   */
  async run(session: Session, resume?: string): Promise<void> {
    if (session.isRunning) return;
    const { title } = session.state;
    const outcome = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: `Pruning ${title}`, cancellable: true },
      async (notification, token) => {
        token.onCancellationRequested(() => session.runs.cancel());
        let shown = 0;
        const report = ({ message, fraction }: Progress) => {
          const increment = fraction === null ? undefined : Math.max(0, fraction * 100 - shown);
          shown += increment ?? 0;
          notification.report({ message, increment });
        };
        return resume === undefined ? session.runs.run(report) : session.runs.resume(resume, report);
      },
    );
    if (outcome === 'cancelled') {
      vscode.window.setStatusBarMessage(`Pruning ${title} was cancelled; nothing was written.`, 8_000);
    }
    if (outcome === 'stopped') {
      vscode.window.setStatusBarMessage(`The training of ${title} stopped; it can be resumed.`, 8_000);
    }
    // Whoever looks on sees the results; this is for whoever went on with something else.
    const { run } = session.state;
    if (outcome === 'done' && run.kind === 'done' && session.visibleIn.size === 0) {
      void this.announce(session, run.result);
    }
  }

  async savePruned(
    session: Session,
    options: SaveOptions = {},
  ): Promise<{ model: string; recipe: string } | undefined> {
    const saved = await savePruned(session, options);
    if (!saved) return undefined;
    await vscode.commands.executeCommand('revealInExplorer', vscode.Uri.file(saved.model));
    void this.offerComparison(session, saved.model);
    return saved;
  }

  exportRecipe(session: Session, options: SaveOptions = {}): Promise<string | undefined> {
    return exportRecipe(session, options);
  }

  exportChart(chart: Parameters<ViewMethods['export']>[0], session: Session | undefined): Promise<void> {
    return exportText(chart, session?.folder);
  }

  /** Opens the model that a recipe names, with the recipe's settings, and runs it. */
  async runRecipe(uri: vscode.Uri): Promise<void> {
    const { model, settings } = await loadRecipe(uri.fsPath);
    const target = vscode.Uri.file(model);
    const session = this.sessions.acquire(target);
    try {
      await this.prune(target);
      session.replaceSettings(settings);
      await this.run(session);
    } finally {
      this.sessions.release(session);
    }
  }

  /** Compares two models; asks for them when there are not two. Uses the data of a session that shows one of them. */
  async compare(uris: readonly vscode.Uri[]): Promise<vscode.Uri | undefined> {
    const chosen = uris.length > 0 ? uris : await this.askForTwo();
    if (!chosen) return undefined;
    if (chosen.length !== 2) throw compareNeedsTwo({ found: chosen.length });
    const [a, b] = chosen;
    const session = this.sessions.get(a) ?? this.sessions.get(b);
    const data = vscode.workspace.isTrusted ? session?.settings.data?.path : undefined;
    return vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: 'Comparing models', cancellable: true },
      (notification, token) =>
        this.comparisons.show(a.fsPath, b.fsPath, data && session ? path.resolve(session.folder, data) : undefined, {
          token,
          onProgress: ({ message }) => notification.report({ message }),
        }),
    );
  }

  /** Opens the sample model from a copy that may be written beside. */
  async openSample(): Promise<vscode.Uri> {
    const source = path.join(this.context.extensionPath, 'sample', 'workspace');
    const folder = path.join(this.context.globalStorageUri.fsPath, 'sample');
    const names = await readdir(source).catch(() => []);
    const model = names.find((name) => name.endsWith('.onnx'));
    if (!model) throw sampleMissing({ folder: source });
    // What the user changed or saved there stays.
    await cp(source, folder, { recursive: true, force: false });
    const uri = vscode.Uri.file(path.join(folder, model));
    await this.prune(uri);
    return uri;
  }

  /** An action that was started from a webview failed: the session's views show it. */
  failed(session: Session, error: unknown): void {
    session.fail(error);
    // Trust is granted outside the webview, by the notification's button.
    if (error instanceof UserError && error.code === 'workspace-not-trusted') void this.show(error);
  }

  /** Tells the user what went wrong, with the button that helps. */
  async show(error: unknown): Promise<void> {
    const { code, message, hint } = errorInfo(error);
    if (code === 'cancelled') return;
    if (!(error instanceof UserError)) this.log.error(error instanceof Error ? error : String(error));
    const help =
      code === 'workspace-not-trusted'
        ? { label: 'Manage Workspace Trust', command: 'workbench.trust.manage' }
        : { label: 'Show Log', command: 'espalier.showLog' };
    const pressed = await vscode.window.showErrorMessage(`${message} ${hint}`, help.label);
    if (pressed) await vscode.commands.executeCommand(help.command);
  }

  private async announce(session: Session, { verification }: RunResult): Promise<void> {
    const { title } = session.state;
    if (verification.some(({ passed }) => !passed)) {
      await vscode.window.showWarningMessage(`${title}: a check of the pruned model failed; the Results tab names it.`);
      return;
    }
    const save = 'Save Pruned Model…';
    const pressed = await vscode.window.showInformationMessage(`${title} is pruned, and all checks passed.`, save);
    if (pressed === save) await this.savePruned(session).catch((error: unknown) => this.show(error));
  }

  private async offerComparison(session: Session, saved: string): Promise<void> {
    const compare = 'Compare with Original';
    const pressed = await vscode.window.showInformationMessage(
      `Saved ${path.basename(saved)} and its recipe.`,
      compare,
    );
    if (pressed !== compare) return;
    await this.compare([session.uri, vscode.Uri.file(saved)]).catch((error: unknown) => this.show(error));
  }

  /** Data may be a folder or a file, and one dialog can't offer both everywhere. */
  private async askForData(session: Session): Promise<string | undefined> {
    const descriptions = await vscode.workspace.findFiles('**/*.dataset.json', '**/node_modules/**', 20);
    const picks: (vscode.QuickPickItem & { uri?: vscode.Uri; folders?: boolean })[] = [
      ...descriptions.map((uri) => ({ label: `$(database) ${vscode.workspace.asRelativePath(uri)}`, uri })),
      { label: '$(folder) Folder…', detail: 'A folder of class folders with images', folders: true },
      {
        label: '$(file) File…',
        detail: 'CIFAR binary batch, IDX (MNIST), .npz or .npy, .csv of paths and labels, .dataset.json',
        folders: false,
      },
    ];
    const pick = await vscode.window.showQuickPick(picks, { title: 'Calibration and Evaluation Data' });
    if (!pick) return undefined;
    if (pick.uri) return pick.uri.fsPath;
    const chosen = await vscode.window.showOpenDialog({
      title: 'Calibration and Evaluation Data',
      defaultUri: vscode.Uri.file(session.folder),
      canSelectFolders: pick.folders,
      canSelectFiles: !pick.folders,
    });
    return chosen?.[0].fsPath;
  }

  private async askForTwo(): Promise<vscode.Uri[] | undefined> {
    const models = await vscode.workspace.findFiles('**/*.onnx', '**/node_modules/**', 1_000);
    const picks = models.map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }));
    const chosen = await vscode.window.showQuickPick(picks, { title: 'Compare Two Models', canPickMany: true });
    return chosen?.map(({ uri }) => uri);
  }
}
