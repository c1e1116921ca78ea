/**
 * The views in a real browser, under the policy they have in VS Code: looked at by axe in every state and theme, driven
 * by keys and pointer alone, and with 20,000 layers.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium } from '../../scripts/chromium.mjs';
import { root } from '../../scripts/paths.mjs';
import type { SessionState, ViewRequest } from '../../src/protocol/view';
import { type Preview, startPreview } from './preview/server';
import type { ScenarioName } from './preview/states';
import { themes } from './preview/themes';

interface PreviewWindow {
  readonly previewRequests: ViewRequest[];
  readonly previewState: () => SessionState;
  readonly previewPatch: (change: Partial<SessionState>) => void;
}

type ThemeName = keyof typeof themes;

interface Screen {
  readonly view: 'editor' | 'panel';
  readonly layers?: number;
  readonly scenario?: ScenarioName;
  readonly theme?: ThemeName;
  readonly width?: number;
  readonly height?: number;
}

const executablePath = findChromium();
const axeSource = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8');
const screenshots = path.join(root, 'out/screenshots/webview');

describe.skipIf(executablePath === undefined)('in Chromium (CHROMIUM_PATH says where)', () => {
  let preview: Preview;
  let browser: Browser;
  /** What the page complained about: scripts that failed, content that the policy refused. */
  let complaints: string[] = [];

  beforeAll(async () => {
    mkdirSync(screenshots, { recursive: true });
    preview = await startPreview();
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  });

  afterAll(async () => {
    await browser?.close();
    await preview?.close();
  });

  async function open(screen: Screen): Promise<Page> {
    const { view, layers = 20, scenario = 'ready', theme = 'dark' } = screen;
    const viewport = { width: screen.width ?? (view === 'panel' ? 320 : 1300), height: screen.height ?? 900 };
    const page = await browser.newPage({ viewport });
    complaints = [];
    page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(preview.address({ view, layers, scenario, theme }));
    await page.locator(`espalier-${view}`).waitFor();
    await settled(page);
    return page;
  }

  /** Until no request has been made for a moment and the frame is drawn. */
  async function settled(page: Page): Promise<void> {
    let seen = -1;
    for (;;) {
      const count = await page.evaluate(() => (window as unknown as PreviewWindow).previewRequests.length);
      if (count === seen) return;
      seen = count;
      await page.waitForTimeout(60);
    }
  }

  async function requests(page: Page, method: ViewRequest['method']): Promise<ViewRequest[]> {
    const all = await page.evaluate(() => (window as unknown as PreviewWindow).previewRequests);
    return all.filter((request) => request.method === method);
  }

  async function violations(page: Page): Promise<string[]> {
    await page.evaluate(axeSource);
    const { violations } = await page.evaluate(() =>
      (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
    );
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target }) => `${id} (${help}): ${target.join(' ')}`),
    );
  }

  /** Opens every part that is folded. */
  async function unfold(page: Page): Promise<void> {
    await page.evaluate(() => {
      const visit = (root: ParentNode) => {
        for (const element of root.querySelectorAll('*')) {
          if (element instanceof HTMLDetailsElement) element.open = true;
          if (element.shadowRoot) visit(element.shadowRoot);
        }
      };
      visit(document);
    });
    await settled(page);
  }

  const editorScenarios: readonly ScenarioName[] = [
    'ready',
    'selected',
    'reading',
    'shapes',
    'unknownShapes',
    'unreadable',
    'failing',
    'noBases',
    'noLayers',
    'untrusted',
    'shortfall',
    'running',
    'failed',
    'done',
    'training',
    'stopped',
    'channels',
    'double',
    'sparse',
  ];
  const panelScenarios: readonly ScenarioName[] = [
    'ready',
    'reading',
    'unreadable',
    'untrusted',
    'shortfall',
    'running',
    'failed',
    'done',
    'noModel',
    'noData',
    'training',
    'paused',
    'trains',
    'channels',
    'transfers',
    'sparse',
  ];
  const everyTheme = Object.keys(themes) as ThemeName[];
  /** In the other themes only colours differ; axe needs seconds for each page. */
  const inspected: readonly Screen[] = [
    ...editorScenarios.map((scenario): Screen => ({ view: 'editor', scenario })),
    ...panelScenarios.map((scenario): Screen => ({ view: 'panel', scenario })),
    { view: 'editor', scenario: 'selected', width: 480, height: 1400 },
    { view: 'editor', scenario: 'channels', width: 320, height: 1400 },
  ];
  const drawn: readonly Screen[] = everyTheme.flatMap((theme): Screen[] => [
    { view: 'editor', scenario: 'selected', theme, layers: 1 },
    { view: 'editor', scenario: 'selected', theme, layers: 20 },
    { view: 'editor', scenario: 'selected', theme, layers: 300, width: 1600 },
    { view: 'editor', scenario: 'selected', theme, width: 480, height: 1400 },
    { view: 'panel', theme },
    { view: 'editor', scenario: 'training', theme },
    { view: 'editor', scenario: 'stopped', theme, width: 480, height: 1400 },
    { view: 'editor', scenario: 'double', theme, width: 700, height: 1200 },
  ]);
  const named = (screen: Screen) => ({ ...screen, name: Object.values({ theme: 'dark', ...screen }).join('-') });

  test.each(inspected.map(named))('axe has nothing to say: $name', async ({ name, ...screen }) => {
    const page = await open(screen);
    await page.screenshot({ path: path.join(screenshots, `${name}.png`) });
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test.each(everyTheme)('axe has nothing to say about results, tables and folded parts: %s', async (theme) => {
    const page = await open({ view: 'editor', scenario: 'done', theme, height: 1500 });
    await page.getByRole('tab', { name: 'Results' }).click();
    await unfold(page);
    await page.screenshot({ path: path.join(screenshots, `results-${theme}.png`) });
    expect(await violations(page)).toEqual([]);
    await page.getByRole('tab', { name: 'Layers' }).click();
    for (const tab of ['Importance', 'Table']) {
      await page.getByRole('tab', { name: tab }).click();
      await settled(page);
      await page.screenshot({ path: path.join(screenshots, `${tab.toLowerCase()}-${theme}.png`) });
    }
    expect(await violations(page)).toEqual([]);
    const panel = await open({ view: 'panel', theme, height: 2000 });
    await unfold(panel);
    await panel.screenshot({ path: path.join(screenshots, `panel-unfolded-${theme}.png`) });
    expect(await violations(panel)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
    await panel.close();
  });

  test('results of a sparse model say what is left of each layer, also as a table', async () => {
    const page = await open({ view: 'editor', scenario: 'sparseDone', height: 1700 });
    await page.getByRole('tab', { name: 'Results' }).click();
    const section = page.locator('section.sparsity');
    await section.getByText('of the weights’ norm').waitFor();
    expect(await section.getByText('Zeros alone make').count()).toBe(1);
    await section.locator('svg').first().waitFor();
    await page.screenshot({ path: path.join(screenshots, 'sparse-results.png') });
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('rows that are pulled to zero are shown while they are, and in the results', async () => {
    const page = await open({ view: 'editor', scenario: 'compacting', height: 1500 });
    const section = page.locator('section.compaction');
    await section.getByText('the accuracy falls').waitFor();
    await section.locator('svg').nth(1).waitFor();
    await page.screenshot({ path: path.join(screenshots, 'compacting.png') });
    expect(await violations(page)).toEqual([]);
    await page.close();
    const after = await open({ view: 'editor', scenario: 'compacted', height: 2200 });
    await after.getByRole('tab', { name: 'Results' }).click();
    await after.getByText('the cut changed nothing').waitFor();
    await after.screenshot({ path: path.join(screenshots, 'compacted.png') });
    expect(await violations(after)).toEqual([]);
    await after.close();
    const panel = await open({ view: 'panel', scenario: 'compacting', height: 1500 });
    await panel.locator('#preset').selectOption('resrep-cifar');
    const [change] = await requests(panel, 'change');
    expect(JSON.stringify(change)).toContain('"epochs":480');
    await panel.screenshot({ path: path.join(screenshots, 'compacting-panel.png') });
    await panel.close();
    expect(complaints).toEqual([]);
  });

  test('a preset fills in the options and the training', async () => {
    const page = await open({ view: 'panel', scenario: 'sparse', height: 1700 });
    await page.locator('#preset').selectOption('gsm-lenet');
    const [change] = await requests(page, 'change');
    expect(JSON.stringify(change)).toContain('"epochs":280');
    await page.screenshot({ path: path.join(screenshots, 'sparse-panel.png') });
    expect(complaints).toEqual([]);
    await page.close();
  });

  test.each(drawn.map(named))('is drawn without a complaint: $name', async ({ name, ...screen }) => {
    const page = await open(screen);
    await page.screenshot({ path: path.join(screenshots, `${name}.png`) });
    expect(complaints).toEqual([]);
    expect(await page.locator(`espalier-${screen.view} h1`).innerText()).toContain(
      `residual${screen.layers ?? 20}.onnx`,
    );
    await page.close();
  });

  test('by keys alone: filter, choose a layer, move its cut, go back', async () => {
    const page = await open({ view: 'editor' });
    const focused = () =>
      page.evaluate(() => {
        let element = document.activeElement;
        while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
        return `${element?.getAttribute('role') ?? element?.tagName.toLowerCase()} ${element?.getAttribute('aria-label') ?? ''}`;
      });
    for (let i = 0; i < 20 && (await focused()) !== 'input Filter layers'; i++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('input Filter layers');

    await page.keyboard.type('stage2 conv1');
    await page.keyboard.press('ArrowDown');
    expect(await focused()).toBe('grid Layers');
    const chosen = page.locator('[role="row"][aria-selected="true"]');
    await expect.poll(() => chosen.getAttribute('data-layer')).toBe('stage2.block2.conv1');

    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('slider Kept rank');
    const slider = page.getByRole('slider', { name: 'Kept rank', exact: true });
    const before = Number(await slider.getAttribute('aria-valuenow'));
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await settled(page);
    expect(Number(await slider.getAttribute('aria-valuenow'))).toBe(before - 2);
    expect(await slider.getAttribute('aria-valuetext')).toMatch(
      new RegExp(`^${before - 2} of 64, [\\d.]+\\s% of the energy kept$`),
    );
    await page.keyboard.press('Home');
    await settled(page);
    expect(await slider.getAttribute('aria-valuenow')).toBe('1');
    const sent = await requests(page, 'change');
    expect(sent.at(-1)?.params).toEqual({ settings: { layers: [{ match: 'stage2.block2.conv1', rank: 1 }] } });

    await page.keyboard.press('Control+z');
    await settled(page);
    expect(Number(await slider.getAttribute('aria-valuenow'))).toBe(before - 2);
    await page.keyboard.press('Escape');
    expect(await focused()).toBe('grid Layers');
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('training alone offers nothing of a plan: no lock, no cut, no protected layers', async () => {
    const page = await open({ view: 'editor', scenario: 'fineTunes' });
    await page.locator('espalier-layer-detail svg').first().waitFor();
    await page.screenshot({ path: path.join(screenshots, 'fine-tunes.png') });
    expect(await page.getByRole('slider').count()).toBe(0);
    expect(await page.locator('[aria-pressed]').count()).toBe(0);
    expect(await page.getByRole('columnheader').filter({ hasText: 'Lock' }).count()).toBe(0);
    expect(await page.getByText('Set by hand').count()).toBe(0);
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
    const panel = await open({ view: 'panel', scenario: 'fineTunes' });
    expect(await panel.locator('#protect').count()).toBe(0);
    expect(await panel.getByText('set by hand').count()).toBe(0);
    await panel.locator('#method').selectOption('gsm');
    await panel.locator('#protect').waitFor();
    await panel.close();
  });

  test('by keys alone: the target in the side panel', async () => {
    const page = await open({ view: 'panel' });
    const slider = page.getByRole('slider', { name: 'Share to keep, in percent' });
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    await settled(page);
    expect((await requests(page, 'change')).at(-1)?.params).toEqual({
      settings: { target: { kind: 'macs', value: 0.61 } },
    });
    await page.getByLabel('Keep (%)').fill('45');
    await page.keyboard.press('Tab');
    await settled(page);
    expect((await requests(page, 'change')).at(-1)?.params).toEqual({
      settings: { target: { kind: 'macs', value: 0.45 } },
    });
    expect(await slider.inputValue()).toBe('45');
    await page.getByRole('button', { name: 'Undo' }).click();
    await settled(page);
    expect(await slider.inputValue()).toBe('61');
    await page.close();
  });

  test('a drag of the cut projects as it goes and is one step for undo', async () => {
    const page = await open({ view: 'editor', scenario: 'selected' });
    const handle = page.getByRole('slider', { name: 'Kept rank', exact: true });
    const start = await handle.getAttribute('aria-valuenow');
    const box = (await handle.locator('.hit').boundingBox())!;
    const rankCell = page.locator('[role="row"][aria-selected="true"] .rank');
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 6 });
    await settled(page);
    expect(await handle.getAttribute('aria-valuenow')).toBe('24');
    await expect.poll(() => rankCell.innerText()).toBe('24 / 32');
    await page.mouse.up();
    await settled(page);
    const changes = (await requests(page, 'change')).map(
      ({ params }) => (params as { transient?: boolean }).transient === true,
    );
    expect(changes.length).toBeGreaterThan(1);
    expect(changes.slice(0, -1).every(Boolean)).toBe(true);
    expect(changes.at(-1)).toBe(false);
    await page.keyboard.press('Control+z');
    await settled(page);
    expect(await handle.getAttribute('aria-valuenow')).toBe(start);
    await page.close();
  });

  test('20,000 layers: only rows on screen exist, and only their spectra are asked for', async () => {
    const page = await open({ view: 'editor', layers: 20_000 });
    const rows = page.locator('espalier-layer-table [role="row"][data-layer]');
    expect(await rows.count()).toBeLessThan(60);
    expect(await page.getByRole('grid').getAttribute('aria-rowcount')).toBe('20001');
    await page.getByRole('grid').focus();
    await page.keyboard.press('End');
    await settled(page);
    expect(await rows.count()).toBeLessThan(60);
    expect(await page.locator('[aria-selected="true"][data-layer]').getAttribute('data-layer')).toBe('classifier');
    const asked = (await requests(page, 'spectra')).flatMap(({ params }) => (params as { layers: string[] }).layers);
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked.length).toBeLessThan(200);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('sort, filter and tab survive a reload', async () => {
    const page = await open({ view: 'editor', scenario: 'selected' });
    await page.getByRole('searchbox').fill('stage');
    await page.getByRole('columnheader', { name: 'MACs' }).getByRole('button').click();
    await page.getByRole('tab', { name: 'Table' }).click();
    await page.reload();
    await settled(page);
    expect(await page.getByRole('searchbox').inputValue()).toBe('stage');
    expect(await page.getByRole('columnheader', { name: 'MACs' }).getAttribute('aria-sort')).toBe('descending');
    expect(await page.getByRole('tab', { name: 'Table' }).getAttribute('aria-selected')).toBe('true');
    await page.close();
  });

  test('a row under the pointer keeps its place while its slider moves', async () => {
    const page = await open({ view: 'editor' });
    await page.getByRole('columnheader', { name: 'Rank' }).getByRole('button').click();
    const order = () =>
      page.locator('[role="row"][data-layer]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-layer')));
    const first = (await order())[1];
    const slider = page.getByRole('slider', { name: `Kept rank of ${first}` });
    const box = (await slider.boundingBox())!;
    const before = await order();
    await page.mouse.move(box.x + box.width - 8, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + 6, box.y + box.height / 2, { steps: 5 });
    await settled(page);
    expect(await order()).toEqual(before);
    await page.mouse.up();
    await settled(page);
    expect((await order()).indexOf(first)).toBeGreaterThan(1);
    await page.close();
  });

  test('an exported chart stands on its own', async () => {
    const page = await open({ view: 'editor', scenario: 'selected', theme: 'light' });
    await page.getByRole('button', { name: 'Copy “Singular values of stage1.block1.conv1” as SVG' }).click();
    await settled(page);
    const { params } = (await requests(page, 'export')).at(-1)!;
    const { text, kind, to } = params as { text: string; kind: string; to: string };
    expect([kind, to]).toEqual(['svg', 'clipboard']);
    expect(text).not.toMatch(/var\(|class=|href|<script|tabindex|currentColor/);
    expect(text).toContain('Singular values of stage1.block1.conv1');
    expect(text).toContain('cumulative energy');
    const image = await browser.newPage();
    const drawn = await image.evaluate(async (svg) => {
      const picture = new Image();
      picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
      await picture.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: picture.width, height: picture.height });
      const context = canvas.getContext('2d')!;
      context.drawImage(picture, 0, 0);
      const { data } = context.getImageData(0, 0, picture.width, picture.height);
      const colours = new Set<string>();
      for (let i = 0; i < data.length; i += 4) colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      return { width: picture.width, corner: [...data.slice(0, 4)], colours: colours.size };
    }, text);
    expect(drawn.width).toBeGreaterThan(300);
    expect(drawn.corner).toEqual([255, 255, 255, 255]);
    expect(drawn.colours).toBeGreaterThan(20);
    await image.close();

    await page.getByRole('button', { name: 'Copy “Singular values of stage1.block1.conv1” as CSV' }).click();
    await settled(page);
    const csv = ((await requests(page, 'export')).at(-1)!.params as { text: string }).text.trimEnd().split('\r\n');
    expect(csv[0]).toBe('Index,Singular value,Cumulative energy,State');
    expect(csv).toHaveLength(33);
    await page.close();
  });

  test('what the host refuses is shown and can be dismissed', async () => {
    const page = await open({ view: 'editor', scenario: 'failing' });
    await page.getByRole('button', { name: 'Leave as It Is' }).click();
    const alert = page.getByRole('alert');
    await alert.waitFor();
    expect(await alert.innerText()).toContain('The engine stopped while it worked on this.');
    await page.getByRole('button', { name: 'Dismiss' }).click();
    expect(await alert.count()).toBe(0);
    expect(await page.getByText('The spectrum could not be computed.').count()).toBe(1);
    await page.close();
  });

  test('a training is followed by keys, paused and exported', async () => {
    const page = await open({ view: 'editor', scenario: 'training' });
    const cursor = page.getByRole('slider', { name: 'Step of the training' });
    expect(await cursor.getAttribute('aria-valuenow')).toBe('628');
    await cursor.focus();
    await page.keyboard.press('ArrowLeft');
    expect(await cursor.getAttribute('aria-valuenow')).toBe('626');
    await page.keyboard.press('Home');
    expect(await cursor.getAttribute('aria-valuetext')).toMatch(
      /^Step 2, epoch 1: loss .* classified right, learning rate 0\.05/,
    );
    // Every panel shows the same step.
    const marks = page.locator('espalier-training-chart .u-cursor-x:not(.u-off)');
    expect(await marks.count()).toBe(3);

    await page.getByRole('button', { name: 'Copy “Training” as SVG' }).click();
    await page.getByRole('button', { name: 'Copy “Training” as CSV' }).click();
    await settled(page);
    const [svg, csv] = (await requests(page, 'export')).map(({ params }) => (params as { text: string }).text);
    expect(svg.match(/<polyline/g)?.length).toBeGreaterThanOrEqual(4);
    expect(svg).not.toMatch(/var\(|class=|visibility/);
    expect(csv.trimEnd().split('\r\n')).toHaveLength(315);

    await page.getByText('Loss on a log scale').click();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Continue' }).waitFor();
    expect((await requests(page, 'pause')).map(({ params }) => params)).toEqual([{ paused: true }]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('canvases take new points, and the colours of another theme', async () => {
    const page = await open({ view: 'editor', scenario: 'training', theme: 'dark' });
    const canvas = page.locator('espalier-training-chart canvas').first();
    const pixels = () => canvas.evaluate((element) => (element as HTMLCanvasElement).toDataURL());
    const dark = await pixels();
    await page.evaluate((variables) => {
      for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(name, value);
    }, themes.light.variables);
    await expect.poll(pixels).not.toBe(dark);
    const light = await pixels();
    await page.evaluate(() => {
      const { previewState, previewPatch } = window as unknown as PreviewWindow;
      const { curve } = previewState();
      if (curve !== null) previewPatch({ curve: { ...curve, points: curve.points.slice(0, 100) } });
    });
    await expect.poll(pixels).not.toBe(light);
    expect(await page.getByRole('slider', { name: 'Step of the training' }).getAttribute('aria-valuenow')).toBe('200');
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('a training that was stopped goes on or is forgotten', async () => {
    const page = await open({ view: 'editor', scenario: 'stopped' });
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    expect((await requests(page, 'resumeRun')).map(({ params }) => params)).toEqual([{ id: 'run-2' }]);
    await page.close();
  });

  test.each(everyTheme)('axe has nothing to say about runs, importance and a training’s results: %s', async (theme) => {
    const page = await open({ view: 'editor', scenario: 'trained', theme, height: 1500 });
    for (const tab of [/^Runs/, 'Results']) {
      await page.getByRole('tab', { name: tab }).click();
      await settled(page);
      await page.screenshot({ path: path.join(screenshots, `${tab === 'Results' ? 'trained' : 'runs'}-${theme}.png`) });
      expect(await violations(page)).toEqual([]);
    }
    await page.getByRole('tab', { name: 'Layers' }).click();
    await page.getByLabel('What the bars show').selectOption('importance');
    await settled(page);
    await page.screenshot({ path: path.join(screenshots, `heat-map-${theme}.png`) });
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('runs: from mark to mark by keys, opened with Enter, acted on in the list', async () => {
    const page = await open({ view: 'editor', scenario: 'trained' });
    await page.getByRole('tab', { name: 'Runs (9)' }).click();
    const mark = page.locator('espalier-runs .mark[tabindex="0"]');
    expect(await mark.getAttribute('data-run')).toBe('run-1');
    await mark.focus();
    await page.keyboard.press('Home');
    await expect.poll(() => mark.getAttribute('data-run')).toBe('run-5');
    expect(await page.locator('espalier-runs .callout').textContent()).toContain('basis · 30 % MACs');
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => mark.getAttribute('data-run')).toBe('run-6');
    await page.keyboard.press('Enter');
    await page.getByRole('tab', { name: 'Results', selected: true }).waitFor();
    expect((await requests(page, 'openRun')).map(({ params }) => params)).toEqual([{ id: 'run-6' }]);

    await page.getByRole('tab', { name: /^Runs/ }).click();
    await page.getByRole('button', { name: 'Use Settings: basis · 80 % MACs' }).click();
    await page.getByRole('button', { name: 'Save…: basis · 80 % MACs' }).click();
    await page.getByRole('button', { name: 'Delete: basis · 80 % MACs' }).click();
    await settled(page);
    for (const method of ['useRunSettings', 'saveRun', 'deleteRun'] as const)
      expect((await requests(page, method)).map(({ params }) => params)).toEqual([{ id: 'run-3' }]);
    expect(await page.getByRole('tab', { name: 'Runs (8)' }).count()).toBe(1);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('the importance of 500 layers comes in batches, and a click chooses a layer', async () => {
    const page = await open({ view: 'editor', layers: 500 });
    await page.getByLabel('What the bars show').selectOption('importance');
    await page.getByText(/layers to come/).waitFor();
    await page.getByText(/layers to come/).waitFor({ state: 'detached' });
    const batches = (await requests(page, 'spectra')).map(({ params }) => (params as { layers: string[] }).layers);
    expect(batches.every((layers) => layers.length <= 8)).toBe(true);
    expect(new Set(batches.flat()).size).toBe(batches.flat().length);
    const figure = page.locator('espalier-figure', { hasText: 'cut: what lies right of it goes' });
    expect(await figure.locator('svg.chart .row').count()).toBe(445);
    await figure.locator('svg.chart .row').nth(3).click();
    await settled(page);
    expect((await requests(page, 'select')).at(-1)?.params).toEqual({ layer: 'stage1.block0.conv3' });
    expect(complaints).toEqual([]);
    await page.close();
  });

  test.each(everyTheme)('axe has nothing to say about channels, their sensitivity and results: %s', async (theme) => {
    const page = await open({ view: 'editor', scenario: 'channelsDone', theme, height: 1200 });
    await page.getByRole('grid').hover();
    await page.screenshot({ path: path.join(screenshots, `channels-${theme}.png`) });
    expect(await violations(page)).toEqual([]);
    await page.getByLabel('What the bars show').selectOption('sensitivity');
    await page.getByRole('button', { name: 'Measure Sensitivity' }).click();
    await page.getByText('Points of accuracy lost on 256 images.').waitFor();
    await page.screenshot({ path: path.join(screenshots, `sensitivity-${theme}.png`) });
    expect(await violations(page)).toEqual([]);
    await page.getByRole('tab', { name: 'Results' }).click();
    await unfold(page);
    await page.screenshot({ path: path.join(screenshots, `channels-results-${theme}.png`) });
    expect(await violations(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('channels: one slider for all layers of a group, one step for undo, a lock, and who goes along', async () => {
    const page = await open({ view: 'editor', scenario: 'channels' });
    const row = (layer: string) => page.locator(`[role="row"][data-layer="${layer}"]`);
    const [first, second] = ['stage2.block1.conv3', 'stage2.block2.conv3'];
    expect(await row(first).locator('.group').innerText()).toContain('with 3 other layers');
    expect(await row(second).getAttribute('class')).toContain('coupled');
    expect(await row('stage1.block0.conv1').getAttribute('class')).not.toMatch(/coupled|reads/);

    const slider = page.getByRole('slider', { name: `Kept channels of group ${first}, at ${second}` });
    const before = await row(first).locator('.channels').innerText();
    const box = (await slider.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.78, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.25, box.y + box.height / 2, { steps: 5 });
    await page.mouse.up();
    await settled(page);
    const sent = (await requests(page, 'change')).map(({ params }) => params as { transient?: boolean });
    expect(sent.length).toBeGreaterThan(1);
    expect(sent.map(({ transient }) => transient === true)).toEqual(sent.map((_, i) => i < sent.length - 1));
    const after = await row(first).locator('.channels').innerText();
    expect(after).not.toBe(before);
    expect(await row(second).locator('.channels').innerText()).toBe(after);
    expect(Number(after.split('/')[0]) % 4).toBe(0);
    await page.getByText(/rounded up to a multiple of 4/).waitFor();
    await page.getByRole('grid').focus();
    await page.keyboard.press('Control+z');
    await settled(page);
    expect(await row(first).locator('.channels').innerText()).toBe(before);

    await page.getByRole('button', { name: 'Leave Its Channels' }).click();
    await settled(page);
    expect((await requests(page, 'change')).at(-1)?.params).toMatchObject({
      settings: { groups: [{ match: 'stage1.block0.conv1' }, { match: first, keep: true }] },
    });
    expect(await row(second).locator('.reason').innerText()).toBe('locked');
    await page.getByRole('button', { name: second, exact: true }).click();
    await settled(page);
    expect((await requests(page, 'select')).at(-1)?.params).toEqual({ layer: second });
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('channels: importance in the network’s order or sorted, as a table and as a file', async () => {
    const page = await open({ view: 'editor', scenario: 'channels' });
    const bars = page.locator('espalier-channel-detail espalier-figure svg.chart rect[class]');
    const heights = async () => {
      const found = await bars.evaluateAll((all) => all.map((bar) => Number(bar.getAttribute('height'))));
      return found.filter((height) => height !== 9);
    };
    const unsorted = await heights();
    await page.getByLabel('By importance').check();
    await settled(page);
    const sorted = await heights();
    expect(sorted).not.toEqual(unsorted);
    expect(sorted).toEqual([...unsorted].sort((a, b) => b - a));
    await page.getByRole('button', { name: /^Copy “Importance of the channels of .*” as CSV$/ }).click();
    await settled(page);
    const { text } = (await requests(page, 'export')).at(-1)!.params as { text: string };
    const lines = text.trimEnd().split('\r\n');
    expect(lines[0]).toBe('Channel,Importance,State');
    expect(lines).toHaveLength(65);
    await page.close();
  });

  test('sensitivity: measured on request, cancelled, picked from', async () => {
    const page = await open({ view: 'editor', scenario: 'measuring' });
    await page.getByLabel('What the bars show').selectOption('sensitivity');
    await page.getByText('Measuring what stage2.block2.conv1 bears').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Measure Sensitivity' }).click();
    const figure = page.locator('espalier-figure', { hasText: 'Points of accuracy lost' });
    await figure.locator('svg.chart .row').nth(1).click();
    await settled(page);
    expect((await requests(page, 'select')).at(-1)?.params).toEqual({ layer: 'stage1.block0.conv1' });
    await page.getByRole('button', { name: 'Copy “Sensitivity of every group” as CSV' }).click();
    await settled(page);
    const { text } = (await requests(page, 'export')).at(-1)!.params as { text: string };
    expect(text.split('\r\n')[0]).toBe('Group,25 % removed,50 % removed,75 % removed'.replaceAll(' %', '\u00a0%'));
    expect(await requests(page, 'cancelSensitivity')).toHaveLength(1);
    await page.close();
  });

  test('a new classifier: chosen, set up, and left again', async () => {
    const page = await open({ view: 'panel', height: 1600 });
    await page.getByText('New classifier for the data’s classes').click();
    await settled(page);
    expect((await requests(page, 'change')).at(-1)?.params).toEqual({
      settings: { transfer: { epochs: 30, lr: 0.05 } },
    });
    await page.getByRole('textbox', { name: 'Classes' }).fill('5');
    await page.keyboard.press('Tab');
    await settled(page);
    expect((await requests(page, 'change')).at(-1)?.params).toEqual({
      settings: { transfer: { epochs: 30, lr: 0.05, classes: 5 } },
    });
    await page.getByText('New classifier for the data’s classes').click();
    await settled(page);
    expect((await requests(page, 'change')).at(-1)?.params).toEqual({ settings: {}, remove: ['transfer'] });
    expect(await page.getByRole('textbox', { name: 'Classes' }).count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('training options: what is refused says so beside its field, what is changed can go back', async () => {
    const page = await open({ view: 'panel', scenario: 'trains', height: 1600 });
    const rate = page.getByRole('textbox', { name: 'Learning rate' });
    expect(await rate.inputValue()).toBe('0.05');
    await rate.fill('11');
    await page.keyboard.press('Tab');
    expect(await rate.getAttribute('aria-invalid')).toBe('true');
    expect(await page.getByText('More than 0, at most 10.').count()).toBe(1);
    expect(await requests(page, 'change')).toEqual([]);
    await page.getByRole('button', { name: 'Reset “Learning rate” to its default: 0.01' }).click();
    await settled(page);
    const { settings } = (await requests(page, 'change')).at(-1)!.params as { settings: { training: { lr: number } } };
    expect(settings.training).toMatchObject({ epochs: 10, lr: 0.01 });
    expect(await rate.inputValue()).toBe('');
    expect(await rate.getAttribute('placeholder')).toBe('0.01');
    expect(await page.getByText('More than 0, at most 10.').count()).toBe(0);

    await page.getByRole('textbox', { name: 'Epochs' }).fill('0');
    await page.keyboard.press('Tab');
    await settled(page);
    expect(await rate.count()).toBe(0);
    await page.getByRole('textbox', { name: 'Epochs' }).fill('2');
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByText('Training a few steps').waitFor();
    expect(await requests(page, 'estimateTraining')).toHaveLength(1);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('nothing sticks out sideways, at any width', async () => {
    for (const width of [260, 340, 480, 700, 900, 1100, 1500]) {
      for (const screen of [
        { view: 'editor', scenario: 'trained' },
        { view: 'editor', scenario: 'training' },
        { view: 'editor', scenario: 'double' },
        { view: 'panel', scenario: 'trains' },
      ] as const) {
        const page = await open({ ...screen, width });
        const wide = await page.evaluate(() => {
          const found: string[] = [];
          const visit = (root: ParentNode) => {
            for (const element of root.querySelectorAll('*')) {
              const style = getComputedStyle(element);
              const scrolls = /auto|scroll/.test(style.overflowX) && !element.closest('textarea, input');
              if (scrolls && element.scrollWidth > element.clientWidth + 1)
                found.push(`${element.className} ${element.scrollWidth} > ${element.clientWidth}`);
              if (element.shadowRoot) visit(element.shadowRoot);
            }
          };
          visit(document);
          return found;
        });
        expect(wide, `${screen.view} at ${width}`).toEqual([]);
        await page.close();
      }
    }
  }, 180_000);
});
