/** The importance of what is selected, a layer's bases or a group's channels: one request at a time, the latest wish wins. */

/** What is asked for, by name. */
interface Wish {
  readonly name: string;
  /** Of the settings. */
  readonly version: unknown;
}

export class DetailLoader<Detail extends object> {
  private shown: { readonly name: string; readonly detail: Detail } | null = null;
  private failure: string | null = null;
  private wish: Wish | null = null;
  private loaded: Wish | null = null;
  private busy = false;

  /**
   * @param fetch asks the host
   * @param changed called whenever `get` may answer differently
   */
  constructor(
    private readonly fetch: (name: string) => Promise<Detail>,
    private readonly changed: () => void,
  ) {}

  /** The latest detail of this name (perhaps of slightly older settings), its failure, or null while it loads. */
  get(name: string): Detail | { failure: string } | null {
    if (this.shown?.name === name) return this.shown.detail;
    return this.failure !== null && this.loaded?.name === name ? { failure: this.failure } : null;
  }

  /** Asks for it unless it was asked for with the same `version` of the settings. */
  want(name: string, version: unknown): void {
    this.wish = { name, version };
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
    while (this.wish !== null && !(this.wish.name === this.loaded?.name && this.wish.version === this.loaded.version)) {
      const wish: Wish = this.wish;
      try {
        const detail = await this.fetch(wish.name);
        if (this.wish === null) break;
        this.shown = { name: wish.name, detail };
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
