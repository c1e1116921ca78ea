/**
 * A plan: what to do to a model, as plain data. Every pruning method ends in one, and only surgery carries it out.
 * It can be printed, stored in a recipe and replayed.
 */

export interface FactorizeCut {
  readonly kind: 'factorize';
  readonly layer: string;
  /** Kept rank per block (group), 1 ≤ rank ≤ full rank. */
  readonly rank: number;
  /** Which bases are kept, best first, `rank` of them; the first ones when absent. */
  readonly kept?: readonly number[];
  /** `recombined` multiplies the two factors back into one layer of the original shape. */
  readonly finish: 'two-layers' | 'recombined';
}

export interface RemoveChannelsCut {
  readonly kind: 'removeChannels';
  /** Name of a group of coupled channels. */
  readonly group: string;
  /** Numbers of the channels that go; at least one must stay. */
  readonly channels: readonly number[];
}

export type Cut = FactorizeCut | RemoveChannelsCut;

export interface Plan {
  readonly cuts: readonly Cut[];
}
