/** The wire to the host and what is laid over its state, with a host that answers when the test says so. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SessionState, ViewRequest } from '../../src/protocol/view';
import { Client, RequestError } from '../../webview/client';
import { Session } from '../../webview/session';
import { previewModel } from './preview/models';
import { baseState } from './preview/states';

class TestHost {
  readonly requests: ViewRequest[] = [];
  readonly messages = new EventTarget();
  stored: unknown;

  readonly api = {
    postMessage: (message: unknown) => void this.requests.push(message as ViewRequest),
    getState: () => this.stored,
    setState: (state: unknown) => void (this.stored = state),
  };

  send(data: unknown): void {
    this.messages.dispatchEvent(Object.assign(new Event('message'), { data }));
  }

  patch(patch: Partial<SessionState>): void {
    this.send({ type: 'state', patch });
  }

  /** Answers the oldest open request of the method. */
  async answer(method: ViewRequest['method'], ok: unknown = undefined): Promise<void> {
    this.send({ type: 'reply', id: this.take(method).id, ok });
    await settle();
  }

  async refuse(method: ViewRequest['method'], code: string): Promise<void> {
    this.send({ type: 'reply', id: this.take(method).id, error: { code, message: 'No.', hint: 'Try.' } });
    await settle();
  }

  open(method: ViewRequest['method']): ViewRequest[] {
    return this.requests.filter((request) => request.method === method && !this.answered.has(request));
  }

  private readonly answered = new Set<ViewRequest>();
  private take(method: ViewRequest['method']): ViewRequest {
    const [request] = this.open(method);
    expect(request, `an open request "${method}"`).toBeDefined();
    this.answered.add(request);
    return request;
  }
}

/** Lets promises run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

let host: TestHost;
beforeEach(() => {
  vi.useFakeTimers();
  host = new TestHost();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('client', () => {
  const connect = (onState: (patch: Partial<SessionState>) => void = () => {}) =>
    new Client(host.api, host.messages, onState);

  test('a request is answered by the reply with its number', async () => {
    const client = connect();
    const first = client.request('spectra', { layers: ['a'] });
    const second = client.request('spectra', { layers: ['b'] });
    expect(host.requests).toEqual([
      { id: 1, method: 'spectra', params: { layers: ['a'] } },
      { id: 2, method: 'spectra', params: { layers: ['b'] } },
    ]);
    host.send({ type: 'reply', id: 2, ok: ['B'] });
    host.send({ type: 'reply', id: 1, ok: ['A'] });
    expect(await Promise.all([first, second])).toEqual([['A'], ['B']]);
  });

  test('a refusal rejects with what the host said', async () => {
    const request = connect().request('save', {});
    const error = { code: 'disk-full', message: 'The disk is full.', hint: 'Make room.' };
    host.send({ type: 'reply', id: 1, error });
    await expect(request).rejects.toEqual(new RequestError(error));
    await expect(request).rejects.toHaveProperty('info', error);
  });

  test('what is not answered in time is rejected; people may take as long as they like', async () => {
    const client = connect();
    const detail = client.request('detail', { layer: 'a' });
    const rejected = expect(detail).rejects.toHaveProperty('info.code', 'no-answer');
    let chosen = false;
    const choice = client.request('chooseData', {}).then(() => (chosen = true));
    await vi.advanceTimersByTimeAsync(24 * 3600_000);
    await rejected;
    expect(chosen).toBe(false);
    host.send({ type: 'reply', id: 2, ok: undefined });
    await choice;
    expect(chosen).toBe(true);
    // Too late, and no harm.
    host.send({ type: 'reply', id: 1, ok: {} });
  });

  test('closing rejects what is open and stops listening', async () => {
    const seen: unknown[] = [];
    const client = connect((patch) => seen.push(patch));
    const request = client.request('run', {});
    client.dispose();
    await expect(request).rejects.toHaveProperty('info.code', 'view-closed');
    host.patch({ title: 'x' });
    expect(seen).toEqual([]);
  });

  test('messages of others are ignored', () => {
    const seen: unknown[] = [];
    connect((patch) => seen.push(patch));
    for (const data of [null, 'hello', 7, {}, { type: 'state' }, { type: 'state', patch: null }, { type: 'reply' }])
      host.send(data);
    host.patch({ title: 'x' });
    expect(seen).toEqual([{ title: 'x' }]);
  });
});

describe('session', () => {
  const model = previewModel(5);
  const base = baseState(model.facts);
  let frames: (() => void)[];

  async function start(state: SessionState = base): Promise<Session> {
    frames = [];
    const session = new Session({
      host: host.api,
      messages: host.messages,
      nextFrame: (callback) => void frames.push(callback),
    });
    void session.start();
    await host.answer('ready', state);
    return session;
  }

  async function nextFrame(): Promise<void> {
    for (const frame of frames.splice(0)) frame();
    await settle();
  }

  const sent = () => host.requests.filter(({ method }) => method === 'change').map(({ params }) => params);

  test('shows what the host answered and what it patched since', async () => {
    const session = await start();
    expect(session.connected).toBe(true);
    host.patch({ canUndo: true });
    expect(session.state).toEqual({ ...base, canUndo: true });
  });

  test('many changes in one frame are one request', async () => {
    const session = await start();
    for (let seed = 1; seed <= 20; seed++) session.change({ seed }, { transient: true });
    session.change({ threads: 3 }, { transient: true });
    expect(sent()).toEqual([]);
    await nextFrame();
    expect(sent()).toEqual([{ settings: { seed: 20, threads: 3 }, transient: true }]);
  });

  test('while one change is under way the next are gathered', async () => {
    const session = await start();
    session.change({ seed: 1 }, { transient: true });
    await nextFrame();
    session.change({ seed: 2 }, { transient: true });
    session.change({ seed: 3 }, { transient: true });
    await nextFrame();
    expect(sent()).toHaveLength(1);
    await host.answer('change');
    await nextFrame();
    expect(sent().slice(1)).toEqual([{ settings: { seed: 3 }, transient: true }]);
  });

  test('the end of a drag is sent as a step of its own, and so is what came before a drag', async () => {
    const session = await start();
    session.change({ seed: 1 });
    session.change({ threads: 1 }, { transient: true });
    session.change({ threads: 2 });
    expect(session.dragging).toBe(false);
    await nextFrame();
    await host.answer('change');
    await nextFrame();
    expect(sent()).toEqual([{ settings: { seed: 1 } }, { settings: { threads: 2 } }]);
  });

  test('a control keeps its value until the host has taken it', async () => {
    const session = await start();
    session.change({ seed: 5 });
    expect(session.state.settings?.seed).toBe(5);
    await nextFrame();
    host.patch({ projection: null });
    expect(session.state.settings?.seed).toBe(5);
    await host.answer('change');
    // The reply came before the patch: still the user's value, for a moment.
    expect(session.state.settings?.seed).toBe(5);
    host.patch({ settings: { ...base.settings!, seed: 6 } });
    expect(session.state.settings?.seed).toBe(6);
  });

  test('a host that does not take a change rules in the end', async () => {
    const session = await start();
    session.change({ seed: 5 });
    await nextFrame();
    await host.answer('change');
    await vi.advanceTimersByTimeAsync(1000);
    expect(session.state.settings?.seed).toBe(base.settings!.seed);
  });

  test('a refused change is taken back and shown', async () => {
    const session = await start();
    session.change({ seed: 5 });
    await nextFrame();
    await host.refuse('change', 'bad-seed');
    expect(session.state.settings?.seed).toBe(base.settings!.seed);
    expect(session.error?.code).toBe('bad-seed');
    session.dismissError();
    expect(session.error).toBeNull();
    expect(host.open('dismissError')).toEqual([]);
  });

  test('an error of the host is dismissed there', async () => {
    const session = await start({ ...base, error: { code: 'x', message: 'm', hint: 'h' } });
    expect(session.error?.code).toBe('x');
    session.dismissError();
    expect(host.open('dismissError')).toHaveLength(1);
  });

  test('data is removed by name', async () => {
    const session = await start();
    session.change({}, { remove: ['data'] });
    expect(session.state.settings).not.toHaveProperty('data');
    await nextFrame();
    expect(sent()).toEqual([{ settings: {}, remove: ['data'] }]);
  });

  test('overrides and their end', async () => {
    const session = await start();
    session.override('stem.conv', { rank: 3 });
    expect(session.state.settings?.layers).toEqual([{ match: 'stem.conv', rank: 3 }]);
    session.override('stem.conv', null);
    await nextFrame();
    expect(sent()).toEqual([{ settings: { layers: [] } }]);
  });

  test('the selection shows at once; quick moves are told to the host as one', async () => {
    const session = await start();
    const names = model.facts.layers.map(({ name }) => name);
    for (const name of names) session.select(name);
    expect(session.state.selectedLayer).toBe(names.at(-1));
    await host.answer('select');
    await host.answer('select');
    expect(host.requests.filter(({ method }) => method === 'select').map(({ params }) => params)).toEqual([
      { layer: names[0] },
      { layer: names.at(-1) },
    ]);
    host.patch({ selectedLayer: names[2] });
    expect(session.state.selectedLayer).toBe(names[2]);
  });

  test('a layer that is not in the model is not selected', async () => {
    const session = await start({ ...base, selectedLayer: 'gone' });
    expect(session.state.selectedLayer).toBeNull();
  });

  test('the selection before a reload is restored', async () => {
    const first = await start();
    first.select('classifier');
    first.dispose();
    const again = await start();
    expect(again.state.selectedLayer).toBe('classifier');
  });

  test('another file’s spectra are not shown', async () => {
    const session = await start();
    session.spectra.want(['stem.conv']);
    await host.answer('spectra', [model.spectrum('stem.conv')]);
    expect(session.spectra.get('stem.conv')).toMatchObject({ layer: 'stem.conv' });
    host.patch({ facts: { ...model.facts, totals: { params: 1, macs: 1, bytes: 1 } } });
    expect(session.spectra.get('stem.conv')).toMatchObject({ layer: 'stem.conv' });
    host.patch({ facts: { ...model.facts, fileBytes: 1 } });
    expect(session.spectra.get('stem.conv')).toBe('loading');
  });

  test('what the user set up is kept, with defaults for what is new', async () => {
    host.stored = { filter: 'conv', unheard: true };
    const session = await start();
    expect(session.ui.value).toMatchObject({ filter: 'conv', scale: 'log' });
    session.ui.update({ scale: 'linear' });
    expect(host.stored).toMatchObject({ filter: 'conv', scale: 'linear' });
  });
});
