/** What users meet when things are not as they should be: damaged files, and workspaces that are not trusted. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { explorerContextMenu, runCommand, screenshot, toast, webviewFrame } from '../harness/workbench';
import { begin, editorFrame, eventually, expectAccessible, type Journey, panelFrame } from './support';

let journey: Journey | undefined;

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail' && journey)
    await screenshot(journey.page, `failed-${task.name.replace(/\W+/g, '-')}`);
  await journey?.end();
  journey = undefined;
});

describe('trouble', () => {
  it('a damaged file says what is wrong with it, and opens once it is whole', async () => {
    let whole = Buffer.alloc(0);
    let file = '';
    journey = await begin({
      prepare: (folder, model) => {
        whole = readFileSync(path.join(folder, model));
        file = path.join(folder, 'damaged.onnx');
        writeFileSync(file, whole.subarray(0, Math.floor(whole.length / 2)));
      },
    });
    const { page } = journey;
    await explorerContextMenu(page, 'damaged.onnx', 'Inspect Model');
    const editor = await webviewFrame(page, 'Espalier Model');
    const alert = editor.getByRole('alert');
    await alert.waitFor();
    expect(await alert.innerText()).toContain('damaged.onnx');
    await expectAccessible(editor, 'Espalier Model');
    await screenshot(page, 'damaged');
    writeFileSync(file, whole);
    await editor.locator('.row[data-layer]').first().waitFor();
    await eventually(() => alert.count()).toBe(0);
  });

  it('a workspace that is not trusted can be looked at, but nothing runs', async () => {
    journey = await begin({ trust: true });
    const { page, model } = journey;
    await explorerContextMenu(page, model, 'Prune Model…');
    const editor = await editorFrame(page);
    const panel = await panelFrame(page);
    await editor.getByText('This workspace is not trusted.').waitFor();
    await editor.locator('svg.sparkline').first().waitFor();
    const run = panel.locator('vscode-button', { hasText: /^\s*Run\s*$/ });
    expect(await run.getAttribute('disabled')).not.toBeNull();
    await panel.getByText('Running needs a trusted workspace.').waitFor();
    await runCommand(page, 'Espalier: Run Pruning');
    await toast(page, 'is not trusted').getByRole('button', { name: 'Manage Workspace Trust' }).waitFor();
    await screenshot(page, 'untrusted');
  });
});
