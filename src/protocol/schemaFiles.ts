/** The JSON schemas of files that users write, made from their validation, and the presets: see `npm run schemas`. */
import { z } from 'zod';
import { presets } from './presets';
import { datasetSchema, recipeSchema } from './recipe';

/** File name in `schemas/` → its text. They describe what may be written, so keys with a default are optional. */
export function schemaFiles(): Readonly<Record<string, string>> {
  return {
    'prune.schema.json': text('Espalier recipe', recipeSchema),
    'dataset.schema.json': text('Espalier dataset', datasetSchema),
    'presets.json': `${JSON.stringify(presets, null, 2)}\n`,
  };
}

function text(title: string, schema: z.ZodType): string {
  // VS Code's JSON language knows draft 7 completely.
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}
