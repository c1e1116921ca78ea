/** Entry of both webviews: `<body data-view="editor">` or `<body data-view="panel">` says which one this is. */
import './views/editor';
import './views/panel';
import type { HostApi } from './client';
import { Session } from './session';
import { documentStyles } from './styles';

declare function acquireVsCodeApi(): HostApi;

const elements = { editor: 'espalier-editor', panel: 'espalier-panel' } as const;

function mount(): void {
  const view = document.body.dataset.view;
  if (view !== 'editor' && view !== 'panel') throw new Error(`Unknown view: ${view}`);
  if (documentStyles.styleSheet !== undefined) document.adoptedStyleSheets.push(documentStyles.styleSheet);
  const session = new Session({
    host: acquireVsCodeApi(),
    messages: window,
    nextFrame: (callback) => requestAnimationFrame(callback),
  });
  const element = Object.assign(document.createElement(elements[view]), { session });
  document.body.append(element);
  void session.start();
}

mount();
