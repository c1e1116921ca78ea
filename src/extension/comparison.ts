/**
 * Two models side by side, as a Markdown file in the extension's storage: VS Code's own preview shows it, so it can be
 * searched, copied and read aloud like any text, and a reloaded window shows it without asking the engine again.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import type { EngineRequester, RequestOptions } from '../protocol/rpc';
import { comparisonMarkdown } from './comparisonText';

export class Comparisons {
  constructor(
    private readonly engine: EngineRequester,
    private readonly folder: string,
  ) {}

  /**
   * Compares two models and shows the result.
   *
   * @param data a dataset both are evaluated on; without one, accuracy is left out
   * @returns the Markdown file
   */
  async show(a: string, b: string, data: string | undefined, options: RequestOptions): Promise<vscode.Uri> {
    const comparison = await this.engine.request('compare', { a, b, data }, options);
    await mkdir(this.folder, { recursive: true });
    const file = path.join(this.folder, `${path.basename(a)} and ${path.basename(b)}.md`);
    await writeFile(file, comparisonMarkdown(comparison));
    const uri = vscode.Uri.file(file);
    await vscode.commands.executeCommand('markdown.showPreview', uri);
    return uri;
  }
}
