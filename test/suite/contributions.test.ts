import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { activated, closeEditors, extension, sampleModel, until, workspaceFolder } from './support';

interface Contributes {
  readonly commands: readonly { readonly command: string; readonly title: string }[];
  readonly menus: Readonly<Record<string, readonly { readonly command: string }[]>>;
  readonly keybindings: readonly { readonly command: string }[];
  readonly walkthroughs: readonly { readonly steps: readonly { readonly media: { readonly markdown: string } }[] }[];
  readonly configuration: { readonly properties: Readonly<Record<string, { readonly default: unknown }>> };
}

describe('contributions', () => {
  const contributes = (): Contributes => extension().packageJSON.contributes;

  before(activated);
  after(closeEditors);

  it('has a command behind every title, menu entry and key', async () => {
    const registered = new Set(await vscode.commands.getCommands(true));
    const declared = contributes().commands.map(({ command }) => command);
    const used = [...Object.values(contributes().menus).flat(), ...contributes().keybindings].map(
      (each) => each.command,
    );
    assert.deepEqual(
      [...declared, ...used].filter((command) => !registered.has(command)),
      [],
    );
    const views = ['espalier.pruning', 'espalier.runs'];
    const ours = [...registered].filter((command) => /^espalier\.\w+$/.test(command) && !views.includes(command));
    assert.deepEqual(
      ours.filter((command) => !declared.includes(command)),
      [],
      'registered without a title',
    );
  });

  it('declares a default for every setting', () => {
    const configuration = vscode.workspace.getConfiguration();
    for (const [key, { default: value }] of Object.entries(contributes().configuration.properties)) {
      assert.deepEqual(configuration.get(key), value, key);
    }
  });

  it('has a text for every step of the walkthrough', async () => {
    for (const { media } of contributes().walkthroughs.flatMap(({ steps }) => steps)) {
      const uri = vscode.Uri.joinPath(extension().extensionUri, media.markdown);
      assert.match(Buffer.from(await vscode.workspace.fs.readFile(uri)).toString(), /^# .+\n\n.{40}/);
    }
  });

  it('opens .onnx files in the model editor', async () => {
    await vscode.commands.executeCommand('vscode.open', sampleModel());
    const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    assert.ok(input instanceof vscode.TabInputCustom);
    assert.equal(input.viewType, 'espalier.model');
  });

  it('marks mistakes in recipes as they are written', async () => {
    const file = path.join(workspaceFolder(), 'mistaken.prune.json');
    writeFileSync(
      file,
      '{ "version": 1, "model": { "path": "a.onnx" }, "method": "magic", "target": { "kind": "macs", "value": 0.5 } }',
    );
    const document = await vscode.workspace.openTextDocument(file);
    await vscode.window.showTextDocument(document);
    const [problem] = await until('a mark in the recipe', () => {
      const found = vscode.languages.getDiagnostics(document.uri);
      return found.length > 0 && found;
    });
    assert.equal(document.getText(problem.range), '"magic"');
  });
});
