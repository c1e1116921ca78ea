/** What each request of a webview does, for the session the webview shows. */
import { noModelOpen } from '../errors';
import type { Actions } from './actions';
import type { RunActions } from './runActions';
import { emptyState, type Session } from './session';
import type { ViewHandlers } from './viewHost';

export interface ViewActions {
  readonly actions: Actions;
  readonly runActions: RunActions;
}

/** @param shown the session on screen; undefined while the side panel has none */
export function viewHandlers(shown: () => Session | undefined, { actions, runActions }: ViewActions): ViewHandlers {
  const session = (): Session => {
    const current = shown();
    if (!current) throw noModelOpen();
    return current;
  };
  /** Answers at once: an action may take as long as a person thinks. Both views then show how it failed. */
  const act = (action: (current: Session) => Promise<unknown>): void => {
    const current = session();
    action(current).catch((error: unknown) => actions.failed(current, error));
  };
  return {
    ready: () => shown()?.state ?? emptyState,
    spectra: ({ layers }) => session().spectra(layers),
    detail: ({ layer }) => session().detail(layer),
    group: ({ group }) => session().group(group),
    change: ({ settings, ...options }) => session().change(settings, options),
    select: ({ layer }) => session().select(layer),
    undo: () => session().undo(),
    redo: () => session().redo(),
    chooseData: ({ role }) => act((current) => actions.chooseData(current, { role })),
    setShapes: ({ shapes }) => {
      const entries = Object.entries(shapes).map(([name, sizes]): [string, number[]] => [name, [...sizes]]);
      session().change({ shapes: Object.fromEntries(entries) });
    },
    run: () => act((current) => actions.run(current)),
    cancel: () => session().runs.cancel(),
    pause: ({ paused }) => session().runs.pause(paused),
    resumeRun: ({ id }) => act((current) => actions.run(current, id)),
    openRun: ({ id }) => session().runs.open(id),
    useRunSettings: ({ id }) => session().runs.useSettings(id),
    saveRun: ({ id }) => act((current) => actions.savePruned(current, { id })),
    deleteRun: ({ id }) => act(() => runActions.remove(id)),
    estimateTraining: () => act((current) => current.estimateTraining()),
    measureSensitivity: () => act((current) => current.learning.measureSensitivity()),
    cancelSensitivity: () => session().learning.cancelSensitivity(),
    save: () => act((current) => actions.savePruned(current)),
    dismissError: () => session().dismissError(),
    export: (chart) => actions.exportChart(chart, shown()),
    openModel: () => actions.openModel(),
  };
}
