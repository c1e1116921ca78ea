import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { schemaFiles } from '../../src/protocol/schemaFiles';

test('schemas/ holds what the validation says; `npm run schemas` brings it up to date', () => {
  const folder = path.resolve(__dirname, '../../schemas');
  const committed = Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]),
  );
  expect(committed).toEqual(schemaFiles());
});
