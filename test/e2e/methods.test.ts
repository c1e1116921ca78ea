/** The methods that prune by training, in a real VS Code: run a recipe, look at what it found. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest';
import { explorerContextMenu, runCommand, screenshot, switchTheme } from '../harness/workbench';
import { begin, editorFrame, eventually, expectAccessible, type Journey, panelFrame, themed } from './support';

/** By method: the heading of what only it finds, and its own options. */
const methods = {
  gsm: { found: 'Weights that are left', options: { keep: 0.5, epochsAfter: 1 } },
  resrep: { found: 'Rows of the compactors', options: { epochsAfter: 1 } },
} as const;

let journey: Journey;
beforeAll(async () => {
  journey = await begin({
    prepare: (folder, model) => {
      for (const [method, { options }] of Object.entries(methods)) {
        const recipe = {
          version: 1,
          model: { path: model },
          method,
          [method]: options,
          data: { path: 'shapes-train.dataset.json', evaluation: 'shapes-test.dataset.json', limit: 32 },
          training: { epochs: 2, batch: 8, images: 64, loss: 'labels' },
          threads: 1,
        };
        writeFileSync(path.join(folder, `${method}.prune.json`), JSON.stringify(recipe));
      }
    },
  });
});
afterAll(() => journey?.end());

it.each(Object.entries(methods))(
  '%s runs to its end and shows what it found',
  async (method, { found }) => {
    onTestFailed(async () => screenshot(journey.page, `failed-${method}`));
    const { page } = journey;
    await runCommand(page, 'View: Show Explorer');
    await explorerContextMenu(page, `${method}.prune.json`, 'Run Pruning Recipe');
    const panel = await panelFrame(page);
    await eventually(() => panel.getByLabel('Method', { exact: true }).inputValue()).toBe(method);
    const editor = await editorFrame(page);
    const heading = editor.getByText(found).first();
    await heading.waitFor({ timeout: 90_000 });
    await panel.getByText(/^Finished in/).waitFor();
    await editor.getByText(/^(\d+) of \1 checks passed\.$/).waitFor();
    await expectAccessible(editor, 'Espalier Model');
    await expectAccessible(panel, 'Espalier Pruning');
    await heading.evaluate((element) => element.scrollIntoView({ block: 'start' }));
    for (const theme of ['dark', 'light', 'contrast'] as const) {
      await switchTheme(page, theme);
      await themed(editor, theme);
      await screenshot(page, `${method}-result-${theme}`);
    }
    expect(journey.workbench.outside).toEqual([]);
    expect(journey.workbench.errors).toEqual([]);
  },
  240_000,
);
