/**
 * The packaged extension, installed into an empty VS Code: the only test without the repository's `node_modules` in
 * reach, so it shows that the VSIX has all it needs.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../../scripts/paths.mjs';
import { type Server, startServer } from '../../scripts/server.mjs';
import { editorFrame, panelFrame } from '../e2e/support';
import { copyOfSample, type TestWorkspace } from '../harness/sample';
import { acceptPath, explorerContextMenu, launchBrowser, openWorkbench, screenshot, toast } from '../harness/workbench';

const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const vsix = path.join(root, `dist/espalier-${process.platform}-${process.arch}.vsix`);

let server: Server;
let browser: Browser;
let workspace: TestWorkspace;

beforeAll(async () => {
  server = await startServer({ extension: { vsix } });
  browser = await launchBrowser();
  workspace = copyOfSample();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  workspace?.remove();
});

test('is installed in the version of package.json', async () => {
  expect(await server.extensions()).toEqual([`espalier.espalier@${version}`]);
});

test('prunes the sample model, from the right-click to the saved file', async () => {
  const model = readdirSync(workspace.folder).find((name) => name.endsWith('.onnx'))!;
  const pruned = path.join(workspace.folder, `${path.parse(model).name}.pruned.onnx`);
  const { page, outside, errors, close } = await openWorkbench(browser, server, { folder: workspace.folder });
  try {
    await explorerContextMenu(page, model, 'Prune Model…');
    await editorFrame(page);
    const panel = await panelFrame(page);
    await panel.locator('vscode-button', { hasText: /^\s*Run\s*$/ }).click();
    await panel.getByText(/^Finished in/).waitFor({ timeout: 90_000 });
    await panel.locator('vscode-button', { hasText: 'Save Pruned Model…' }).click();
    await acceptPath(page, pruned);
    await toast(page, `Saved ${path.basename(pruned)}`).waitFor();
    expect(inspect(pruned).macs).toBeLessThan(inspect(path.join(workspace.folder, model)).macs);
    expect(existsSync(pruned.replace(/\.onnx$/, '.prune.json'))).toBe(true);
    expect(outside).toEqual([]);
    expect(errors).toEqual([]);
  } finally {
    await screenshot(page, 'vsix');
    await close();
  }
});

test('has a README that VS Code can show: no relative links, and the pages that it names are there', () => {
  const folder = installed();
  const text = readFileSync(path.join(folder, 'readme.md'), 'utf8');
  expect(text).not.toMatch(/\]\((?!https:)/);
  const named = [...text.matchAll(/`(docs\/[^`]*)`/g)].map(([, file]) => file);
  expect(named).toContain('docs/basis.md');
  for (const file of named) expect(existsSync(path.join(folder, file)), file).toBe(true);
});

/** The folder of the installed extension. */
function installed(): string {
  const [name] = readdirSync(server.extensionsFolder).filter((each) => each.startsWith('espalier.espalier-'));
  return path.join(server.extensionsFolder, name);
}

/** What the command line inside the installed extension counts in a file. */
function inspect(file: string): { macs: number } {
  const cli = path.join(installed(), 'dist/cli.js');
  return JSON.parse(execFileSync(process.execPath, [cli, 'inspect', file, '--json'], { encoding: 'utf8' })).totals;
}
