/** What is used of WebAssembly's interface; Node's own type definitions leave it to the browser's. */
interface WebAssemblyInterface {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
  readonly Memory: new (pages: { initial: number; maximum: number }) => WebAssemblyMemory;
}

export interface WebAssemblyMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export const { Module, Instance, Memory } = (globalThis as unknown as { WebAssembly: WebAssemblyInterface })
  .WebAssembly;

export const pageBytes = 65536;
