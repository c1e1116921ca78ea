/**
 * `npm test -- host`: the suite inside the extension host of VS Code's server. The workbench's own browser tests start
 * theirs in the same way: a payload in the address names extension and test module, and two functions on the page hear
 * about output and the end.
 */
import path from 'node:path';
import { format } from 'node:util';
import { root } from '../../scripts/paths.mjs';
import { type Server, startServer } from '../../scripts/server.mjs';
import { freshResultsFile, reportResults } from './results';
import { copyOfSample } from './sample';
import { launchBrowser } from './workbench';

const patience = 8 * 60_000;

async function main(): Promise<boolean> {
  const results = freshResultsFile(path.join(root, 'out/results/host.json'));
  const server = await startServer({
    extension: 'none',
    development: true,
    env: { ESPALIER_TEST_RESULTS: results },
  });
  const browser = await launchBrowser();
  const sample = copyOfSample();
  try {
    const page = await browser.newPage();
    const output: string[] = [];
    const ended = new Promise<number>((resolve, reject) => {
      setTimeout(
        () => reject(new Error(`no end after ${patience / 1000} s:\n${output.join('\n')}\n${server.log()}`)),
        patience,
      ).unref();
      page.exposeFunction('codeAutomationLog', (type: string, values: unknown[]) => {
        output.push(`[${type}] ${format(...values)}`);
      });
      page.exposeFunction('codeAutomationExit', resolve);
    });
    await page.goto(server.address(sample.folder, { payload: payload(server) }));
    const code = await ended;
    const good = reportResults(results) && code === 0;
    if (!good) console.log(`\nConsole of the extension host:\n${output.join('\n')}`);
    return good;
  } finally {
    await browser.close();
    await server.stop();
    sample.remove();
  }
}

function payload(server: Server): string {
  const remote = (file: string) => `vscode-remote://${server.host}${path.posix.join('/', file.replaceAll('\\', '/'))}`;
  return JSON.stringify([
    ['extensionDevelopmentPath', remote(root)],
    ['extensionTestsPath', remote(path.join(root, 'out/test/suite/index'))],
  ]);
}

main().then(
  (good) => process.exit(good ? 0 : 1),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
