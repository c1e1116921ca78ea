/**
 * Serves the views on a loopback port under the content security policy they have in VS Code, with the preview's host
 * in place of the extension. Nothing of it ships.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(__dirname, '../../..');
const nonce = 'preview';

/** As the extension's page has it; `'self'` stands for the webview's own origin. */
const policy = [
  "default-src 'none'",
  `script-src 'nonce-${nonce}'`,
  `style-src 'self' 'nonce-${nonce}'`,
  "font-src 'self'",
  "img-src 'self' data: blob:",
].join('; ');

const page = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>Espalier preview</title>
<link rel="icon" href="data:,">
</head>
<body>
<script nonce="${nonce}" src="/host.js"></script>
<script nonce="${nonce}" src="/webview.js"></script>
</body>
</html>`;

export interface Preview {
  /** e.g. `{ view: 'editor', layers: 20, scenario: 'ready', theme: 'dark' }` → the page's address. */
  address(query: Readonly<Record<string, string | number>>): string;
  close(): Promise<void>;
}

export async function startPreview(): Promise<Preview> {
  const scripts = new Map<string, string>();
  for (const [name, entry] of [
    ['/webview.js', 'webview/main.ts'],
    ['/host.js', 'test/webview/preview/host.ts'],
  ]) {
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: 'iife',
      platform: 'browser',
      target: 'es2022',
    });
    scripts.set(name, outputFiles[0].text);
  }
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const script = scripts.get(pathname);
    response.setHeader('Content-Type', `${script === undefined ? 'text/html' : 'text/javascript'}; charset=utf-8`);
    response.end(script ?? page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: (query) =>
      `http://127.0.0.1:${port}/?${new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
