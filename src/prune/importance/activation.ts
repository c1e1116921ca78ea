/** I_c = √E[a²] over images and positions: how much of channel c there is on the data. */
import { type ImportanceRule, perChannel } from './source';

export const activation: ImportanceRule = (group, { statistics }) => {
  const scores = group.outputs.flatMap(({ axis }) => {
    const energies = statistics.energies?.get(axis.value);
    return energies ? [perChannel(energies, axis, group.channels).map(Math.sqrt)] : [];
  });
  return scores.length ? scores : 'their activations were not measured';
};
