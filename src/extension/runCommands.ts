/** Commands about single runs, from the Runs view's menus, from the palette (which asks for a run) and from scripts. */
import * as vscode from 'vscode';
import type { RunSummary } from '../protocol/runs';
import type { Actions } from './actions';
import type { RunActions } from './runActions';
import type { RunsNode } from './runsView';
import type { SaveOptions } from './saving';

/** The view passes its nodes; scripts pass a run and what would be asked for. */
type Target = RunsNode | (SaveOptions & { readonly id: string; readonly confirmed?: boolean }) | undefined;

interface RunCommand {
  /** Of the list that asks for a run. */
  readonly title: string;
  /** Runs that the command is for. */
  readonly suits: (run: RunSummary) => boolean;
  readonly act: (id: string, options: SaveOptions & { readonly confirmed?: boolean }) => Promise<unknown>;
}

export function registerRunCommands(actions: Actions, runs: RunActions): vscode.Disposable {
  const isDone = ({ state }: RunSummary) => state === 'done';
  const isOver = ({ state }: RunSummary) => state !== 'running' && state !== 'paused';
  const any = () => true;
  const commands: Readonly<Record<string, RunCommand>> = {
    'espalier.openRun': { title: 'Open Run', suits: any, act: (id) => runs.open(id) },
    'espalier.useRunSettings': { title: 'Use Settings of Run', suits: any, act: (id) => runs.useSettings(id) },
    'espalier.resumeRun': { title: 'Resume Run', suits: (run) => run.canResume, act: (id) => runs.resume(id) },
    'espalier.saveRun': { title: 'Save Model of Run', suits: isDone, act: (id, options) => runs.save(id, options) },
    'espalier.compareRun': { title: 'Compare Run with Original', suits: isDone, act: (id) => runs.compare(id) },
    'espalier.revealRun': { title: 'Reveal Model of Run', suits: isDone, act: (id) => runs.reveal(id) },
    'espalier.deleteRun': { title: 'Delete Run', suits: isOver, act: (id, options) => runs.remove(id, options) },
  };
  const registrations = Object.entries(commands).map(([name, { title, suits, act }]) =>
    vscode.commands.registerCommand(name, async (target: Target) => {
      const isScript = target !== undefined && !('kind' in target);
      try {
        const id = target === undefined ? await runs.pick(title, suits) : 'id' in target ? target.id : undefined;
        return id === undefined ? undefined : await act(id, isScript ? target : {});
      } catch (error) {
        if (isScript) throw error;
        void actions.show(error);
        return undefined;
      }
    }),
  );
  return vscode.Disposable.from(...registrations);
}
