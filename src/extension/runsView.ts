/** The *Runs* view: every model of the workspace that was pruned, and its runs with their numbers. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { RunSummary } from '../protocol/runs';
import type { RunStore } from './runs/store';
import { runDescription, runTooltip } from './runs/text';

export const runsViewId = 'espalier.runs';

/** What menus of the view pass to commands. */
export type RunsNode =
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'run'; readonly model: string; readonly id: string };

const icons: Readonly<Record<RunSummary['state'], vscode.ThemeIcon>> = {
  running: new vscode.ThemeIcon('loading~spin'),
  paused: new vscode.ThemeIcon('debug-pause'),
  stopped: new vscode.ThemeIcon('debug-stop', new vscode.ThemeColor('list.warningForeground')),
  done: new vscode.ThemeIcon('pass', new vscode.ThemeColor('testing.iconPassed')),
  failed: new vscode.ThemeIcon('error', new vscode.ThemeColor('list.errorForeground')),
};

export class RunsView implements vscode.TreeDataProvider<RunsNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly subscription: { dispose(): void };

  constructor(private readonly runs: RunStore) {
    this.subscription = runs.onDidChange(() => this.changed.fire(undefined));
  }

  getChildren(node?: RunsNode): RunsNode[] {
    if (!node) return this.runs.models().map((model) => ({ kind: 'model', model }));
    if (node.kind === 'run') return [];
    const { model } = node;
    return this.runs.of(model).map(({ id }) => ({ kind: 'run', model, id }));
  }

  getParent(node: RunsNode): RunsNode | undefined {
    return node.kind === 'run' ? { kind: 'model', model: node.model } : undefined;
  }

  getTreeItem(node: RunsNode): vscode.TreeItem {
    return node.kind === 'model' ? modelItem(node.model) : this.runItem(node.id);
  }

  dispose(): void {
    this.subscription.dispose();
    this.changed.dispose();
  }

  private runItem(id: string): vscode.TreeItem {
    // It may have gone since the view asked which there are.
    if (!this.runs.has(id)) return new vscode.TreeItem('');
    const run = this.runs.get(id);
    const item = new vscode.TreeItem(run.title);
    item.id = id;
    item.description = runDescription(run);
    item.iconPath = icons[run.state];
    item.tooltip = new vscode.MarkdownString(runTooltip(run));
    item.accessibilityInformation = { label: `${run.title}, ${run.state}, ${item.description}` };
    item.contextValue = ['run', run.state, run.canResume ? 'resumable' : '', run.savedAs ? 'saved' : '']
      .filter((word) => word !== '')
      .join(' ');
    const node: RunsNode = { kind: 'run', model: run.model, id };
    item.command = { command: 'espalier.openRun', title: 'Open Run', arguments: [node] };
    return item;
  }
}

function modelItem(model: string): vscode.TreeItem {
  const item = new vscode.TreeItem(path.basename(model), vscode.TreeItemCollapsibleState.Expanded);
  item.id = model;
  const relative = vscode.workspace.asRelativePath(model);
  const folder = path.dirname(relative);
  item.description = folder === '.' ? '' : folder;
  item.tooltip = model;
  item.iconPath = new vscode.ThemeIcon('graph');
  item.contextValue = 'model';
  return item;
}
