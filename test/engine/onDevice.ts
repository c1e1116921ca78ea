/** A process that runs a model on a device and on the CPU and reports how far the outputs are apart. */
import { relativeDifference } from '../../src/engine/verify';
import { openModel } from '../../src/formats';
import { createSession, type DeviceId } from '../../src/runtime/session';
import { inputShapes } from '../../src/runtime/shapes';
import { float32Tensor, type Tensor } from '../../src/tensor/tensor';

const [path, device] = process.argv.slice(2);

async function main(): Promise<void> {
  const model = openModel(path);
  const feeds: Record<string, Tensor> = {};
  for (const [name, dims] of Object.entries(inputShapes(model.graph))) {
    const count = dims.reduce((product, size) => product * size, 1);
    feeds[name] = float32Tensor(
      Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.7) + Math.cos(i * 0.013)),
      dims,
    );
  }
  model.close();
  const outputs: Record<string, Tensor>[] = [];
  for (const id of ['cpu', device] as DeviceId[]) {
    const session = await createSession(path, { device: id, threads: 1 });
    outputs.push(await session.run(feeds));
    await session.release();
  }
  const [cpu, other] = outputs;
  process.send?.(Math.max(...Object.keys(cpu).map((name) => relativeDifference(cpu[name], other[name]))));
}

void main();
