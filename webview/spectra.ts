/**
 * Spectra of the rows on screen, fetched when they come into view: in batches, visible rows first, at most two
 * requests under way. A row that scrolls away before its turn is not asked for.
 */
import type { Spectrum } from '../src/protocol/facts';

/** 'none': the layer has no matrix form. 'failed': the request was refused; `retry` asks again. */
export type SpectrumState = Spectrum | 'none' | 'failed' | 'loading';

const batchSize = 8;
const parallelRequests = 2;
/** Kept at most; 20,000 spectra of large layers would fill the memory. */
const capacity = 2000;

export class SpectraLoader {
  private readonly known = new Map<string, Spectrum | 'none' | 'failed'>();
  private readonly underWay = new Set<string>();
  private wanted: string[] = [];
  /** Asked for when nothing on screen waits. */
  private later: string[] = [];
  private requests = 0;
  /** Replies that belong to an earlier model are dropped. */
  private generation = 0;

  /**
   * @param fetch asks the host; layers without a matrix form are missing from the answer
   * @param changed called whenever `get` may answer differently
   */
  constructor(
    private readonly fetch: (layers: readonly string[]) => Promise<readonly Spectrum[]>,
    private readonly changed: () => void,
  ) {}

  get(layer: string): SpectrumState {
    return this.known.get(layer) ?? 'loading';
  }

  /** Replaces what is waited for, most urgent first. */
  want(layers: readonly string[]): void {
    this.wanted = layers.filter((layer) => !this.known.has(layer) && !this.underWay.has(layer));
    this.pump();
  }

  /** Replaces what is waited for after that. */
  wantLater(layers: readonly string[]): void {
    this.later = layers.filter((layer) => !this.known.has(layer) && !this.underWay.has(layer));
    this.pump();
  }

  retry(layer: string): void {
    this.known.delete(layer);
    this.wanted = [layer, ...this.wanted];
    this.changed();
    this.pump();
  }

  /** Forgets everything: another model, or the file changed. */
  clear(): void {
    this.generation++;
    this.known.clear();
    this.underWay.clear();
    this.wanted = [];
    this.later = [];
    this.requests = 0;
  }

  private pump(): void {
    while (this.requests < parallelRequests) {
      const batch = (this.wanted.length > 0 ? this.wanted : this.later).splice(0, batchSize);
      if (batch.length === 0) return;
      const asked = new Set(batch);
      this.later = this.later.filter((layer) => !asked.has(layer));
      for (const layer of batch) this.underWay.add(layer);
      this.requests++;
      void this.load(batch, this.generation);
    }
  }

  private async load(batch: readonly string[], generation: number): Promise<void> {
    let spectra: readonly Spectrum[] | null;
    try {
      spectra = await this.fetch(batch);
    } catch {
      // Shown in the row and in the detail, with a way to ask again.
      spectra = null;
    }
    if (generation !== this.generation) return;
    const found = new Map(spectra?.map((spectrum) => [spectrum.layer, spectrum]));
    for (const layer of batch) {
      this.underWay.delete(layer);
      this.known.set(layer, found.get(layer) ?? (spectra === null ? 'failed' : 'none'));
    }
    this.trim(new Set(batch));
    this.requests--;
    this.changed();
    this.pump();
  }

  /** Drops the oldest entries over capacity. */
  private trim(keep: ReadonlySet<string>): void {
    for (const layer of this.known.keys()) {
      if (this.known.size <= capacity) return;
      if (!keep.has(layer)) this.known.delete(layer);
    }
  }
}
