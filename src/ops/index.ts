/** What Espalier knows about operators, by ONNX operator type. An operator that is not here simply passes through. */
import { Conv, ConvInteger, ConvTranspose, QLinearConv } from './convolution';
import { Gemm, MatMul, MatMulInteger, QLinearMatMul } from './linear';
import type { OpDef } from './op';
import * as settings from './settings';

const table = {
  ...settings,
  Conv,
  ConvInteger,
  ConvTranspose,
  QLinearConv,
  Gemm,
  MatMul,
  MatMulInteger,
  QLinearMatMul,
} satisfies Record<string, OpDef>;

/** The rules of a standard-domain operator, if Espalier has any. */
export function opDef(opType: string, domain = ''): OpDef | undefined {
  if (domain !== '' && domain !== 'ai.onnx') return undefined;
  return Object.hasOwn(table, opType) ? table[opType as keyof typeof table] : undefined;
}
