import assert from 'node:assert/strict';
import path from 'node:path';
import * as vscode from 'vscode';
import { channelOptionsSchema, doubleOptionsSchema } from '../../src/protocol/recipe';
import { closeEditors, finishedRun, freshCopy, ready, untilState, workspaceFolder } from './support';

describe('pruning channels', function () {
  this.timeout(180_000);
  afterEach(closeEditors);

  const data = { path: 'shapes-test.dataset.json', calibrationImages: 32, limit: 32 };
  /** Settings that need no images. */
  const byWeights = channelOptionsSchema.parse({ criterion: 'l2', reconstruct: false, compensate: false });

  it('plans in groups; what one of them was given holds for all of its layers, in one step', async () => {
    const session = await ready(freshCopy('channel-plan.onnx'));
    assert.equal(session.state.projection?.groups, undefined);
    session.change({ method: 'channel', channel: byWeights, multiple: 4, target: { kind: 'macs', value: 0.6 } });
    await session.settled();
    const { groups = [], before, after } = session.state.projection!;
    assert.ok(after.macs! <= 0.6 * before.macs!);
    const group = groups.find(({ kept, channels }) => kept < channels)!;
    assert.equal((group.kept * group.block) % 4, 0);

    const ratio = 0.4;
    for (const dragged of [0.9, 0.6])
      session.change({ groups: [{ match: group.name, ratio: dragged }] }, { transient: true });
    session.change({ groups: [{ match: group.name, ratio }] });
    await session.settled();
    const changed = session.state.projection!.groups!.find(({ name }) => name === group.name)!;
    assert.equal(changed.kept, Math.ceil((ratio * group.channels) / 4) * 4);
    const detail = await session.group(group.name);
    assert.equal(detail.criterion, 'l2');
    assert.equal(detail.importance.length, group.channels);
    assert.equal(
      detail.kept.reduce((sum, stays) => sum + stays, 0),
      changed.kept,
    );

    session.change({ groups: [{ match: group.name, keep: true }] });
    await session.settled();
    const locked = session.state.projection!.groups!.find(({ name }) => name === group.name)!;
    assert.deepEqual([locked.kept, locked.reason], [group.channels, 'locked']);
    session.undo();
    session.undo();
    await session.settled();
    assert.deepEqual(session.state.projection!.groups, groups);
  });

  it('learns the criterion from the images, and saves a model with fewer channels', async () => {
    const model = freshCopy('channel-run.onnx');
    const session = await ready(model);
    session.change({ method: 'channel', target: { kind: 'macs', value: 0.5 }, data });
    await session.settled();
    assert.equal(session.state.error, null, JSON.stringify(session.state.error));
    const narrow = session.state.projection!.groups!.find(({ kept, channels }) => kept < channels)!;
    assert.equal((await session.group(narrow.name)).criterion, 'fisher');
    const projected = session.state.projection!;

    await vscode.commands.executeCommand('espalier.run', { model });
    const { result } = await finishedRun(session);
    assert.deepEqual(
      result.verification.filter(({ passed }) => !passed),
      [],
    );
    assert.deepEqual([result.after.params, result.after.macs], [projected.after.params, projected.after.macs]);
    const output = path.join(workspaceFolder(), 'channel-run.pruned.onnx');
    await vscode.commands.executeCommand('espalier.savePruned', { model, output });
    const outputsOf = (session_: typeof session) =>
      session_.state.facts!.layers.find(({ name }) => name === narrow.name)!.outputShape![1];
    const saved = await ready(vscode.Uri.file(output));
    assert.equal(outputsOf(saved), narrow.kept * narrow.block);
    assert.ok(outputsOf(saved) < outputsOf(session));
  });

  it('removes channels and bases in one run', async () => {
    const model = freshCopy('double-run.onnx');
    const session = await ready(model);
    session.change({
      method: 'double',
      channel: byWeights,
      double: doubleOptionsSchema.parse({ trainBetween: false }),
      target: { kind: 'macs', value: 0.4 },
    });
    await session.settled();
    const projected = session.state.projection!;
    assert.ok(projected.groups!.some(({ kept, channels }) => kept < channels));
    assert.ok(projected.layers.some(({ action }) => action === 'factorize'));
    await vscode.commands.executeCommand('espalier.run', { model });
    const { result } = await finishedRun(session);
    assert.deepEqual(
      result.verification.filter(({ passed }) => !passed),
      [],
    );
    assert.ok(result.after.macs! <= 0.4 * result.before.macs!);
    assert.ok(result.layers.some(({ channels }) => channels !== undefined));
  });

  it('measures what each group bears, with progress, and forgets it when that changes', async () => {
    const session = await ready(freshCopy('sensitivity.onnx'));
    session.change({ method: 'channel', channel: byWeights, data });
    await session.settled();
    const fractions: (number | null)[] = [];
    const watch = session.onDidChange(({ sensitivity }) => {
      if (sensitivity?.kind === 'measuring') fractions.push(sensitivity.progress.fraction);
    });
    await session.learning.measureSensitivity();
    watch.dispose();
    const { sensitivity } = session.state;
    assert.ok(sensitivity.kind === 'known', JSON.stringify(sensitivity));
    const open = session.state.projection!.groups!.filter(({ perChannel }) => perChannel.params > 0);
    assert.deepEqual(
      sensitivity.sensitivity.groups.map(({ name }) => name),
      open.map(({ name }) => name),
    );
    assert.equal(sensitivity.sensitivity.unit, 'accuracy');
    assert.ok(fractions.some((fraction) => fraction !== null && fraction > 0));

    session.change({ target: { kind: 'macs', value: 0.8 } });
    assert.equal(session.state.sensitivity.kind, 'known');
    session.change({ seed: 5 });
    assert.equal(session.state.sensitivity.kind, 'unknown');
    const measuring = session.learning.measureSensitivity();
    await untilState(session, 'the measurement', ({ sensitivity: { kind } }) => kind === 'measuring');
    session.learning.cancelSensitivity();
    await measuring;
    assert.deepEqual([session.state.sensitivity, session.state.error], [{ kind: 'unknown' }, null]);
  });
});
