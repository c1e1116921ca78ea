/** The main path as a user goes it, in a real VS Code: from a right-click to a smaller file, and everything on the way. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Frame, Locator } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import {
  explorerContextMenu,
  explorerItem,
  pick,
  runCommand,
  screenshot,
  switchTheme,
  type Theme,
  toast,
} from '../harness/workbench';
import {
  begin,
  editorFrame,
  eventually,
  expectAccessible,
  frameShowing,
  type Journey,
  layerRows,
  panelFrame,
  recount,
  shownRanks,
  themed,
} from './support';

let journey: Journey;
let editor: Frame;
let panel: Frame;

beforeAll(async () => {
  journey = await begin();
  await explorerContextMenu(journey.page, journey.model, 'Prune Model…');
});
afterAll(() => journey?.end());
beforeEach(async ({ task }) => {
  onTestFailed(async () => screenshot(journey.page, `failed-${task.name.replace(/\W+/g, '-')}`));
  editor = await editorFrame(journey.page);
  panel = await panelFrame(journey.page);
});

const target = () => panel.locator('#target-value');
const runButton = () => panel.locator('vscode-button', { hasText: /^\s*Run\s*$/ });
const cut = () => editor.getByRole('slider', { name: 'Kept rank', exact: true });

async function setTarget(percent: number): Promise<void> {
  await target().fill(String(percent));
  await target().press('Tab');
}

/** A layer that the plan factorizes: the first row whose slider is enabled and below full rank. */
async function prunableRow(): Promise<Locator> {
  for (const row of await layerRows(editor).all()) {
    const [kept, full] = (await row.locator('.rank').innerText())
      .split('/')
      .map((text) => Number(text.replace(/\D/g, '')));
    if (kept < full && (await row.getByRole('slider').count()) > 0) return row;
  }
  throw new Error('the plan factorizes no layer');
}

/** Waits until a look finds the expected, and makes sure that it stays: a key must not count twice. */
async function settled(look: () => Promise<unknown>, expected: unknown): Promise<void> {
  await eventually(look).toEqual(expected);
  await journey.page.waitForTimeout(400);
  expect(await look()).toEqual(expected);
}

async function value(slider: Locator): Promise<number> {
  return Number(await slider.getAttribute('aria-valuenow'));
}

describe('pruning a model in VS Code', () => {
  it('shows every layer with its spectrum after a right-click', async () => {
    const { page, model } = journey;
    await editor.getByRole('heading', { name: model }).first().waitFor();
    await editor.locator('svg.sparkline').first().waitFor();
    expect(await layerRows(editor).count()).toBeGreaterThan(1);
    await panel.getByRole('heading', { name: model }).waitFor();
    await screenshot(page, 'prune');
  });

  it('follows the target while it changes, and takes it back', async () => {
    const before = await shownRanks(editor);
    await setTarget(40);
    await eventually(() => shownRanks(editor)).not.toEqual(before);
    await runCommand(journey.page, 'Espalier: Undo Pruning Change');
    await settled(() => shownRanks(editor), before);
    await eventually(() => target().inputValue()).toBe('70');
  });

  it('lets the cut be moved by keyboard and mouse, one undo step each', async () => {
    const { page } = journey;
    const row = await prunableRow();
    const planned = await row.locator('.rank').innerText();
    await row.click();
    await cut().waitFor();
    await cut().focus();
    const start = await value(cut());
    await page.keyboard.press('ArrowLeft');
    await eventually(() => value(cut())).toBe(start - 1);
    await eventually(() => row.locator('.rank').innerText()).toContain(String(start - 1));

    const box = (await cut().boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.3);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.3, { steps: 4 });
    await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.3, { steps: 4 });
    await page.mouse.up();
    const full = Number(await cut().getAttribute('aria-valuemax'));
    const dragged = await value(cut());
    expect(dragged).not.toBe(start - 1);
    expect(Math.abs(dragged / full - 0.3)).toBeLessThan(0.15);
    await screenshot(page, 'layer-detail');

    // The keys undo as well: once back over the whole drag, then over the key press.
    await cut().focus();
    await page.keyboard.press('Control+z');
    await settled(() => value(cut()), start - 1);
    await page.keyboard.press('Control+z');
    await settled(() => value(cut()), start);
    await eventually(() => row.locator('.rank').innerText()).toBe(planned);
  });

  it('cancels a run and leaves no file', async () => {
    const before = readdirSync(journey.workspace.folder);
    await runButton().click();
    await panel.locator('vscode-button', { hasText: 'Cancel' }).click();
    await runButton().waitFor();
    expect(readdirSync(journey.workspace.folder)).toEqual(before);
  });

  it('runs, checks and saves a smaller model', async () => {
    const { page, model, workspace } = journey;
    const original = recount(path.join(workspace.folder, model));
    await setTarget(50);
    await runButton().click();
    await panel.getByText(/^Finished in/).waitFor({ timeout: 90_000 });
    await editor.getByText(/^(\d+) of \1 checks passed\.$/).waitFor();
    await screenshot(page, 'results');

    await panel.locator('vscode-button', { hasText: 'Save Pruned Model…' }).click();
    const name = `${path.parse(model).name}.pruned.onnx`;
    const input = page.locator('.quick-input-widget .quick-input-box input');
    await eventually(() => input.inputValue()).toBe(path.join(workspace.folder, name));
    await input.press('Enter');
    await toast(page, `Saved ${name}`).waitFor();
    const written = recount(path.join(workspace.folder, name));
    expect(written.macs).toBeLessThanOrEqual(original.macs / 2);
    expect(written.params).toBeLessThan(original.params);
    expect(existsSync(path.join(workspace.folder, `${path.parse(name).name}.prune.json`))).toBe(true);

    await explorerItem(page, name).waitFor();
    await toast(page, `Saved ${name}`).getByRole('button', { name: 'Compare with Original' }).click();
    const comparison = await frameShowing(page, 'On the same input');
    await comparison.getByRole('row', { name: /^Parameters .* −\d/ }).waitFor();
    await screenshot(page, 'comparison');
    await runCommand(page, 'View: Close Editor');
    // The model's editor takes the focus once it is back, and would close the palette.
    await (await editorFrame(page)).getByRole('tab', { name: 'Results' }).waitFor();
    await page.waitForTimeout(500);
    await runCommand(page, 'Espalier: Prune Model…');
  });

  it('lists the run with its numbers, and shows it again after a click', async () => {
    const { page } = journey;
    const run = page.getByRole('treeitem', { name: /^basis · 50 % MACs, done, / });
    await run.waitFor();
    expect(await run.innerText()).toMatch(/\d\d\.\d % of the MACs/);
    await setTarget(60);
    await run.click();
    await eventually(() => target().inputValue()).toBe('50');
    await screenshot(page, 'runs');
  });

  it('comes back after a reload as it was left', async () => {
    const { page } = journey;
    await editor.getByRole('tab', { name: 'Layers' }).click();
    const row = await prunableRow();
    const layer = await row.getAttribute('data-layer');
    await row.click();
    await eventually(() => row.getAttribute('aria-selected')).toBe('true');
    const before = await shownRanks(editor);
    await setTarget(30);
    await eventually(() => shownRanks(editor)).not.toEqual(before);
    const ranks = await shownRanks(editor);
    await runCommand(page, 'Developer: Reload Window');
    await page.waitForEvent('load');
    editor = await editorFrame(page);
    panel = await panelFrame(page);
    await eventually(() => target().inputValue()).toBe('30');
    await editor.locator(`.row[data-layer="${layer}"][aria-selected="true"]`).waitFor();
    await eventually(() => shownRanks(editor)).toEqual(ranks);
    await panel.getByText(/^Finished in/).waitFor();
  });

  it.each<Theme>(['light', 'contrast', 'dark'])('is accessible and readable in the %s theme', async (theme) => {
    const { page } = journey;
    await switchTheme(page, theme);
    await themed(editor, theme);
    await themed(panel, theme);
    await editor.locator('svg.sparkline').first().waitFor();
    await screenshot(page, `model-${theme}`);
    await expectAccessible(editor, 'Espalier Model');
    await expectAccessible(panel, 'Espalier Pruning');
    await editor.getByRole('tab', { name: 'Results' }).click();
    await expectAccessible(editor, 'Espalier Model');
    await screenshot(page, `results-${theme}`);
    await editor.getByRole('tab', { name: 'Layers' }).click();
  });

  it('measures accuracy on images that the user chooses', async () => {
    const { page } = journey;
    await panel.locator('vscode-button', { hasText: 'Choose Images…' }).click();
    await pick(page, 'shapes-test.dataset.json');
    await panel.getByText('Judged by activations on the images.').waitFor();
    await runButton().click();
    await editor.getByRole('row', { name: /^Accuracy .+ %/ }).waitFor({ timeout: 90_000 });
    await screenshot(page, 'accuracy');
  });

  it('repeats a recipe after a right-click', async () => {
    const { page } = journey;
    await runCommand(page, 'View: Show Explorer');
    await explorerContextMenu(page, 'shapes-cnn.prune.json', 'Run Pruning Recipe');
    panel = await panelFrame(page);
    await eventually(() => target().inputValue()).toBe('40');
    await page.getByRole('treeitem', { name: /^basis · 40 % MACs, done, / }).waitFor({ timeout: 90_000 });
    await panel.getByText(/^Finished in/).waitFor();
  });

  it('asks for nothing outside this machine and logs no errors', () => {
    expect(journey.workbench.outside).toEqual([]);
    expect(journey.workbench.errors).toEqual([]);
  });
});
