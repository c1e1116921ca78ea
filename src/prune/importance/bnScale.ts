/**
 * I_c = |γ_c| of the normalizations that scale channel c: small where training with a penalty on γ has found it of little
 * use. Liu et al., 2017 (network slimming, arXiv 1708.06519).
 */
import { type ImportanceRule, perChannel, vectorOf } from './source';

export const bnScale: ImportanceRule = (group, source) => {
  const scores = group.scales.flatMap((axis) => {
    const gamma = vectorOf(source, axis);
    return gamma ? [perChannel(gamma.map(Math.abs), axis, group.channels)] : [];
  });
  return scores.length ? scores : 'no normalization scales them';
};
