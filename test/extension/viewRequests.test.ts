import { describe, expect, it } from 'vitest';
import { parseViewRequest, requestId } from '../../src/extension/viewRequests';

const settings = { target: { kind: 'macs', value: 0.5 } };

describe('messages of a webview', () => {
  it.each([
    { method: 'ready', params: {} },
    { method: 'spectra', params: { layers: ['conv1'] } },
    { method: 'select', params: { layer: null } },
    { method: 'change', params: { settings, transient: true } },
    { method: 'change', params: { settings: {}, remove: ['data'] } },
    { method: 'change', params: { settings: {}, remove: ['training', 'transfer'] } },
    { method: 'setShapes', params: { shapes: { x: [1, 3, 32, 32] } } },
    { method: 'pause', params: { paused: true } },
    { method: 'resumeRun', params: { id: 'a' } },
    { method: 'estimateTraining', params: {} },
    { method: 'export', params: { kind: 'svg', name: 'chart', text: '<svg/>', to: 'clipboard' } },
  ])('lets $method through as it is', ({ method, params }) => {
    expect(parseViewRequest({ id: 3, method, params })).toEqual({ id: 3, method, params });
  });

  it.each([
    { message: null, reason: /expected object/i },
    { message: { id: 1, method: 'constructor', params: {} }, reason: /no such method/ },
    { message: { id: 1, method: 'open', params: { path: '/etc/passwd' } }, reason: /no such method/ },
    { message: { id: 1, method: 'select', params: { layer: 5 } }, reason: /'layer'/ },
    { message: { id: 1, method: 'run', params: { storage: '/' } }, reason: /storage/ },
    { message: { id: 1, method: 'deleteRun', params: {} }, reason: /'id'/ },
    { message: { id: 1, method: 'deleteRun', params: { id: 'a', confirmed: true } }, reason: /confirmed/ },
    { message: { id: 1, method: 'change', params: { settings: {}, remove: ['target'] } }, reason: /'remove\.0'/ },
    {
      message: { id: 1, method: 'change', params: { settings: { target: { kind: 'macs', value: -1 } } } },
      reason: /'settings\.target\.value'/,
    },
    { message: { id: 1, method: 'change', params: { settings: { unknown: 1 } } }, reason: /unknown/ },
    {
      message: { id: 1, method: 'export', params: { kind: 'exe', name: 'a', text: '', to: 'file' } },
      reason: /'kind'/,
    },
  ])('refuses $message.method with the reason', ({ message, reason }) => {
    expect(() => parseViewRequest(message)).toThrow(reason);
    expect(() => parseViewRequest(message)).toThrow(expect.objectContaining({ code: 'view-request-invalid' }));
  });

  it('fills in no defaults of settings that were not sent', () => {
    const { params } = parseViewRequest({ id: 1, method: 'change', params: { settings } });
    expect(Object.keys((params as { settings: object }).settings)).toEqual(['target']);
  });

  it('finds the id to answer to even in a request it refuses', () => {
    expect(requestId({ id: 7, method: 'nonsense' })).toBe(7);
    expect(requestId('nonsense')).toBeNull();
  });
});
