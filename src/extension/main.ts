/** Puts the extension together. What it exports is for tests and for other extensions; it is small on purpose. */
import path from 'node:path';
import * as vscode from 'vscode';
import type { DeviceFacts } from '../protocol/facts';
import { type PruneSettings, settingsSchema } from '../protocol/recipe';
import { Actions } from './actions';
import { registerCommands } from './commands';
import { Comparisons } from './comparison';
import { editorViewType, ModelEditor } from './editor';
import { EngineClient } from './engineClient';
import { PruningPanel, panelViewId } from './panel';
import { RunActions } from './runActions';
import { registerRunCommands } from './runCommands';
import { RunStore } from './runs/store';
import { RunsView, runsViewId } from './runsView';
import type { Session } from './session';
import { SessionStore } from './sessionStore';
import { Sessions } from './sessions';
import { EngineStatus, followContext } from './status';

export interface EspalierApi {
  /** The session of a model that is open in an editor. */
  sessionFor(uri: vscode.Uri): Session | undefined;
  /** The model that commands without an argument mean. */
  activeSession(): Session | undefined;
  /** Process id of the engine; undefined while none runs. */
  enginePid(): number | undefined;
  readonly runs: RunStore;
  readonly runsView: RunsView;
}

export function activate(context: vscode.ExtensionContext): EspalierApi {
  const log = vscode.window.createOutputChannel('Espalier', { log: true });
  const status = new EngineStatus();
  const engine = new EngineClient({
    entry: path.join(context.extensionPath, 'dist', 'engine.js'),
    log: (line) => log.info(`[engine] ${line}`),
    onActivity: (activity) => status.show(activity),
    idleMs: () => configured<number>('engine.idleSeconds', 30) * 1000,
  });
  const storage = (context.storageUri ?? context.globalStorageUri).fsPath;
  const runs = new RunStore(path.join(storage, 'runs'), (line) => log.warn(line));
  const store = new SessionStore(context.workspaceState);

  const services = {
    engine,
    store,
    runs,
    log,
    defaults,
    devices: onceItWorks(() => engine.request('devices', {})),
  };
  const sessions = new Sessions(services, () => engine.hold());
  const comparisons = new Comparisons(engine, path.join(storage, 'comparisons'));
  const actions = new Actions(sessions, comparisons, context, log);
  const runActions = new RunActions(actions, sessions, runs);
  const editor = new ModelEditor(context.extensionUri, sessions, { actions, runActions }, log);
  const panel = new PruningPanel(context.extensionUri, sessions, { actions, runActions }, log);
  const runsView = new RunsView(runs);
  stopRuns = () => sessions.stopRuns();
  context.subscriptions.push(
    log,
    status,
    followContext(sessions),
    vscode.window.registerCustomEditorProvider(editorViewType, editor, { supportsMultipleEditorsPerDocument: true }),
    vscode.window.registerWebviewViewProvider(panelViewId, panel),
    runsView,
    vscode.window.registerTreeDataProvider(runsViewId, runsView),
    registerCommands({ actions, sessions, engine, log }),
    registerRunCommands(actions, runActions),
    sessions,
    engine,
  );
  return {
    sessionFor: (uri) => sessions.get(uri),
    activeSession: () => sessions.active,
    enginePid: () => engine.pid,
    runs,
    runsView,
  };
}

let stopRuns: () => Promise<void> = async () => undefined;

/** A training that goes on keeps where it is, for the next window to go on. */
export async function deactivate(): Promise<void> {
  await stopRuns();
}

function configured<T>(key: string, fallback: T): T {
  return vscode.workspace.getConfiguration('espalier').get<T>(key, fallback);
}

/** Settings of a model that is opened for the first time; the user's configuration may hold anything. */
function defaults(): PruneSettings {
  const base = { method: 'basis', target: { kind: 'macs', value: 0.7 } };
  const wished = { ...base, device: configured('device', 'cpu'), threads: configured('threads', 0) };
  const parsed = settingsSchema.safeParse(wished);
  return parsed.success ? parsed.data : settingsSchema.parse(base);
}

/** The devices of a machine stay the same: asks until there is an answer, then remembers it. */
function onceItWorks(ask: () => Promise<DeviceFacts[]>): () => Promise<DeviceFacts[]> {
  let answer: Promise<DeviceFacts[]> | undefined;
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = undefined;
      throw error;
    });
    return answer;
  };
}
