/** What the in-host tests share: the extension's API, models in the workspace, and waiting for a session. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { EspalierApi } from '../../src/extension/main';
import type { Session } from '../../src/extension/session';
import type { RunState, SessionState } from '../../src/protocol/view';

export const extensionId = 'espalier.espalier';

export function extension(): vscode.Extension<EspalierApi> {
  const found = vscode.extensions.getExtension<EspalierApi>(extensionId);
  assert.ok(found, `${extensionId} is not there`);
  return found;
}

export async function activated(): Promise<EspalierApi> {
  return extension().activate();
}

/** Absolute path of the workspace, a copy that tests may write into. */
export function workspaceFolder(): string {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  assert.ok(folder, 'no folder is open');
  return folder.uri.fsPath;
}

/** The model that comes with the sample workspace. */
export function sampleModel(): vscode.Uri {
  const name = readdirSync(workspaceFolder()).find((each) => each.endsWith('.onnx') && !each.includes('pruned'));
  assert.ok(name, 'the sample workspace has no model');
  return vscode.Uri.file(path.join(workspaceFolder(), name));
}

/** A file of the shared data, copied into the workspace; undefined on machines without that data. */
export function sharedCopy(relative: string, name = path.basename(relative)): vscode.Uri | undefined {
  const source = path.join(extension().extensionPath, '../shared', relative);
  if (!existsSync(source)) return undefined;
  const copy = path.join(workspaceFolder(), name);
  copyFileSync(source, copy);
  return vscode.Uri.file(copy);
}

/** A copy of the sample model under a name of its own, so that what other tests stored for it does not matter. */
export function freshCopy(name: string): vscode.Uri {
  const copy = path.join(workspaceFolder(), name);
  copyFileSync(sampleModel().fsPath, copy);
  return vscode.Uri.file(copy);
}

/** Opens a model as a click in the explorer does, and waits until its figures and projection are there. */
export async function opened(uri: vscode.Uri): Promise<Session> {
  const api = await activated();
  await vscode.commands.executeCommand('vscode.open', uri);
  const session = await until(`the session of ${uri.fsPath}`, () => api.sessionFor(uri));
  await until('the figures', () => session.state.loading === 'ready');
  await session.settled();
  return session;
}

/** Like `opened`, for a model that must be readable. */
export async function ready(uri: vscode.Uri): Promise<Session> {
  const session = await opened(uri);
  assert.equal(session.state.error, null, JSON.stringify(session.state.error));
  return session;
}

export async function closeEditors(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
}

/** Waits for a run to end, and returns its result. */
export async function finishedRun(session: Session): Promise<Extract<RunState, { kind: 'done' }>> {
  const run = await until('the end of the run', () => (session.isRunning ? undefined : session.state.run));
  assert.equal(run.kind, 'done', JSON.stringify(run));
  return run as Extract<RunState, { kind: 'done' }>;
}

/** Waits until a state satisfies a condition. */
export function untilState(session: Session, what: string, holds: (state: SessionState) => boolean): Promise<true> {
  return until(what, () => (holds(session.state) ? true : undefined));
}

/** Repeats a look until it finds something; fails saying what was looked for. */
export async function until<T>(what: string, look: () => T | undefined | false, milliseconds = 45_000): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found as T;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** What a command called by a script rejects with. */
export async function failure(work: Thenable<unknown>): Promise<{ code?: string; message: string }> {
  try {
    await work;
  } catch (error) {
    return error as { code?: string; message: string };
  }
  assert.fail('nothing went wrong');
}
