/**
 * The files of one run: `run.json` with what lists show, `result.json` once it is done, the curve and the checkpoint
 * of its training, and a folder with the candidate. Whatever is read back is checked field by field: the folder may be
 * damaged, from another version, or written by someone else.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { textFile, writeFiles } from '../../atomic';
import type { ErrorInfo } from '../../errors';
import type { LayerAction, RunResult } from '../../protocol/plan';
import { type PruneSettings, settingsSchema } from '../../protocol/recipe';
import { CHECKPOINT_NAME, STAGES_MARK, stagesOf } from '../../protocol/runFolder';
import type { RecordedState } from '../../protocol/runs';
import { fromText, toText } from '../stored';

/** What `run.json` holds. */
export interface StoredRun {
  readonly version: 1;
  /** Absolute path. */
  readonly model: string;
  readonly settings: PruneSettings;
  readonly startedAt: number;
  readonly seconds: number | null;
  readonly state: RecordedState;
  readonly figures: RunFigures | null;
  readonly savedAs: string | null;
  readonly message: string | null;
  readonly error: ErrorInfo | null;
  /** Of the whole training, once it has begun. */
  readonly training: { readonly steps: number; readonly epochs: number } | null;
  /** The process that works on it, and when it last said so. */
  readonly owner: number;
  readonly updatedAt: number;
}

/** Of a run that is done: what lists show without reading the result. */
export interface RunFigures {
  readonly macsShare: number | null;
  readonly paramsShare: number | null;
  readonly accuracy: number | null;
  readonly accuracyBefore: number | null;
  readonly speedup: number | null;
}

/** Larger files are not ours. Bytes. */
const LIMIT = 256 * 2 ** 20;

const text = z.string().max(100_000);
const share = z.number().min(0).max(1);
const amount = z.number().min(0);
const errorSchema = z.object({ code: text, message: text, hint: text });

const runSchema: z.ZodType<StoredRun> = z.object({
  version: z.literal(1),
  model: z.string().min(1).max(32_768).refine(path.isAbsolute),
  settings: settingsSchema,
  startedAt: amount,
  seconds: amount.nullable(),
  state: z.enum(['running', 'paused', 'stopped', 'done', 'failed']),
  figures: z
    .object({
      macsShare: amount.nullable(),
      paramsShare: amount.nullable(),
      accuracy: share.nullable(),
      accuracyBefore: share.nullable(),
      speedup: amount.nullable(),
    })
    .nullable(),
  savedAs: z.string().min(1).max(32_768).refine(path.isAbsolute).nullable(),
  message: text.nullable(),
  error: errorSchema.nullable(),
  training: z.object({ steps: z.int().min(1), epochs: z.int().min(1) }).nullable(),
  owner: z.int(),
  updatedAt: amount,
});

const accuracySchema = z.looseObject({
  images: amount,
  skipped: z.looseObject({ count: amount, names: z.array(text) }),
  accuracy: share.nullable(),
  top5: share.nullable(),
  confidence: z.tuple([z.number(), z.number()]).nullable(),
  loss: z.number().nullable(),
  classes: z.array(text),
  confusion: z.instanceof(Uint32Array),
  device: text,
  preprocessing: text,
  warning: text.nullable(),
});

const latencySchema = z.looseObject({
  median: amount,
  iqr: amount,
  batch: amount,
  repetitions: amount,
  device: text,
  threads: amount,
});

const sideSchema = z.looseObject({
  params: amount,
  macs: amount.nullable(),
  bytes: amount,
  fileBytes: amount,
  accuracy: accuracySchema.nullable(),
  latency: latencySchema.nullable(),
});

const actions = { keep: 'keep', factorize: 'factorize', narrow: 'narrow' } as const satisfies Record<
  LayerAction,
  LayerAction
>;

/** Loose where a later version may say more. */
const resultSchema: z.ZodType<RunResult> = z.looseObject({
  id: text,
  model: text,
  candidate: text,
  before: sideSchema,
  after: sideSchema,
  layers: z.array(
    z.looseObject({
      layer: text,
      action: z.enum(actions),
      reason: text.nullable(),
      rank: amount,
      params: amount,
      macs: amount.nullable(),
      bytes: amount,
      error: z.number(),
    }),
  ),
  layerLatency: z.array(z.looseObject({ layer: text, before: amount.nullable(), after: amount.nullable() })),
  speedup: amount.nullable(),
  speedupNote: text.nullable(),
  verification: z.array(z.looseObject({ name: text, passed: z.boolean(), detail: text })),
  training: z
    .looseObject({
      losses: z.array(z.number()),
      epochs: z.array(z.looseObject({ loss: z.number(), accuracy: share.nullable() })),
      untrained: share.nullable(),
      seconds: amount,
      imagesPerSecond: amount,
      trainedParams: amount,
    })
    .optional(),
  seconds: amount,
  device: text,
  warnings: z.array(text),
});

/** The places in a run's folder. */
export function runFiles(folder: string): Readonly<Record<'record' | 'result' | 'curve' | 'checkpoint', string>> {
  const at = (name: string) => path.join(folder, name);
  return {
    record: at('run.json'),
    result: at('result.json'),
    curve: at('curve.f64'),
    checkpoint: at(CHECKPOINT_NAME),
  };
}

/** Whether a training that stopped has left something to go on from: its checkpoint, or a stage of the run before it. */
export function hasCheckpoint(folder: string): boolean {
  const { checkpoint } = runFiles(folder);
  return existsSync(checkpoint) || existsSync(path.join(stagesOf(checkpoint), STAGES_MARK));
}

/** null when there is none, or none that can be read. */
export function readRun(folder: string): StoredRun | null {
  const parsed = runSchema.safeParse(readJson(runFiles(folder).record));
  return parsed.success ? parsed.data : null;
}

export function writeRun(folder: string, run: StoredRun): void {
  writeFiles([textFile(runFiles(folder).record, toText(run))], { overwrite: true });
}

/** null when there is none, or none that can be read, or one whose candidate lies elsewhere or is gone. */
export function readResult(folder: string): RunResult | null {
  const parsed = resultSchema.safeParse(readJson(runFiles(folder).result));
  if (!parsed.success || !isFileInside(folder, parsed.data.candidate)) return null;
  return parsed.data;
}

export function writeResult(folder: string, result: RunResult): void {
  writeFiles([textFile(runFiles(folder).result, toText(result))], { overwrite: true });
}

export function figuresOf({ before, after, speedup }: RunResult): RunFigures {
  const ratio = (a: number | null, b: number | null) => (a === null || b === null || b === 0 ? null : a / b);
  return {
    macsShare: ratio(after.macs, before.macs),
    paramsShare: ratio(after.params, before.params),
    accuracy: after.accuracy?.accuracy ?? null,
    accuracyBefore: before.accuracy?.accuracy ?? null,
    speedup,
  };
}

function isFileInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  if (relative.startsWith('..') || path.isAbsolute(relative)) return false;
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

function readJson(file: string): unknown {
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  return size === undefined || size > LIMIT ? null : fromText(readFileSync(file, 'utf8'));
}
