import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { Session } from '../../src/extension/session';
import { type Recipe, recipeSchema } from '../../src/protocol/recipe';
import {
  activated,
  closeEditors,
  failure,
  finishedRun,
  freshCopy,
  ready,
  sha256,
  sharedCopy,
  until,
  untilState,
  workspaceFolder,
} from './support';

describe('a run', () => {
  afterEach(closeEditors);

  /** Where the extension keeps its runs; known from the first finished one. */
  let storage = '';
  const inWorkspace = (name: string) => path.join(workspaceFolder(), name);
  /** A session whose run is just long enough to be interrupted. */
  async function longRun(name: string): Promise<Session> {
    const model = sharedCopy('data/models/resnet56_cifar10.onnx', name) ?? freshCopy(name);
    return ready(model);
  }

  it('ends in a file that holds what was projected, and leaves the original alone', async () => {
    const model = freshCopy('main.onnx');
    const original = sha256(model.fsPath);
    const session = await ready(model);
    session.change({ target: { kind: 'macs', value: 0.5 } });
    await session.settled();
    const projection = session.state.projection!;

    await vscode.commands.executeCommand('espalier.run', { model });
    const { result } = await finishedRun(session);
    assert.deepEqual(
      result.verification.filter(({ passed }) => !passed),
      [],
    );
    assert.ok(result.verification.length > 0);
    storage = path.join(path.dirname(result.candidate), '../..');
    assert.deepEqual([result.after.params, result.after.macs], [projection.after.params, projection.after.macs]);

    const output = inWorkspace('main.pruned.onnx');
    const saved = await vscode.commands.executeCommand<{ model: string; recipe: string }>('espalier.savePruned', {
      model,
      output,
    });
    assert.equal(saved.model, output);
    assert.ok(session.state.run.kind === 'done' && session.state.run.savedAs === output);
    assert.equal(sha256(model.fsPath), original);

    const written = (await ready(vscode.Uri.file(output))).state.facts!;
    assert.deepEqual(
      [written.totals.params, written.totals.macs, written.fileBytes],
      [result.after.params, result.after.macs, readFileSync(output).length],
    );
    assert.deepEqual(written.inputs, session.state.facts!.inputs);
    const recipe: Recipe = recipeSchema.parse(JSON.parse(readFileSync(saved.recipe, 'utf8')));
    assert.equal(recipe.target.value, 0.5);
    assert.equal(path.resolve(path.dirname(saved.recipe), recipe.model.path), model.fsPath);
  });

  it('is not saved over a file without being asked', async () => {
    const model = freshCopy('guarded.onnx');
    const session = await ready(model);
    const nothing = await failure(
      vscode.commands.executeCommand('espalier.savePruned', { model, output: inWorkspace('x.onnx') }),
    );
    assert.equal(nothing.code, 'nothing-to-save');
    await vscode.commands.executeCommand('espalier.run', { model });
    await finishedRun(session);
    const output = inWorkspace('guarded.pruned.onnx');
    writeFileSync(output, 'precious');
    const error = await failure(vscode.commands.executeCommand('espalier.savePruned', { model, output }));
    assert.match(error.message, /guarded\.pruned\.onnx/);
    assert.equal(readFileSync(output, 'utf8'), 'precious');
    await vscode.commands.executeCommand('espalier.savePruned', { model, output, overwrite: true });
    assert.ok(readFileSync(output).length > 1000);
  });

  it('leaves nothing behind when it is cancelled', async () => {
    const session = await longRun('cancelled.onnx');
    const before = [readdirSync(workspaceFolder()), readdirSync(storage)];
    const running = vscode.commands.executeCommand('espalier.run', { model: session.uri });
    await untilState(
      session,
      'the first progress',
      ({ run }) => run.kind === 'running' && run.progress.message !== 'Starting',
    );
    await vscode.commands.executeCommand('espalier.cancel', { model: session.uri });
    await running;
    assert.deepEqual(session.state.run, { kind: 'idle' });
    assert.equal(session.state.error, null);
    assert.deepEqual([readdirSync(workspaceFolder()), readdirSync(storage)], before);
  });

  it('that loses the engine says so, and the next request works', async () => {
    const api = await activated();
    const session = await longRun('crashed.onnx');
    const running = vscode.commands.executeCommand('espalier.run', { model: session.uri });
    await untilState(
      session,
      'the first progress',
      ({ run }) => run.kind === 'running' && run.progress.message !== 'Starting',
    );
    const pid = api.enginePid()!;
    process.kill(pid, 'SIGKILL');
    await running;
    const { run } = session.state;
    assert.ok(run.kind === 'failed', JSON.stringify(run));
    assert.equal(run.error.code, 'engine-stopped');
    assert.match(run.error.message, /SIGKILL.*'run'/);
    session.change({ target: { kind: 'macs', value: 0.6 } });
    await session.settled();
    assert.ok(session.state.projection!.after.macs! <= 0.6 * session.state.projection!.before.macs!);
    assert.notEqual(api.enginePid(), pid);
  });

  it('is repeated by its recipe, byte for byte', async () => {
    const model = freshCopy('repeated.onnx');
    const session = await ready(model);
    session.change({ target: { kind: 'params', value: 0.6 }, seed: 7 });
    await vscode.commands.executeCommand('espalier.run', { model });
    const first = await finishedRun(session);
    const saved = await vscode.commands.executeCommand<{ model: string; recipe: string }>('espalier.savePruned', {
      model,
      output: inWorkspace('repeated.pruned.onnx'),
    });
    session.change({ target: { kind: 'params', value: 0.9 }, seed: 1 });
    await closeEditors();

    await vscode.commands.executeCommand('espalier.runRecipe', vscode.Uri.file(saved.recipe));
    const api = await activated();
    const again = await until('the session', () => api.sessionFor(model));
    const second = await finishedRun(again);
    assert.equal(again.settings.target.value, 0.6);
    assert.notEqual(second.result.candidate, first.result.candidate);
    assert.equal(sha256(second.result.candidate), sha256(saved.model));
  });

  it('is still there, and can be saved, after the editor was closed', async () => {
    const model = freshCopy('later.onnx');
    await ready(model);
    await vscode.commands.executeCommand('espalier.run', { model });
    await closeEditors();
    const session = await ready(model);
    const run = await finishedRun(session);
    assert.ok(existsSync(run.result.candidate));
    const output = inWorkspace('later.pruned.onnx');
    await vscode.commands.executeCommand('espalier.savePruned', { model, output });
    assert.equal(sha256(output), sha256(run.result.candidate));
  });

  it('writes its settings as a recipe that names the model from where it lies', async () => {
    const model = freshCopy('exported.onnx');
    const session = await ready(model);
    session.change({ target: { kind: 'bytes', value: 0.5 } });
    const output = inWorkspace('exported.prune.json');
    await vscode.commands.executeCommand('espalier.exportRecipe', { model, output });
    const recipe: Recipe = recipeSchema.parse(JSON.parse(readFileSync(output, 'utf8')));
    assert.deepEqual(recipe.model, { path: 'exported.onnx', sha256: sha256(model.fsPath) });
    assert.deepEqual(recipe.target, { kind: 'bytes', value: 0.5 });
    const again = await failure(vscode.commands.executeCommand('espalier.exportRecipe', { model, output }));
    assert.equal(again.code, 'output-exists');
  });

  it('can be compared with its original', async () => {
    const model = freshCopy('compared.onnx');
    const session = await ready(model);
    await vscode.commands.executeCommand('espalier.run', { model });
    const { result } = await finishedRun(session);
    const output = inWorkspace('compared.pruned.onnx');
    await vscode.commands.executeCommand('espalier.savePruned', { model, output });
    const both = [model, vscode.Uri.file(output)];
    const uri = await vscode.commands.executeCommand<vscode.Uri>('espalier.compare', model, both);
    const text = (await vscode.workspace.openTextDocument(uri)).getText();
    assert.match(text, /^# compared\.onnx and compared\.pruned\.onnx/);
    const line = text.split('\n').find((each) => each.startsWith('| Parameters |'))!;
    const change = Math.round((1 - result.after.params / result.before.params) * 1000) / 10;
    assert.ok(line.includes(`−${change} %`), line);
  });
});
