/** What the browser journeys share: one VS Code with a browser per file, the two screens, and looks at them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Browser, Frame, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { root } from '../../scripts/paths.mjs';
import { type Server, startServer } from '../../scripts/server.mjs';
import { copyOfSample, type TestWorkspace } from '../harness/sample';
import { launchBrowser, openWorkbench, type Theme, type Workbench, webviewFrame } from '../harness/workbench';

export interface Journey {
  readonly server: Server;
  readonly workspace: TestWorkspace;
  readonly workbench: Workbench;
  readonly page: Page;
  /** File name of the model that comes with the sample workspace. */
  readonly model: string;
  end(): Promise<void>;
}

/**
 * Opens the sample workspace in a VS Code of its own.
 *
 * @param options.prepare changes the workspace's folder before it is opened
 * @param options.trust whether VS Code asks for trust; the workspace is then not trusted
 */
export async function begin({
  prepare,
  trust = false,
}: {
  prepare?: (folder: string, model: string) => void;
  trust?: boolean;
} = {}): Promise<Journey> {
  const workspace = copyOfSample();
  const model = readdirSync(workspace.folder).find((name) => name.endsWith('.onnx'))!;
  prepare?.(workspace.folder, model);
  const server = await startServer({ trust });
  const browser: Browser = await launchBrowser();
  const workbench = await openWorkbench(browser, server, {
    folder: workspace.folder,
    viewport: { width: 1500, height: 950 },
  });
  return {
    server,
    workspace,
    workbench,
    page: workbench.page,
    model,
    async end() {
      await workbench.close();
      await browser.close();
      await server.stop();
      workspace.remove();
    },
  };
}

/** The frame of a webview that is not ours and so has no title: the one that shows this text. */
export async function frameShowing(page: Page, text: string | RegExp): Promise<Frame> {
  let found: Frame | undefined;
  await expect
    .poll(
      async () => {
        for (const frame of page.frames()) {
          if (
            await frame
              .getByText(text)
              .first()
              .isVisible()
              .catch(() => false)
          )
            found = frame;
        }
        return found !== undefined;
      },
      { timeout: 60_000, message: `no frame shows ${text}` },
    )
    .toBe(true);
  return found!;
}

/** The model editor, once it shows a model's figures. */
export async function editorFrame(page: Page): Promise<Frame> {
  const frame = await webviewFrame(page, 'Espalier Model');
  await frame.locator('[data-tile=params]').waitFor({ timeout: 60_000 });
  return frame;
}

/** The side panel, once it shows a plan. */
export async function panelFrame(page: Page): Promise<Frame> {
  const frame = await webviewFrame(page, 'Espalier Pruning');
  await frame.getByRole('region', { name: 'After the plan' }).waitFor({ timeout: 60_000 });
  return frame;
}

export function layerRows(editor: Frame): Locator {
  return editor.locator('.row[data-layer]');
}

/** The names and ranks of all rows on screen. */
export async function shownRanks(editor: Frame): Promise<Record<string, string>> {
  const rows = await layerRows(editor).all();
  const entries = await Promise.all(
    rows.map(async (row) => [await row.getAttribute('data-layer'), await row.locator('.rank').innerText()]),
  );
  return Object.fromEntries(entries);
}

/** What the command line counts in a file; the same engine, but another process that has never seen the editor. */
export function recount(file: string): { params: number; macs: number; bytes: number } {
  const output = execFileSync(process.execPath, [path.join(root, 'dist/cli.js'), 'inspect', file, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(output).totals;
}

const axeSource = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8');

/** VS Code's word for a theme's kind, on the body of every webview. */
const themeKinds: Readonly<Record<Theme, string>> = {
  dark: 'vscode-dark',
  light: 'vscode-light',
  contrast: 'vscode-high-contrast',
};

/** Waits until a webview has the colours of a theme, which reach it after the workbench. */
export async function themed(frame: Frame, theme: Theme): Promise<void> {
  await frame.locator(`body[data-vscode-theme-kind=${themeKinds[theme]}]`).waitFor();
}

/** `expect.poll` with the patience that a whole editor on a busy machine needs. */
export function eventually<T>(look: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(look, { timeout: 30_000 });
}

/** What lies behind a webview, whose own page is transparent. */
const behind = { 'Espalier Model': '--vscode-editor-background', 'Espalier Pruning': '--vscode-sideBar-background' };

/** Fails with the rules and elements that a screen violates. */
export async function expectAccessible(frame: Frame, title: keyof typeof behind): Promise<void> {
  await frame.evaluate(axeSource);
  await frame.evaluate((variable) => {
    document.body.style.background = `var(${variable})`;
  }, behind[title]);
  const violations = await frame.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations: found } = await axe.run(document, { resultTypes: ['violations'] });
    // A few elements tell as much as all that share their fault.
    const shown = found.map(({ id, help, nodes }) => [
      `${id}: ${help} (${nodes.length})`,
      ...nodes
        .slice(0, 3)
        .map(({ target, any }) => `${target.join(' ')}: ${any.map(({ message }) => message).join('; ')}`),
    ]);
    return shown.flat();
  });
  expect(violations).toEqual([]);
}
