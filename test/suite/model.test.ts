import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import {
  closeEditors,
  extension,
  failure,
  freshCopy,
  opened,
  ready,
  sampleModel,
  sharedCopy,
  until,
  untilState,
  workspaceFolder,
} from './support';

describe('an open model', () => {
  afterEach(closeEditors);

  it('shows the known figures of ResNet-20', async function () {
    const model = sharedCopy('data/models/resnet20_cifar10.onnx');
    if (!model) return this.skip();
    const { facts, settings } = (await ready(model)).state;
    // Conv 3→16 at 32×32, three stages of six 3×3 convs, one 64→10 layer: counted by hand.
    const macs = 442_368 + 14_155_776 + 2 * 12_976_128 + 640;
    assert.equal(facts?.totals.macs, macs);
    // PyTorch's count for this network, BatchNormalization's scale and bias included.
    assert.equal(facts?.totals.params, 269_722);
    assert.equal(facts?.layers.length, 20);
    assert.deepEqual(settings?.target, { kind: 'macs', value: 0.7 });
  });

  it('projects the sample model as soon as it is open', async () => {
    const session = await ready(sampleModel());
    const { facts, projection, title } = session.state;
    assert.equal(title, path.basename(sampleModel().fsPath));
    assert.equal(projection?.before.macs, facts?.totals.macs);
    assert.ok(projection!.after.macs! <= 0.7 * projection!.before.macs!);
    const [spectrum] = await session.spectra([facts!.layers.find(({ fullRank }) => fullRank > 1)!.name]);
    assert.ok(spectrum.singularValues instanceof Float64Array);
    assert.ok(spectrum.singularValues[0] >= spectrum.singularValues[1]);
  });

  it('follows every change of the settings, and undo and redo', async () => {
    const session = await ready(freshCopy('changes.onnx'));
    const first = session.state.projection!;
    session.change({ target: { kind: 'macs', value: 0.4 } });
    await session.settled();
    const second = session.state.projection!;
    assert.ok(second.after.macs! <= 0.4 * second.before.macs!);
    assert.ok(second.after.macs! < first.after.macs!);

    await vscode.commands.executeCommand('espalier.undo');
    await session.settled();
    assert.deepEqual(session.state.settings?.target, { kind: 'macs', value: 0.7 });
    assert.deepEqual(session.state.projection, first);
    assert.equal(session.state.canUndo, false);

    await vscode.commands.executeCommand('espalier.redo');
    await session.settled();
    assert.deepEqual(session.state.projection, second);
    assert.equal(session.state.canRedo, false);
  });

  it('keeps the rank that one layer was given', async () => {
    const session = await ready(freshCopy('override.onnx'));
    const layer = session.state.projection!.layers.find(({ action }) => action === 'factorize')!;
    session.change({ layers: [{ match: layer.layer, rank: layer.rank - 1 }] });
    await session.settled();
    const changed = session.state.projection!.layers.find((each) => each.layer === layer.layer)!;
    assert.equal(changed.rank, layer.rank - 1);
    const detail = await session.detail(layer.layer);
    assert.equal(detail.threshold, null);
  });

  it('takes a drag for one step', async () => {
    const session = await ready(freshCopy('drag.onnx'));
    for (const value of [0.6, 0.5, 0.45]) session.change({ target: { kind: 'macs', value } }, { transient: true });
    session.change({ target: { kind: 'macs', value: 0.3 } });
    session.undo();
    await session.settled();
    assert.equal(session.state.settings?.target.value, 0.7);
    assert.equal(session.state.canUndo, false);
  });

  it('comes back as it was left', async () => {
    const model = freshCopy('kept.onnx');
    const session = await ready(model);
    const layer = session.state.facts!.layers[1].name;
    session.change({ target: { kind: 'params', value: 0.35 }, protect: ['nothing*'] });
    session.select(layer);
    await session.settled();
    const { settings, projection } = session.state;
    await closeEditors();
    const again = await ready(model);
    assert.notEqual(again, session);
    assert.deepEqual(again.state.settings, settings);
    assert.equal(again.state.selectedLayer, layer);
    assert.deepEqual(again.state.projection, projection);
  });

  it('is read again when the file changes, and says so when it goes', async () => {
    const model = freshCopy('watched.onnx');
    const session = await ready(model);
    assert.deepEqual(
      session.state.facts?.notes.filter((note) => note.includes('changed on disk')),
      [],
    );
    copyFileSync(sampleModel().fsPath, model.fsPath);
    await untilState(
      session,
      'the note',
      ({ facts }) => !!facts?.notes.some((note) => note.includes('changed on disk')),
    );
    rmSync(model.fsPath);
    await untilState(session, 'the loss', ({ error }) => error?.code === 'model-deleted');
    assert.ok(session.state.error?.message.includes(model.fsPath));
  });

  it('that is damaged says where and what, and opens once it is whole', async () => {
    const whole = readFileSync(sampleModel().fsPath);
    const file = path.join(workspaceFolder(), 'damaged.onnx');
    writeFileSync(file, whole.subarray(0, Math.floor(whole.length / 2)));
    const session = await opened(vscode.Uri.file(file));
    const { error, facts } = session.state;
    assert.equal(facts, null);
    assert.ok(error && error.code !== 'unexpected', JSON.stringify(error));
    assert.ok(error.message.includes('damaged.onnx'), error.message);
    assert.ok(error.hint.length > 0);
    writeFileSync(file, whole);
    const read = await until('the figures of the whole file', () => session.state.facts ?? undefined);
    assert.ok(read.totals.params > 0);
  });

  it('looks at images before it uses them, and judges by them from then on', async () => {
    const model = freshCopy('images.onnx');
    const session = await ready(model);
    const description = readdirSync(workspaceFolder()).find((name) => name.endsWith('train.dataset.json'))!;
    await vscode.commands.executeCommand('espalier.chooseData', {
      model,
      path: path.join(workspaceFolder(), description),
    });
    await session.settled();
    assert.equal(session.state.error, null);
    assert.equal(session.settings.data?.path, description);
    assert.ok(session.state.dataset!.images > 0 && session.state.dataset!.labelled);
    assert.equal(session.state.projection?.basis, 'activations');

    const missing = { model, path: path.join(workspaceFolder(), 'nowhere') };
    const error = await failure(vscode.commands.executeCommand('espalier.chooseData', missing));
    assert.match(error.message, /nowhere/);
    assert.equal(session.settings.data?.path, description);
    session.undo();
    await session.settled();
    assert.equal(session.state.dataset, null);
    assert.equal(session.state.projection?.basis, 'weights');
  });

  it('can be the sample, in a place that may be written to', async () => {
    const uri = await vscode.commands.executeCommand<vscode.Uri>('espalier.openSample');
    const session = await opened(uri);
    assert.ok(session.state.facts!.layers.length > 1);
    assert.ok(!uri.fsPath.startsWith(extension().extensionPath));
    writeFileSync(path.join(path.dirname(uri.fsPath), 'beside.txt'), 'written');
  });
});
