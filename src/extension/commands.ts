/**
 * The commands. Each may be called with what it would otherwise ask for (a file, an output, …); such a caller also
 * gets the error, while a user gets a notification.
 */
import * as vscode from 'vscode';
import { noModelOpen } from '../errors';
import type { Actions } from './actions';
import type { EngineClient } from './engineClient';
import type { SaveOptions } from './saving';
import type { Session } from './session';
import type { Sessions } from './sessions';

interface CommandServices {
  readonly actions: Actions;
  readonly sessions: Sessions;
  readonly engine: EngineClient;
  readonly log: vscode.LogOutputChannel;
}

/** What menus pass first: the file that was clicked; commands called by scripts may pass options instead. */
type Target = vscode.Uri | (SaveOptions & { readonly model?: vscode.Uri; readonly path?: string }) | undefined;

/** Explorer menus pass all selected files second; other menus pass other things. */
type Command = (target: Target, selection: unknown) => unknown;

export function registerCommands({ actions, sessions, engine, log }: CommandServices): vscode.Disposable {
  const session = (target: Target): Session => {
    const model = target instanceof vscode.Uri ? target : target?.model;
    const found = model ? sessions.get(model) : sessions.active;
    if (!found) throw noModelOpen();
    return found;
  };
  const options = (target: Target) => (target instanceof vscode.Uri ? {} : (target ?? {}));
  const fileOf = (target: Target) => (target instanceof vscode.Uri ? target : target?.model);
  /** A run or an open takes a file as well: then its editor is opened first. */
  const opened = async (target: Target): Promise<Session> => {
    const model = fileOf(target);
    if (model && !sessions.get(model)) await actions.openModel(model);
    return session(target);
  };

  const commands: Readonly<Record<string, Command>> = {
    'espalier.inspect': (target) => actions.openModel(fileOf(target)),
    'espalier.prune': (target) => actions.prune(fileOf(target)),
    'espalier.compare': (target, selection) => {
      const clicked = fileOf(target);
      return actions.compare(Array.isArray(selection) ? selection : clicked ? [clicked] : []);
    },
    'espalier.run': async (target) => actions.run(await opened(target)),
    'espalier.cancel': (target) => session(target).runs.cancel(),
    'espalier.pauseTraining': (target) => session(target).runs.pause(true),
    'espalier.continueTraining': (target) => session(target).runs.pause(false),
    'espalier.savePruned': (target) => actions.savePruned(session(target), options(target)),
    'espalier.undo': (target) => session(target).undo(),
    'espalier.redo': (target) => session(target).redo(),
    'espalier.chooseData': async (target) => actions.chooseData(await opened(target), options(target)),
    'espalier.exportRecipe': (target) => actions.exportRecipe(session(target), options(target)),
    'espalier.runRecipe': (target) => {
      const recipe = fileOf(target) ?? vscode.window.activeTextEditor?.document.uri;
      if (!recipe) throw noModelOpen();
      return actions.runRecipe(recipe);
    },
    'espalier.openSample': () => actions.openSample(),
    'espalier.showLog': () => log.show(),
    'espalier.restartEngine': async () => {
      await engine.restart();
      for (const each of sessions.all()) each.load();
    },
  };

  const registrations = Object.entries(commands).map(([id, command]) =>
    vscode.commands.registerCommand(id, async (target: Target, selection: unknown) => {
      try {
        return await command(target, selection);
      } catch (error) {
        const isScript = target !== undefined && !(target instanceof vscode.Uri);
        if (isScript) throw error;
        void actions.show(error);
        return undefined;
      }
    }),
  );
  return vscode.Disposable.from(...registrations);
}
