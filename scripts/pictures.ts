/**
 * Makes the pictures of the README: a recipe is run in a real VS Code on a real model, and what is on the screen is
 * taken in docs/images/.
 *
 * `npm run pictures -- MODEL DATA [TEST-DATA]`, e.g. a ResNet-20 and CIFAR-10 batches
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RecipeInput } from '../src/protocol/recipe';
import { explorerContextMenu, launchBrowser, openWorkbench, runCommand, webviewFrame } from '../test/harness/workbench';
import { root } from './paths.mjs';
import { startServer } from './server.mjs';

const images = path.join(root, 'docs/images');
const viewport = { width: 1500, height: 950 };

async function main([model, data, test = data]: string[]): Promise<void> {
  if (!model || !data) throw new Error('usage: npm run pictures -- MODEL DATA [TEST-DATA]');
  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-pictures-'));
  const names = [model, data, test].map((file) => path.basename(file as string));
  for (const [i, file] of [model, data, test].entries())
    copyFileSync(file as string, path.join(folder, names[i] as string));
  const name = path.parse(model).name;
  const recipe: RecipeInput = {
    version: 1,
    model: { path: names[0] as string },
    data: { path: names[1] as string, evaluation: names[2] as string },
    method: 'basis',
    target: { kind: 'macs', value: 0.5 },
    multiple: 8,
    training: { epochs: 3 },
  };
  writeFileSync(path.join(folder, `${name}.prune.json`), JSON.stringify(recipe, null, 2));
  mkdirSync(images, { recursive: true });
  const server = await startServer();
  const browser = await launchBrowser();
  try {
    const { page, close } = await openWorkbench(browser, server, { folder, viewport });
    await explorerContextMenu(page, `${name}.prune.json`, 'Run Pruning Recipe');
    const editor = await webviewFrame(page, 'Espalier Model');
    await editor.getByText(/^(\d+) of \1 checks passed\.$/).waitFor({ timeout: 15 * 60_000 });
    await runCommand(page, 'Notifications: Clear All Notifications');
    await page.screenshot({ path: path.join(images, 'results-dark.png') });
    await editor.getByRole('tab', { name: 'Layers' }).click();
    await editor.locator('[role=row]', { hasText: /conv2/ }).nth(5).click();
    await editor.getByRole('slider', { name: 'Kept rank', exact: true }).waitFor();
    await page.waitForTimeout(1500);
    await page.screenshot({ path: path.join(images, 'layers-dark.png') });
    await close();
  } finally {
    await browser.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
