/** What the user set up in a view (sort, filter, tab, scroll …), kept by VS Code across hiding and reloading. */
import type { HostApi } from './client';
import type { SortOrder } from './layers';

export interface UiState {
  readonly view: 'layers' | 'results' | 'runs';
  readonly filter: string;
  /** Operator to show; '' for all. */
  readonly operator: string;
  readonly sort: SortOrder | null;
  /** First visible pixel of the layer table. */
  readonly scrollTop: number;
  readonly detailTab: 'spectrum' | 'importance' | 'table';
  /** The same, where channels are removed. */
  readonly channelTab: 'channels' | UiState['detailTab'];
  /** Channels by importance instead of in the network's order. */
  readonly channelsSorted: boolean;
  readonly scale: 'log' | 'linear';
  /** Axis of the training's loss. */
  readonly lossScale: 'log' | 'linear';
  readonly overviewMetric: 'macs' | 'params' | 'bytes' | 'rank' | 'importance' | 'sensitivity';
  readonly overviewOpen: boolean;
  readonly selectedLayer: string | null;
  /** Sections of the side panel that are folded. */
  readonly folded: readonly string[];
}

export const initialUi: UiState = {
  view: 'layers',
  filter: '',
  operator: '',
  sort: null,
  scrollTop: 0,
  detailTab: 'spectrum',
  channelTab: 'channels',
  channelsSorted: false,
  scale: 'log',
  lossScale: 'log',
  overviewMetric: 'macs',
  overviewOpen: true,
  selectedLayer: null,
  folded: ['options', 'machine'],
};

export class PersistedUi {
  private ui: UiState;

  constructor(
    private readonly host: Pick<HostApi, 'getState' | 'setState'>,
    private readonly changed: () => void,
  ) {
    const stored = host.getState();
    this.ui = { ...initialUi, ...(typeof stored === 'object' ? stored : null) };
  }

  get value(): UiState {
    return this.ui;
  }

  update(change: Partial<UiState>): void {
    this.remember(change);
    this.changed();
  }

  /** Keeps a value that is not drawn from here (a scroll position), so that nothing needs drawing again. */
  remember(change: Partial<UiState>): void {
    this.ui = { ...this.ui, ...change };
    this.host.setState(this.ui);
  }
}
