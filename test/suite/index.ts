/**
 * The test module that VS Code's extension host loads, in its server and on the desktop alike: runs every
 * `*.test.ts` beside it with Mocha. What happened goes to the file that `ESPALIER_TEST_RESULTS` names.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';
import type { SuiteResult } from '../harness/results';

/** @throws when a test failed, which is how the extension host learns of it */
export async function run(): Promise<void> {
  const mocha = new Mocha({ ui: 'bdd', timeout: 60_000, grep: process.env.ESPALIER_TEST_GREP });
  for (const name of readdirSync(__dirname).sort())
    if (name.endsWith('.test.js')) mocha.addFile(path.join(__dirname, name));

  const results: SuiteResult[] = [];
  const failures = await new Promise<number>((resolve) => {
    mocha
      .run(resolve)
      .on('pass', (test) => results.push({ title: test.fullTitle(), state: 'passed' }))
      .on('pending', (test) => results.push({ title: test.fullTitle(), state: 'skipped' }))
      .on('fail', (test, error) =>
        results.push({ title: test.fullTitle(), state: 'failed', error: error.stack ?? String(error) }),
      );
  });
  const file = process.env.ESPALIER_TEST_RESULTS;
  if (file) writeFileSync(file, JSON.stringify(results));
  if (failures > 0) throw new Error(`${failures} of ${results.length} failed`);
}
