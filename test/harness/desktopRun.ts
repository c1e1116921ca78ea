/**
 * `npm run test:desktop`: the same suite in a desktop VS Code, the one that `VSCODE_EXECUTABLE_PATH` names or one that
 * `@vscode/test-electron` downloads.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runTests } from '@vscode/test-electron';
import { root } from '../../scripts/paths.mjs';
import { freshResultsFile, reportResults } from './results';
import { copyOfSample } from './sample';

async function main(): Promise<boolean> {
  const results = freshResultsFile(path.join(root, 'out/results/desktop.json'));
  const sample = copyOfSample();
  // Short, because the paths of VS Code's sockets have a limit of about 100 characters.
  const profile = mkdtempSync(path.join(tmpdir(), 'esp-'));
  try {
    const code = await runTests({
      vscodeExecutablePath: process.env.VSCODE_EXECUTABLE_PATH || undefined,
      extensionDevelopmentPath: root,
      extensionTestsPath: path.join(root, 'out/test/suite/index'),
      extensionTestsEnv: { ESPALIER_TEST_RESULTS: results },
      launchArgs: [
        sample.folder,
        '--disable-extensions',
        '--disable-workspace-trust',
        `--user-data-dir=${profile}`,
        // Chromium's sandbox refuses root, which is what containers run as.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ],
    }).catch((error) => {
      console.error(error);
      return 1;
    });
    return reportResults(results) && code === 0;
  } finally {
    rmSync(profile, { recursive: true, force: true });
    sample.remove();
  }
}

main().then((good) => process.exit(good ? 0 : 1));
