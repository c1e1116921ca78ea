/** Channels as a user removes them, in a real VS Code: choose the method, drag a group's share, run, look at the result. */
import type { Frame } from 'playwright-core';
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest';
import { explorerContextMenu, screenshot } from '../harness/workbench';
import { begin, editorFrame, eventually, expectAccessible, type Journey, layerRows, panelFrame } from './support';

let journey: Journey;

beforeAll(async () => {
  journey = await begin();
  await explorerContextMenu(journey.page, journey.model, 'Prune Model…');
});
afterAll(() => journey?.end());

/** What all rows say of their channels, by layer. */
async function shownChannels(editor: Frame): Promise<Record<string, string>> {
  const rows = await layerRows(editor).all();
  const entries = await Promise.all(
    rows.map(async (row) => [await row.getAttribute('data-layer'), await row.locator('.channels').innerText()]),
  );
  return Object.fromEntries(entries);
}

it('removes channels: method, a group by hand, run, result', async () => {
  onTestFailed(async () => screenshot(journey.page, 'failed-channels'));
  const { page } = journey;
  const editor = await editorFrame(page);
  const panel = await panelFrame(page);
  await panel.getByLabel('Method', { exact: true }).selectOption({ label: 'Channels' });
  const slider = editor.getByRole('slider', { name: /^Kept channels of group / }).first();
  await slider.waitFor();
  const row = layerRows(editor).filter({ has: slider }).first();
  const layer = (await row.getAttribute('data-layer'))!;
  await row.locator('.name').click();
  await editor.getByRole('tab', { name: 'Channels', selected: true }).waitFor();
  await editor.getByText(/^One channel costs /).waitFor();

  const planned = await shownChannels(editor);
  const box = (await slider.boundingBox())!;
  const all = Number(await slider.getAttribute('max'));
  const start = Number(await slider.inputValue());
  const at = (share: number) => box.x + 6 + (box.width - 12) * share;
  await page.mouse.move(at((start - 1) / (all - 1)), box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(at(0.6), box.y + box.height / 2, { steps: 4 });
  await page.mouse.move(at(0.45), box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  const kept = Number(await slider.inputValue());
  expect(Math.abs(kept / all - 0.45)).toBeLessThan(0.2);
  await eventually(async () => (await shownChannels(editor))[layer]).toBe(`${kept} / ${all}`);
  expect(await row.locator('.reason').innerText()).toBe('Set by hand');
  await screenshot(page, 'channels');
  await expectAccessible(editor, 'Espalier Model');
  await expectAccessible(panel, 'Espalier Pruning');

  // The whole drag is one step.
  await page.keyboard.press('Control+z');
  await eventually(() => shownChannels(editor)).toEqual(planned);
  await page.keyboard.press('Control+Shift+z');
  await eventually(async () => (await shownChannels(editor))[layer]).toBe(`${kept} / ${all}`);

  await panel.locator('vscode-button', { hasText: /^\s*Run\s*$/ }).click();
  await panel.getByText(/^Finished in/).waitFor({ timeout: 90_000 });
  await editor.getByText(/^(\d+) of \1 checks passed\.$/).waitFor();
  await editor.locator('summary', { hasText: 'What became of each layer' }).click();
  await editor.getByRole('row', { name: new RegExp(`^${layer} fewer channels ${kept} `) }).waitFor();
  await screenshot(page, 'channels-result');
  expect(journey.workbench.outside).toEqual([]);
  expect(journey.workbench.errors).toEqual([]);
}, 240_000);
