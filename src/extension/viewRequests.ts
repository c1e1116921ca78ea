/**
 * The border between webviews and host: every message of a webview is untrusted data until its method is known and
 * its parameters have the shape `ViewMethods` promises.
 */
import { z } from 'zod';
import { viewRequestInvalid } from '../errors';
import { type PruneSettings, settingsSchema } from '../protocol/recipe';
import type { ViewMethod, ViewMethods, ViewRequest } from '../protocol/view';

const none = z.object({}).strict();
const runId = z.object({ id: z.string().min(1).max(256) }).strict();
const layerName = z.string().min(1).max(4096);
const shapesSchema = z.record(z.string(), z.array(z.int().min(1)).max(16));

/** Only the keys that were sent: a partial schema fills in the defaults of the others. */
const settingsPatchSchema = z.record(z.string(), z.unknown()).transform((sent, context): Partial<PruneSettings> => {
  const parsed = settingsSchema.partial().safeParse(sent);
  if (parsed.success) return Object.fromEntries(Object.entries(parsed.data).filter(([key]) => key in sent));
  for (const { message, path } of parsed.error.issues) context.addIssue({ code: 'custom', message, path });
  return z.NEVER;
});

const schemas: { readonly [M in ViewMethod]: z.ZodType<Parameters<ViewMethods[M]>[0]> } = {
  ready: none,
  spectra: z.object({ layers: z.array(layerName).max(10_000) }).strict(),
  detail: z.object({ layer: layerName }).strict(),
  group: z.object({ group: layerName }).strict(),
  change: z
    .object({
      settings: settingsPatchSchema,
      remove: z.array(z.enum(['data', 'shapes', 'training', 'transfer'])).optional(),
      transient: z.boolean().optional(),
    })
    .strict(),
  select: z.object({ layer: layerName.nullable() }).strict(),
  undo: none,
  redo: none,
  chooseData: z.object({ role: z.enum(['data', 'evaluation']).optional() }).strict(),
  setShapes: z.object({ shapes: shapesSchema }).strict(),
  run: none,
  cancel: none,
  pause: z.object({ paused: z.boolean() }).strict(),
  resumeRun: runId,
  openRun: runId,
  useRunSettings: runId,
  saveRun: runId,
  deleteRun: runId,
  estimateTraining: none,
  measureSensitivity: none,
  cancelSensitivity: none,
  save: none,
  dismissError: none,
  export: z
    .object({
      kind: z.enum(['svg', 'csv']),
      name: z.string().min(1).max(1024),
      text: z.string().max(64 * 2 ** 20),
      to: z.enum(['clipboard', 'file']),
    })
    .strict(),
  openModel: none,
};

const envelopeSchema = z.object({ id: z.int(), method: z.string().max(64), params: z.unknown() }).strict();

/** The id to answer to, when the message has one. */
export function requestId(message: unknown): number | null {
  const parsed = z.object({ id: z.int() }).safeParse(message);
  return parsed.success ? parsed.data.id : null;
}

/** @throws UserError `view-request-invalid` naming the method and the first thing wrong with it */
export function parseViewRequest(message: unknown): ViewRequest {
  const envelope = envelopeSchema.safeParse(message);
  if (!envelope.success) throw viewRequestInvalid({ method: '(none)', reason: firstIssue(envelope.error) });
  const { id, method, params } = envelope.data;
  if (!Object.hasOwn(schemas, method)) throw viewRequestInvalid({ method, reason: 'there is no such method' });
  const known = method as ViewMethod;
  const parsed = schemas[known].safeParse(params);
  if (!parsed.success) throw viewRequestInvalid({ method, reason: firstIssue(parsed.error) });
  return { id, method: known, params: parsed.data };
}

function firstIssue(error: z.ZodError): string {
  const [{ message, path }] = error.issues;
  return path.length > 0 ? `${message} at '${path.join('.')}'` : message;
}
