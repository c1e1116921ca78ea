import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { activated, closeEditors, ready, sampleModel, until } from './support';

describe('the engine process', () => {
  after(closeEditors);

  it('is another process than the extension host', async () => {
    const api = await activated();
    await ready(sampleModel());
    const pid = api.enginePid();
    assert.ok(pid && pid !== process.pid);
  });

  it('starts anew on request', async () => {
    const api = await activated();
    const session = await ready(sampleModel());
    const pid = api.enginePid();
    await vscode.commands.executeCommand('espalier.restartEngine');
    await until('the figures', () => session.state.loading === 'ready');
    await session.settled();
    assert.equal(session.state.error, null);
    assert.notEqual(api.enginePid(), pid);
  });

  it('ends shortly after the last editor is closed', async () => {
    const api = await activated();
    const configuration = vscode.workspace.getConfiguration('espalier');
    await configuration.update('engine.idleSeconds', 0, vscode.ConfigurationTarget.Workspace);
    await ready(sampleModel());
    const pid = api.enginePid()!;
    await closeEditors();
    await until('the end of the engine', () => api.enginePid() === undefined);
    await until('the end of its process', () => !isAlive(pid));
    await configuration.update('engine.idleSeconds', undefined, vscode.ConfigurationTarget.Workspace);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
