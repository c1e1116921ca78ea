/** The importance of the selected layer's basis: one request at a time, the latest wish wins. */
import type { LayerDetail } from '../src/protocol/plan';

export class DetailLoader {
  private shown: LayerDetail | null = null;
  private failure: string | null = null;
  private wish: { layer: string; version: unknown } | null = null;
  private loaded: { layer: string; version: unknown } | null = null;
  private busy = false;

  /**
   * @param fetch asks the host
   * @param changed called whenever `get` may answer differently
   */
  constructor(
    private readonly fetch: (layer: string) => Promise<LayerDetail>,
    private readonly changed: () => void,
  ) {}

  /** The latest detail of the layer (perhaps of slightly older settings), its failure, or null while it loads. */
  get(layer: string): LayerDetail | { failure: string } | null {
    if (this.shown?.layer === layer) return this.shown;
    return this.failure !== null && this.loaded?.layer === layer ? { failure: this.failure } : null;
  }

  /** Asks for the layer unless it was asked for with the same `version` of the settings. */
  want(layer: string, version: unknown): void {
    this.wish = { layer, version };
    if (!this.busy) void this.load();
  }

  clear(): void {
    this.shown = null;
    this.failure = null;
    this.wish = null;
    this.loaded = null;
  }

  private async load(): Promise<void> {
    this.busy = true;
    while (
      this.wish !== null &&
      !(this.wish.layer === this.loaded?.layer && this.wish.version === this.loaded.version)
    ) {
      const wish = this.wish;
      try {
        const detail = await this.fetch(wish.layer);
        if (this.wish === null) break;
        this.shown = detail;
        this.failure = null;
      } catch (error) {
        if (this.wish === null) break;
        this.shown = null;
        this.failure = error instanceof Error ? error.message : String(error);
      }
      this.loaded = wish;
      this.changed();
    }
    this.busy = false;
  }
}
