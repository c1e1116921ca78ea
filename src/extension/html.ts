/** The page of a webview: one bundle for both views, nothing but it may run, and nothing is fetched from elsewhere. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** Which of the two screens the bundle draws; also the page's title, which tests find the frame by. */
export const views = {
  editor: 'Espalier Model',
  panel: 'Espalier Pruning',
} as const;
export type ViewKind = keyof typeof views;

/** Folder that a webview may load from. */
export function webviewRoot(extensionUri: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extensionUri, 'dist');
}

export function webviewHtml(webview: vscode.Webview, extensionUri: vscode.Uri, view: ViewKind): string {
  const nonce = randomBytes(16).toString('base64');
  const script = webview.asWebviewUri(vscode.Uri.joinPath(webviewRoot(extensionUri), 'webview.js'));
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource} 'nonce-${nonce}'`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data: blob:`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${vscode.env.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${views[view]}</title>
</head>
<body data-view="${view}">
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}
