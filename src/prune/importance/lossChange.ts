/**
 * I_c = mean of (Σ a·∂L/∂a)² over the positions of channel c: what the loss would change by without it, to first order.
 * Squared for each batch (Taylor) or each image (Fisher). Molchanov et al., 2019 (arXiv 1906.10771).
 */
import { type ImportanceRule, perChannel } from './source';

export const lossChange =
  (kind: 'taylor' | 'fisher'): ImportanceRule =>
  (group, { statistics }) => {
    const scores = group.outputs.flatMap(({ axis }) => {
      const found = statistics.lossChanges?.get(axis.value);
      return found ? [perChannel(found[kind], axis, group.channels)] : [];
    });
    return scores.length ? scores : 'the change of the loss was not measured';
  };
