/** What sets methods apart, for the engine and the form alike. */
import type { PruneSettings } from '../protocol/recipe';

type Method = Pick<PruneSettings, 'method'>;

/** Methods that change the model by training alone have no target: nothing says how much of it stays. */
export function hasTarget({ method }: Method): boolean {
  return method !== 'fine-tune' && method !== 'gsm';
}

/** Whether a method can prune to a target of this kind. */
export function takesTarget({ method }: Method, kind: string): boolean {
  return method !== 'resrep' || kind === 'macs' || kind === 'latency' || kind === 'milliseconds';
}

/** Whether weights decay to zero while the model trains; with a ticket the zeros are there from the start. */
export function trainsSparsely({ method, gsm }: Method & { readonly gsm: { readonly ticket?: string } }): boolean {
  return method === 'gsm' && gsm.ticket === undefined;
}
