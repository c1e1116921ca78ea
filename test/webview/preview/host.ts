/**
 * The extension's side of a view, inside the page: answers requests and sends state patches as the host does, with the
 * product's own planning. Address: `?view=editor&layers=20&scenario=ready&theme=dark`.
 */
import type { Projection } from '../../../src/protocol/plan';
import type { PruneSettings } from '../../../src/protocol/recipe';
import type { SessionState, ViewRequest } from '../../../src/protocol/view';
import type { Energies } from '../../../src/prune/basis';
import { planBasis } from '../../../src/prune/basis';
import type { LayerShape } from '../../../src/prune/cost';
import { previewChannels, previewDouble, previewGroupDetail, previewSensitivity } from './channels';
import { type PreviewModel, previewModel } from './models';
import { baseState, measuring, type Scenario, type ScenarioName, scenarios } from './states';
import { type PreviewTheme, themes } from './themes';

const query = new URLSearchParams(location.search);
const scenario: Scenario = scenarios[(query.get('scenario') ?? 'ready') as ScenarioName];
const model = previewModel(Number(query.get('layers') ?? 20));
const theme: PreviewTheme = themes[(query.get('theme') ?? 'dark') as keyof typeof themes];

document.body.classList.add(theme.class);
const view = query.get('view') ?? 'editor';
document.body.dataset.view = view;
const background = view === 'panel' ? '--vscode-sideBar-background' : '--vscode-editor-background';
document.documentElement.style.setProperty('background-color', `var(${background})`);
// As VS Code does it; the page behind a webview has the colour of where it sits.
for (const [name, value] of Object.entries(theme.variables)) document.documentElement.style.setProperty(name, value);

/** Every request, for tests to read: `window.previewRequests`. */
const requests: ViewRequest[] = [];
/** The state the host holds: `window.previewState()`. */
let state: SessionState;
const past: PruneSettings[] = [];
const future: PruneSettings[] = [];
/** Settings before the drag that is on. */
let beforeDrag: PruneSettings | null = null;

function projection(settings: PruneSettings): Projection {
  if (settings.method === 'channel') return previewChannels(model.facts, settings);
  if (settings.method === 'double') return previewDouble(model.facts, settings);
  return project(settings).projection;
}

function project(settings: PruneSettings) {
  return planBasis(planInput(model), settings);
}

let planInputs: Parameters<typeof planBasis>[0] | null = null;
function planInput({ facts, spectrum }: PreviewModel): Parameters<typeof planBasis>[0] {
  if (planInputs !== null) return planInputs;
  const energies: Energies = new Map(
    facts.layers.flatMap((layer) => {
      const values = spectrum(layer.name)?.singularValues;
      return values === undefined ? [] : [[layer.name, values.map((value) => value * value)] as const];
    }),
  );
  const shapes = new Map(
    facts.layers.map((layer): [string, LayerShape] => [
      layer.name,
      {
        facts: layer,
        weightTensor: layer.weight.name,
        biasTensor: null,
        bias: { params: 0, bytes: 0 },
        newBias: null,
        elementBytes: 4,
      },
    ]),
  );
  const uses = new Map(facts.layers.map((layer) => [layer.weight.name, 1]));
  planInputs = { facts, shapes, energies, reasons: new Map(), uses, basis: 'weights' };
  return planInputs;
}

function post(message: unknown): void {
  window.postMessage(message, '*');
}

function patch(change: Partial<SessionState>): void {
  state = { ...state, ...change };
  post({ type: 'state', patch: change });
}

function settle(settings: PruneSettings): void {
  const projected = state.projection === null ? {} : { projection: projection(settings) };
  patch({ settings, ...projected, canUndo: past.length > 0, canRedo: future.length > 0 });
}

function change({ settings, remove = [], transient }: Extract<ViewRequest['params'], { settings: unknown }>): void {
  const before = state.settings;
  if (before === null) return;
  const after: PruneSettings = { ...before, ...settings };
  for (const key of remove) delete after[key];
  beforeDrag ??= before;
  if (transient !== true) {
    past.push(beforeDrag);
    future.length = 0;
    beforeDrag = null;
  }
  settle(after);
}

function step(from: PruneSettings[], to: PruneSettings[]): void {
  const next = from.pop();
  if (next === undefined || state.settings === null) return;
  to.push(state.settings);
  settle(next);
}

function answer({ method, params }: ViewRequest): unknown {
  switch (method) {
    case 'ready':
      return state;
    case 'spectra':
      return (params as { layers: string[] }).layers.flatMap((layer) => model.spectrum(layer) ?? []);
    case 'detail': {
      const { layer } = params as { layer: string };
      const detail = state.settings === null ? undefined : project(state.settings).details.get(layer);
      if (detail === undefined) throw new Error(`Layer “${layer}” has no importance: it stays as it is.`);
      return detail;
    }
    case 'group': {
      const { group: name } = params as { group: string };
      const group = state.projection?.groups?.find((each) => each.name === name);
      if (group === undefined) throw new Error(`There is no group “${name}”.`);
      return previewGroupDetail(group);
    }
    case 'measureSensitivity':
      patch({ sensitivity: measuring });
      return void setTimeout(() => {
        const sensitivity = previewSensitivity(model.facts, 'accuracy');
        if (state.sensitivity.kind === 'measuring') patch({ sensitivity: { kind: 'known', sensitivity } });
      }, 150);
    case 'cancelSensitivity':
      return patch({ sensitivity: { kind: 'unknown' } });
    case 'change':
      return change(params as Parameters<typeof change>[0]);
    case 'select':
      return patch({ selectedLayer: (params as { layer: string | null }).layer });
    case 'undo':
      return step(past, future);
    case 'redo':
      return step(future, past);
    case 'dismissError':
      return patch({ error: null });
    case 'run':
      return patch(scenarios.running.state(state));
    case 'cancel':
      return patch({ run: { kind: 'idle' } });
    case 'pause':
      return state.run.kind === 'running' ? patch({ run: { ...state.run, ...(params as { paused: boolean }) } }) : null;
    case 'resumeRun':
      return patch(scenarios.training.state(state));
    case 'deleteRun':
      return patch({
        run: { kind: 'idle' },
        runs: state.runs.filter(({ id }) => id !== (params as { id: string }).id),
      });
    case 'openRun':
      return patch(scenarios.trained.state(state));
    case 'estimateTraining':
      return patch({ trainingTime: { kind: 'measuring' } });
    default:
      return undefined;
  }
}

function receive(request: ViewRequest): void {
  requests.push(request);
  if (scenario.silent?.includes(request.method)) return;
  // As over the wire: the answer never comes before the caller goes on.
  setTimeout(() => {
    try {
      if (scenario.failing?.includes(request.method)) throw new Error('The engine stopped while it worked on this.');
      post({ type: 'reply', id: request.id, ok: answer(request) });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      post({ type: 'reply', id: request.id, error: { code: 'preview', message, hint: 'Try again.' } });
    }
  }, 5);
}

const opened = baseState(model.facts);
/** Planning models of this size takes a while, and what is tested with them is the table. */
const isPlanned = model.facts.layers.length <= 2000;
state = scenario.state(isPlanned ? { ...opened, projection: projection(opened.settings as PruneSettings) } : opened);

const stored = 'espalier-preview';
Object.assign(window, {
  previewRequests: requests,
  previewState: () => state,
  previewPatch: patch,
  acquireVsCodeApi: () => ({
    postMessage: receive,
    getState: () => JSON.parse(sessionStorage.getItem(stored) ?? 'null') ?? undefined,
    setState: (value: unknown) => sessionStorage.setItem(stored, JSON.stringify(value)),
  }),
});
