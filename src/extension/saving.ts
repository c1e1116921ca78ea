/** Writing things where the user wants them: pruned models, recipes, charts. Nothing is replaced without asking. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { textFile, writeFiles } from '../atomic';
import { nothingToSave, outputExists, UserError } from '../errors';
import type { ViewMethods } from '../protocol/view';
import { prunedPath, recipeText } from '../recipe/file';
import type { Session } from './session';

export interface SaveOptions {
  /** Absolute path; asked for when not given. */
  readonly output?: string;
  /** May an existing file be replaced? Without an output the dialog asks. */
  readonly overwrite?: boolean;
  /** The run to save; the one on screen when left out. */
  readonly id?: string;
}

/** @returns the files written; undefined when the user changed their mind */
export async function savePruned(
  session: Session,
  { output, overwrite = false, id }: SaveOptions,
): Promise<{ model: string; recipe: string } | undefined> {
  if (id === undefined && session.state.run.kind !== 'done') throw nothingToSave();
  if (output) return session.runs.save(output, { overwrite, id });
  const chosen = await vscode.window.showSaveDialog({
    title: 'Save Pruned Model',
    defaultUri: vscode.Uri.file(prunedPath(session.path)),
    filters: { 'ONNX models': ['onnx'] },
  });
  if (!chosen) return undefined;
  try {
    // The dialog has asked about this very file.
    return await session.runs.save(chosen.fsPath, { overwrite: existsSync(chosen.fsPath), id });
  } catch (error) {
    // It knows nothing of the recipe that is written beside.
    if (!(error instanceof UserError && error.code === 'output-exists')) throw error;
    const replace = 'Replace';
    const pressed = await vscode.window.showWarningMessage(error.message, { modal: true }, replace);
    return pressed === replace ? session.runs.save(chosen.fsPath, { overwrite: true, id }) : undefined;
  }
}

/** @returns the recipe file; undefined when the user changed their mind */
export async function exportRecipe(
  session: Session,
  { output, overwrite = false }: SaveOptions,
): Promise<string | undefined> {
  if (output && existsSync(output) && !overwrite) throw outputExists({ path: output });
  const { dir, name } = path.parse(session.path);
  const file =
    output ??
    (
      await vscode.window.showSaveDialog({
        title: 'Export Recipe',
        defaultUri: vscode.Uri.file(path.join(dir, `${name}.prune.json`)),
        filters: { 'Pruning recipes': ['prune.json'] },
      })
    )?.fsPath;
  if (!file) return undefined;
  const text = await recipeText(file, session.path, session.settings);
  // The dialog has asked.
  writeFiles([textFile(file, text)], { overwrite: overwrite || output === undefined });
  return file;
}

/** Copies a chart's text to the clipboard or saves it. */
export async function exportText(
  { kind, name, text, to }: Parameters<ViewMethods['export']>[0],
  folder = '',
): Promise<void> {
  if (to === 'clipboard') {
    await vscode.env.clipboard.writeText(text);
    return;
  }
  // The name comes from a layer: it may hold what file names must not.
  const fileName = `${name.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 100)}.${kind}`;
  const chosen = await vscode.window.showSaveDialog({
    title: 'Export Chart',
    defaultUri: vscode.Uri.file(path.join(folder, fileName)),
    filters: { [kind.toUpperCase()]: [kind] },
  });
  if (chosen) await vscode.workspace.fs.writeFile(chosen, Buffer.from(text, 'utf8'));
}
