/** What sets methods apart, for the engine and the form alike. */
import type { LayerOverride, PruneSettings } from '../protocol/recipe';

type Method = Pick<PruneSettings, 'method'>;
type MethodAndTicket = Method & { readonly gsm: { readonly ticket?: string } };

/** Methods that change the model by training alone have no target: nothing says how much of it stays. */
export function hasTarget({ method }: Method): boolean {
  return method !== 'fine-tune' && method !== 'gsm';
}

/** Whether a method can prune to a target of this kind. */
export function takesTarget({ method }: Method, kind: string): boolean {
  return method !== 'resrep' || kind === 'macs' || kind === 'latency' || kind === 'milliseconds';
}

/** Whether weights decay to zero while the model trains; with a ticket the zeros are there from the start. */
export function trainsSparsely({ method, gsm }: MethodAndTicket): boolean {
  return method === 'gsm' && gsm.ticket === undefined;
}

/** Whether the ranks set for layers are read. */
export function usesRanks({ method }: Method): boolean {
  return method === 'basis' || method === 'double';
}

/** Whether layers that are to be left as they are (`layers[].keep`) are. */
export function usesLocks(settings: MethodAndTicket): boolean {
  return usesRanks(settings) || trainsSparsely(settings);
}

/** Whether what is set for groups of coupled channels is read. */
export function usesGroups({ method }: Method): boolean {
  return method === 'channel' || method === 'double' || method === 'resrep';
}

/** Whether layers that match `protect` are left alone. */
export function usesProtect(settings: MethodAndTicket): boolean {
  return usesLocks(settings) || usesGroups(settings);
}

/** What is set for layers, as far as the method reads it. */
export function usedOverrides(settings: PruneSettings): readonly LayerOverride[] {
  if (usesRanks(settings)) return settings.layers;
  return usesLocks(settings) ? settings.layers.filter(({ keep }) => keep !== undefined) : [];
}
