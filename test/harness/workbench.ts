/**
 * Drives VS Code's web workbench in headless Chromium: what a user would click, type and see.
 * The selectors are the workbench's own and are spelled nowhere else.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Frame, type Locator, type Page } from 'playwright-core';
import { findChromium } from '../../scripts/chromium.mjs';
import { root } from '../../scripts/paths.mjs';
import type { Server } from '../../scripts/server.mjs';

/** The three looks in which every screen is checked: the name in the theme picker and the workbench's CSS class. */
const themes = {
  dark: { label: 'Dark Modern', workbenchClass: 'vs-dark' },
  light: { label: 'Light Modern', workbenchClass: 'vs' },
  contrast: { label: 'Dark High Contrast', workbenchClass: 'hc-black' },
} as const;
export type Theme = keyof typeof themes;

/** Part of the address of every file that a webview loads from an extension. */
const webviewFiles = 'vscode-resource';

export interface Workbench {
  readonly page: Page;
  /** Requests that tried to leave this machine; each has failed. */
  readonly outside: readonly string[];
  /** Errors thrown or logged by the extension's webviews, refused content among them. */
  readonly errors: readonly string[];
  close(): Promise<void>;
}

export async function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (!executablePath) throw new Error('Chromium was not found; `npm test` installs it or says how.');
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      // Only this machine resolves, so that a webview which needs the network fails its test.
      '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
    ],
  });
}

/**
 * Opens a folder as the workspace and waits until the explorer shows it.
 *
 * @param viewport CSS pixels; 1280 × 800 when not given
 */
export async function openWorkbench(
  browser: Browser,
  server: Server,
  { folder, viewport }: { folder: string; viewport?: { width: number; height: number } },
): Promise<Workbench> {
  const context = await browser.newContext({
    viewport: viewport ?? { width: 1280, height: 800 },
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  const outside: string[] = [];
  const errors: string[] = [];
  // A webview's own files have addresses on vscode-cdn.net, which the webview's service worker answers from the
  // server: those succeed.
  page.on('requestfailed', (request) => {
    if (new URL(request.url()).host !== server.host) outside.push(`${request.url()} (${request.failure()?.errorText})`);
  });
  page.on('pageerror', (error) => {
    if (error.stack?.includes(webviewFiles)) errors.push(error.stack);
  });
  page.on('console', (message) => {
    const ours = message.location().url.includes(webviewFiles) || message.text().includes('Content Security Policy');
    if (ours && message.type() === 'error') errors.push(message.text());
  });
  await page.goto(server.address(folder));
  await explorerRows(page).first().waitFor({ timeout: 60_000 });
  return { page, outside, errors, close: () => context.close() };
}

function explorerRows(page: Page): Locator {
  return page.locator('.explorer-folders-view .monaco-list-row');
}

/** A row of the explorer by the name it shows. */
export function explorerItem(page: Page, name: string): Locator {
  return explorerRows(page)
    .filter({ has: page.getByText(name, { exact: true }) })
    .first();
}

/**
 * Right-clicks a file and picks a menu entry by its title. The explorer shows files seconds before the extensions have
 * delivered their entries; an open menu stays as it is, ignores clicks in its first moments, and closes when the
 * workbench, still loading, takes the focus: so the whole gesture is repeated until it succeeds.
 */
export async function explorerContextMenu(page: Page, file: string, entry: string, timeout = 60_000): Promise<void> {
  const entries = page.locator('.monaco-menu .action-label');
  const wanted = entries.getByText(entry, { exact: true });
  const patience = { timeout: 2_000 };
  await until(page, timeout, async () => {
    try {
      await explorerItem(page, file).click({ button: 'right', ...patience });
      await entries.first().waitFor(patience);
      const offered = (await entries.allInnerTexts()).filter(Boolean);
      if (!offered.includes(entry)) throw new Error(`it offers ${offered.join(', ')}`);
      await wanted.click(patience);
      const closed = () => wanted.waitFor({ state: 'hidden', ...patience });
      // On a busy machine the menu may miss the click and still take the key.
      await closed().catch(async () => {
        await wanted.hover(patience);
        await page.keyboard.press('Enter');
        await closed();
      });
      return null;
    } catch (error) {
      await page.keyboard.press('Escape');
      // A file that is written before the workbench watches the folder would never appear.
      if (!(await explorerItem(page, file).isVisible())) await runCommand(page, 'Refresh Explorer');
      return `"${entry}" was not found in the menu of ${file}: ${error instanceof Error ? error.message : error}`;
    }
  });
}

/** Runs a command from the palette by its title, with its category as the palette shows it: `View: Show Explorer`. */
export async function runCommand(page: Page, title: string): Promise<void> {
  await page.keyboard.press('F1');
  await pick(page, title, `>${title}`);
}

/** Types into the open quick pick and takes the row with this text. */
export async function pick(page: Page, row: string, text = row): Promise<void> {
  const input = quickInput(page);
  await input.waitFor();
  await input.fill(text);
  await page.locator('.quick-input-list .monaco-list-row').filter({ hasText: row }).first().click();
}

/** Accepts the path that an open or save dialog proposes, once it is the expected one. */
export async function acceptPath(page: Page, expected: string): Promise<void> {
  const input = quickInput(page);
  await until(page, 30_000, async () => {
    const proposed = (await input.isVisible()) ? await input.inputValue() : '';
    return proposed === expected ? null : `the dialog proposes "${proposed}", not "${expected}"`;
  });
  await input.press('Enter');
}

function quickInput(page: Page): Locator {
  return page.locator('.quick-input-widget .quick-input-box input');
}

/** Presses a button of a modal dialog. */
export async function dialogButton(page: Page, label: string): Promise<void> {
  await page.locator('.monaco-dialog-box').getByRole('button', { name: label, exact: true }).click();
}

/** A notification that contains this text. */
export function toast(page: Page, text: string): Locator {
  return page.locator('.notification-toast').filter({ hasText: text }).first();
}

/**
 * The frame of a webview's document, found by its `<title>`. VS Code puts the extension's HTML two frames deep, into
 * `iframe#active-frame`. A hidden webview's frame is destroyed and made anew: look it up again after switching.
 */
export async function webviewFrame(page: Page, title: string, timeout = 30_000): Promise<Frame> {
  return until(page, timeout, async () => {
    const seen: string[] = [];
    for (const frame of page.frames()) {
      // Frames come and go while this looks.
      const [id, name] = await Promise.all([
        frame.frameElement().then((element) => element.getAttribute('id')),
        frame.title(),
      ]).catch(() => [null, '']);
      if (id !== 'active-frame') continue;
      if (name === title) return frame;
      seen.push(`"${name}"`);
    }
    return `no webview is titled "${title}"; there are: ${seen.join(', ') || 'none'}`;
  });
}

/** Switches the colour theme as a user does and waits until it shows. */
export async function switchTheme(page: Page, theme: Theme): Promise<void> {
  await runCommand(page, 'Preferences: Color Theme');
  await pick(page, themes[theme].label);
  await page.locator(`.monaco-workbench.${themes[theme].workbenchClass}`).waitFor();
}

/** Saves what the user sees as `out/screenshots/<name>.png`. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const file = path.join(root, 'out/screenshots', `${name}.png`);
  mkdirSync(path.dirname(file), { recursive: true });
  await page.screenshot({ path: file });
}

/** Repeats an attempt, which returns what it found or says in words what is missing, until time is up. */
async function until<T>(page: Page, timeout: number, attempt: () => Promise<T | string>): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const outcome = await attempt();
    if (typeof outcome !== 'string') return outcome;
    if (Date.now() > deadline) throw new Error(outcome);
    await page.waitForTimeout(100);
  }
}
