/**
 * One view's window on the open model: the host's state with the user's unanswered changes laid over it, so that a
 * control never jumps back while the host works. Changes are sent at most once per animation frame and one at a time;
 * what happens meanwhile is merged into the next.
 */
import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { ErrorInfo } from '../src/errors';
import type { GroupDetail, LayerDetail } from '../src/protocol/plan';
import type { GroupOverride, LayerOverride, PruneSettings } from '../src/protocol/recipe';
import type { RemovableSetting, SessionState, ViewMethod } from '../src/protocol/view';
import { Client, type HostApi, RequestError, type ViewParams } from './client';
import { DetailLoader } from './details';
import { PersistedUi } from './persisted';
import { SpectraLoader } from './spectra';
import { applyPatch, changedSettings, initialState, mergeChanges, type SettingsChange, withOverride } from './state';
import { strings } from './strings';

/** How long to wait for the settings' state patch when the host's reply came first. */
const patchGraceMs = 500;

export interface SessionOptions {
  readonly host: HostApi;
  /** Where messages of the host arrive. */
  readonly messages: EventTarget;
  /** Runs a callback before the next frame. */
  readonly nextFrame: (callback: () => void) => void;
}

export class Session {
  readonly client: Client;
  readonly ui: PersistedUi;
  readonly spectra: SpectraLoader;
  readonly details: DetailLoader<LayerDetail>;
  readonly groups: DetailLoader<GroupDetail>;
  /** True from the first transient change of a drag to its end; rows keep their order meanwhile. */
  dragging = false;
  /** Whether the host has answered `ready`. */
  connected = false;

  private host: SessionState = initialState;
  private problem: ErrorInfo | null = null;
  /** Not yet taken over by the host: laid over its settings. */
  private drafts: SettingsChange | null = null;
  private pending: SettingsChange | null = null;
  private sending = false;
  private frameRequested = false;
  private settingsPatched = false;
  private shown: SessionState = initialState;
  private selection: { layer: string | null } | null = null;
  private selecting = false;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly options: SessionOptions) {
    this.client = new Client(options.host, options.messages, (patch) => this.patch(patch));
    this.ui = new PersistedUi(options.host, () => this.notify());
    this.spectra = new SpectraLoader(
      (layers) => this.client.request('spectra', { layers }),
      () => this.notify(),
    );
    this.details = new DetailLoader(
      (layer) => this.client.request('detail', { layer }),
      () => this.notify(),
    );
    this.groups = new DetailLoader(
      (group) => this.client.request('group', { group }),
      () => this.notify(),
    );
  }

  /** Asks for the whole state; also selects the layer that was selected before a reload. */
  async start(): Promise<void> {
    try {
      const state = await this.client.request('ready', {});
      this.connected = true;
      this.patch(state);
      const { selectedLayer } = this.ui.value;
      if (this.host.selectedLayer === null && selectedLayer !== null) this.select(selectedLayer);
    } catch (error) {
      this.fail(error);
    }
  }

  /** The state to draw. */
  get state(): SessionState {
    return this.shown;
  }

  /** What went wrong last, here or on the host; null after it was dismissed. */
  get error(): ErrorInfo | null {
    return this.problem ?? this.host.error;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  change(
    settings: Partial<PruneSettings>,
    { transient = false, remove = [] }: { transient?: boolean; remove?: readonly RemovableSetting[] } = {},
  ): void {
    const change: SettingsChange = { settings, remove, transient };
    // A finished step must reach the host as its own undo step before a new drag begins.
    if (transient && this.pending !== null && !this.pending.transient) void this.send();
    this.pending = this.pending === null ? change : mergeChanges(this.pending, change);
    this.drafts = this.drafts === null ? change : mergeChanges(this.drafts, change);
    this.dragging = transient;
    this.refresh();
    this.schedule();
  }

  /** Replaces the override of one layer; null returns it to the plan. */
  override(layer: string, override: Omit<LayerOverride, 'match'> | null, transient = false): void {
    const { settings } = this.shown;
    if (settings === null) return;
    this.change({ layers: withOverride(settings.layers, layer, override) }, { transient });
  }

  /** Replaces the override of one group of coupled channels; null returns it to the plan. */
  overrideGroup(group: string, override: Omit<GroupOverride, 'match'> | null, transient = false): void {
    const { settings } = this.shown;
    if (settings === null) return;
    this.change({ groups: withOverride(settings.groups, group, override) }, { transient });
  }

  select(layer: string | null): void {
    this.ui.remember({ selectedLayer: layer });
    this.selection = { layer };
    this.refresh();
    if (!this.selecting) void this.sendSelection();
  }

  /** A request whose answer is a state patch; a refusal is shown. Resolves to whether it was done. */
  async act<M extends ViewMethod>(method: M, params: ViewParams<M>): Promise<boolean> {
    try {
      await this.client.request(method, params);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  dismissError(): void {
    this.problem = null;
    if (this.host.error !== null) void this.act('dismissError', {});
    this.notify();
  }

  dispose(): void {
    this.listeners.clear();
    this.client.dispose();
  }

  private patch(patch: Partial<SessionState>): void {
    const before = this.host;
    this.host = applyPatch(before, patch);
    if (patch.settings !== undefined) this.settingsPatched = true;
    if (isOtherModel(before, this.host)) {
      this.spectra.clear();
      this.details.clear();
      this.groups.clear();
    }
    if (this.drafts !== null && this.pending === null && !this.sending && this.settingsPatched) this.drafts = null;
    this.refresh();
  }

  private schedule(): void {
    if (this.frameRequested || this.sending) return;
    this.frameRequested = true;
    this.options.nextFrame(() => {
      this.frameRequested = false;
      if (this.pending !== null && !this.sending) void this.send();
    });
  }

  private async send(): Promise<void> {
    const change = this.pending;
    if (change === null) return;
    this.pending = null;
    this.sending = true;
    this.settingsPatched = false;
    const { settings, remove, transient } = change;
    try {
      await this.client.request('change', {
        settings,
        ...(remove.length === 0 ? null : { remove }),
        ...(transient ? { transient } : null),
      });
    } catch (error) {
      this.drafts = this.pending;
      this.problem = problemOf(error);
      this.refresh();
    }
    this.sending = false;
    if (this.pending !== null) this.schedule();
    else this.settle();
  }

  /** All changes are answered: the host's settings rule again, once they are here. */
  private settle(): void {
    const drafts = this.drafts;
    if (drafts === null) return;
    if (this.settingsPatched) {
      this.drafts = null;
      this.refresh();
      return;
    }
    setTimeout(() => {
      if (this.drafts !== drafts) return;
      this.drafts = null;
      this.refresh();
    }, patchGraceMs);
  }

  private async sendSelection(): Promise<void> {
    this.selecting = true;
    while (this.selection !== null) {
      const selection: { layer: string | null } = this.selection;
      try {
        await this.client.request('select', { layer: selection.layer });
        // The host's own word counts from here on; it may know better (the layer is gone).
        this.host = { ...this.host, selectedLayer: selection.layer };
      } catch (error) {
        this.problem = problemOf(error);
      }
      if (this.selection === selection) this.selection = null;
    }
    this.selecting = false;
    this.refresh();
  }

  private refresh(): void {
    const { host, drafts, selection } = this;
    const settings = host.settings === null || drafts === null ? host.settings : changedSettings(host.settings, drafts);
    const wanted = selection === null ? host.selectedLayer : selection.layer;
    const exists = wanted !== null && host.facts?.layers.some((layer) => layer.name === wanted) === true;
    this.shown = { ...host, settings, selectedLayer: exists ? wanted : null };
    this.notify();
  }

  private fail(error: unknown): void {
    this.problem = problemOf(error);
    this.notify();
  }

  private notify(): void {
    for (const listener of this.listeners) listener();
  }
}

/** Redraws its element whenever the session changes. */
export class SessionController implements ReactiveController {
  private unsubscribe: (() => void) | null = null;

  constructor(
    private readonly element: ReactiveControllerHost,
    private readonly session: () => Session,
  ) {
    element.addController(this);
  }

  hostConnected(): void {
    this.unsubscribe = this.session().subscribe(() => this.element.requestUpdate());
  }

  hostDisconnected(): void {
    this.unsubscribe?.();
  }
}

function problemOf(error: unknown): ErrorInfo {
  if (error instanceof RequestError) return error.info;
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unexpected', message, hint: strings.errors.unexpectedHint };
}

function isOtherModel(before: SessionState, after: SessionState): boolean {
  if (before.facts === after.facts) return false;
  if (after.facts === null || before.facts === null) return true;
  return before.facts.path !== after.facts.path || before.facts.fileBytes !== after.facts.fileBytes;
}
