import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { RunsNode } from '../../src/extension/runsView';
import type { Session } from '../../src/extension/session';
import { basisOptionsSchema, trainingSchema } from '../../src/protocol/recipe';
import type { RunState, SessionState } from '../../src/protocol/view';
import {
  activated,
  closeEditors,
  failure,
  finishedRun,
  freshCopy,
  ready,
  sha256,
  until,
  untilState,
  workspaceFolder,
} from './support';

type Stopped = Extract<RunState, { kind: 'stopped' }>;

const images = 96;
const epochs = 2;
const steps = (epochs * images) / 4;

describe('a training', function () {
  // Most of these run twice, with the measurements that end a run, on a machine that may have other things to do.
  this.timeout(180_000);
  afterEach(async () => {
    // A test that failed must not leave the engine to a training that waits.
    await Promise.all(sessions.splice(0).map((session) => session.runs.stop()));
    await closeEditors();
  });

  const sessions: Session[] = [];
  /** What an uninterrupted run of the same settings gives. */
  let whole: { readonly curve: SessionState['curve']; readonly candidate: string };

  /** A session of a fresh copy of the sample, set up for a training of a second or two. */
  async function set(name: string): Promise<Session> {
    const session = await ready(freshCopy(name));
    sessions.push(session);
    session.change({
      target: { kind: 'macs', value: 0.5 },
      basis: basisOptionsSchema.parse({ basis: 'weights', refit: false }),
      data: {
        path: 'shapes-train.dataset.json',
        evaluation: 'shapes-test.dataset.json',
        limit: 32,
      },
      training: trainingSchema.parse({ epochs, images, batch: 4, lr: 0.001 }),
      threads: 1,
    });
    await session.settled();
    assert.equal(session.state.error, null, JSON.stringify(session.state.error));
    return session;
  }

  /** Starts the run, and does something with the first step that the screen shows. */
  function startThen(session: Session, act: () => void): Thenable<unknown> {
    const watch = session.onDidChange(({ run }) => {
      if (run?.kind !== 'running' || run.progress.training === undefined) return;
      watch.dispose();
      act();
    });
    return vscode.commands.executeCommand('espalier.run', { model: session.uri });
  }

  function stopped(session: Session): Stopped {
    const { run } = session.state;
    assert.equal(run.kind, 'stopped', JSON.stringify(run));
    return run as Stopped;
  }

  it('draws its curve, and is listed with its numbers', async () => {
    const session = await set('trained.onnx');
    await vscode.commands.executeCommand('espalier.run', { model: session.uri });
    const { result, runId } = await finishedRun(session);
    const { curve, runs } = session.state;
    assert.deepEqual(
      curve?.points.map(({ loss }) => loss),
      result.training?.losses,
    );
    assert.deepEqual([curve?.steps, curve?.epochs], [steps, epochs]);
    assert.equal(runs[0].id, runId);
    assert.equal(runs[0].title, 'basis · 50 % MACs · 2 epochs');
    assert.equal(runs[0].state, 'done');
    assert.equal(runs[0].accuracy, result.after.accuracy?.accuracy);
    assert.equal(runs[0].macsShare, result.after.macs! / result.before.macs!);
    assert.ok(!existsSync(path.join(path.dirname(result.candidate), '../training.checkpoint')));
    whole = { curve, candidate: result.candidate };
  });

  it('waits while it is paused, and ends as if it had not', async () => {
    const session = await set('paused.onnx');
    const running = startThen(session, () => void session.runs.pause(true));
    // The step that is being computed still ends.
    await untilState(
      session,
      'the pause',
      ({ run }) => run.kind === 'running' && run.progress.message.startsWith('Paused'),
    );
    assert.equal(session.state.runs[0].state, 'paused');
    const step = () => session.state.run.kind === 'running' && session.state.run.progress.training?.step;
    const before = step();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(step(), before);
    assert.ok(session.isRunning);
    await vscode.commands.executeCommand('espalier.continueTraining', { model: session.uri });
    await running;
    await finishedRun(session);
    assert.deepEqual(session.state.curve, whole.curve);
  });

  it('that is cancelled keeps its checkpoint, and goes on from there in another editor', async () => {
    const session = await set('stopped.onnx');
    await startThen(session, () => session.runs.cancel());
    const { runId } = stopped(session);
    assert.equal(session.state.runs[0].canResume, true);
    const part = session.state.curve!.points.length;
    assert.ok(part >= 1 && part < steps, `${part} steps`);
    await closeEditors();

    const again = await ready(session.uri);
    assert.notEqual(again, session);
    assert.deepEqual(stopped(again), stopped(session));
    assert.equal(again.state.curve?.points.length, part);
    // A run goes on with its own settings, whatever was changed since.
    again.change({ target: { kind: 'macs', value: 0.9 } });
    await vscode.commands.executeCommand('espalier.resumeRun', { id: runId });
    const { result } = await finishedRun(again);
    assert.deepEqual(again.state.curve, whole.curve);
    assert.equal(sha256(result.candidate), sha256(whole.candidate));
    assert.deepEqual(
      again.state.runs.map(({ id, state, canResume }) => ({ id, state, canResume })),
      [{ id: runId, state: 'done', canResume: false }],
    );
  });

  it('survives the end of the engine', async () => {
    const api = await activated();
    const session = await set('killed.onnx');
    const running = startThen(session, () => void session.runs.pause(true));
    const id = await until('the run', () => session.state.run.kind === 'running' && session.state.run.runId);
    const checkpoint = path.join(path.dirname(whole.candidate), '../..', id, 'training.checkpoint');
    await until('the checkpoint of the pause', () => existsSync(checkpoint));
    await session.runs.pause(false);
    // Steps beyond the checkpoint are lost, and done again.
    const watch = session.onDidChange(({ run }) => {
      if (run?.kind !== 'running') return;
      watch.dispose();
      process.kill(api.enginePid()!, 'SIGKILL');
    });
    await running;
    const run = stopped(session);
    assert.equal(run.runId, id);
    assert.match(run.message, /SIGKILL/);
    await vscode.commands.executeCommand('espalier.resumeRun', { id });
    await finishedRun(session);
    assert.deepEqual(session.state.curve, whole.curve);
  });

  it('says beforehand how long it takes', async () => {
    const session = await set('estimated.onnx');
    await session.estimateTraining();
    const { trainingTime } = session.state;
    assert.ok(trainingTime.kind === 'known', JSON.stringify(trainingTime));
    assert.equal(trainingTime.time.steps, steps);
    assert.ok(trainingTime.time.seconds > 0);
    session.change({ training: { ...session.settings.training!, epochs: 2 * epochs } });
    assert.ok(session.state.trainingTime.kind === 'known' && session.state.trainingTime.time.steps === 2 * steps);
    session.change({ target: { kind: 'macs', value: 0.4 } });
    assert.deepEqual(session.state.trainingTime, { kind: 'unknown' });
    await session.settled();
  });
});

describe('the runs of a model', () => {
  afterEach(closeEditors);

  it('are in the view, can be opened again, saved, compared and deleted', async () => {
    const { runsView: view } = await activated();
    const model = freshCopy('listed.onnx');
    const session = await ready(model);
    const ids: string[] = [];
    for (const value of [0.7, 0.5]) {
      session.change({ target: { kind: 'macs', value } });
      await vscode.commands.executeCommand('espalier.run', { model });
      ids.unshift((await finishedRun(session)).runId);
    }
    const group = view.getChildren().find((node) => node.model === model.fsPath)!;
    assert.equal(view.getTreeItem(group).label, 'listed.onnx');
    assert.equal(view.getTreeItem(group).description, '');
    const nodes = view.getChildren(group) as Extract<RunsNode, { kind: 'run' }>[];
    assert.deepEqual(
      nodes.map(({ id }) => id),
      ids,
    );
    const items = nodes.map((node) => view.getTreeItem(node));
    assert.deepEqual(
      items.map(({ label, contextValue }) => [label, contextValue]),
      [
        ['basis · 50 % MACs', 'run done'],
        ['basis · 70 % MACs', 'run done'],
      ],
    );
    assert.match(String(items[0].description), /^\d\d\.\d % of the MACs$/);

    session.change({ target: { kind: 'macs', value: 0.3 } });
    await vscode.commands.executeCommand('espalier.openRun', nodes[1]);
    const { run } = session.state;
    assert.ok(run.kind === 'done' && run.runId === ids[1]);
    assert.equal(session.settings.target.value, 0.7);
    session.undo();
    assert.equal(session.settings.target.value, 0.3);

    const output = path.join(workspaceFolder(), 'listed.pruned.onnx');
    await vscode.commands.executeCommand('espalier.saveRun', { id: ids[0], output });
    const first = session.state.runs[0];
    assert.equal(first.savedAs, output);
    assert.equal(view.getTreeItem(nodes[0]).contextValue, 'run done saved');
    const uri = await vscode.commands.executeCommand<vscode.Uri>('espalier.compareRun', { id: ids[0] });
    assert.match((await vscode.workspace.openTextDocument(uri)).getText(), /^# listed\.onnx and listed\.pruned\.onnx/);

    for (const id of ids) await vscode.commands.executeCommand('espalier.deleteRun', { id, confirmed: true });
    assert.deepEqual([session.state.runs, session.state.run], [[], { kind: 'idle' }]);
    assert.ok(!view.getChildren().some((node) => node.model === model.fsPath));
    assert.ok(existsSync(output));
    const gone = await failure(vscode.commands.executeCommand('espalier.openRun', { id: ids[0] }));
    assert.equal(gone.code, 'run-unknown');
  });
});
