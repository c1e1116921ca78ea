/**
 * The GPU's code path on machines without one: WebGPU on SwiftShader, the software Vulkan driver that comes with
 * Chromium. Slow, so everything here is as small as it can be.
 */
import { fork } from 'node:child_process';
import path from 'node:path';
import { buildSync } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { findSoftwareGpu } from '../../scripts/chromium.mjs';
import { temporaryFolder } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { buildProduct, type Product } from '../support/product';
import { hasShared, sharedFile } from '../support/shared';
import { type SmallTask, smallTask } from '../support/smallClassifier';

const driver = findSoftwareGpu();
if (!driver) console.log('WebGPU is not tested: there is no Chromium with a software Vulkan driver.');

describe.skipIf(!driver)('WebGPU', { timeout: 180_000 }, () => {
  let product: Product;
  let task: SmallTask;
  let env: Record<string, string>;
  beforeAll(async () => {
    [product, task] = await Promise.all([buildProduct(), smallTask(20)]);
    if (!driver) throw new Error('no driver');
    env = {
      VK_ICD_FILENAMES: driver.manifest,
      LD_LIBRARY_PATH: driver.folder,
      XDG_RUNTIME_DIR: temporaryFolder(),
    };
  });

  it('computes what the CPU does', async () => {
    const folder = path.dirname(product.file('cli.js'));
    const script = path.join(folder, 'onDevice.js');
    buildSync({
      entryPoints: [path.join(__dirname, 'onDevice.ts')],
      outfile: script,
      bundle: true,
      platform: 'node',
      external: ['onnxruntime-node'],
    });
    const model = hasShared ? sharedFile('data/models/resnet20_cifar10.onnx') : task.model;
    const child = fork(script, [model, 'webgpu'], { env: { ...process.env, ...env }, silent: true });
    const difference = await new Promise<number>((resolve, reject) => {
      child.once('message', (message) => resolve(message as number));
      child.once('exit', (code) => reject(new Error(`ended with code ${code}`)));
    });
    expect(difference).toBeLessThan(1e-4);
  });

  it('is found, and runs a pruning', async () => {
    const { requester } = product.engine(env);
    const devices = await requester.request('devices', {});
    expect(devices.find(({ id }) => id === 'webgpu')).toMatchObject({ available: true });
    const settings = settingsOf({
      device: 'webgpu',
      // Given, so that none has to be chosen by trying.
      data: { path: task.data, calibrationImages: 4, limit: 2, preprocessing: { scale: 1 / 255 } },
      basis: { refit: false },
      protect: ['last'],
    });
    const run = await requester.request('run', {
      path: task.model,
      settings,
      folder: task.folder,
      storage: task.storage,
    });
    expect(run.device).toBe('webgpu');
    expect(run.warnings.filter((warning) => /device|CPU/.test(warning))).toEqual([]);
    expect(run.after.accuracy?.device).toBe('webgpu');
    expect(run.after.latency?.device).toBe('webgpu');
    expect(run.layers.find(({ layer }) => layer === 'middle')?.action).toBe('factorize');
  });
});
