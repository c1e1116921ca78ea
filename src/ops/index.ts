/** What Espalier knows about operators, by ONNX operator type. An operator that is not here simply passes through. */
import * as activation from './activation';
import * as arithmetic from './arithmetic';
import * as constant from './constant';
import { Conv, ConvInteger, ConvTranspose, QLinearConv } from './convolution';
import { Einsum } from './einsum';
import { Gemm, MatMul, MatMulInteger, QLinearMatMul } from './linear';
import * as movement from './movement';
import * as normalization from './normalization';
import type { OpDef } from './op';
import * as pooling from './pooling';
import * as reduction from './reduction';
import { Resize, Upsample } from './resize';
import * as settings from './settings';

const table = {
  ...activation,
  ...arithmetic,
  ...constant,
  ...movement,
  ...normalization,
  ...pooling,
  ...reduction,
  ...settings,
  Conv,
  ConvInteger,
  ConvTranspose,
  QLinearConv,
  Einsum,
  Gemm,
  MatMul,
  MatMulInteger,
  QLinearMatMul,
  Resize,
  Upsample,
} satisfies Record<string, OpDef>;

/** The rules of a standard-domain operator, if Espalier has any. */
export function opDef(opType: string, domain = ''): OpDef | undefined {
  if (domain !== '' && domain !== 'ai.onnx') return undefined;
  return Object.hasOwn(table, opType) ? table[opType as keyof typeof table] : undefined;
}
