/**
 * Keeps ONNX Runtime quiet: its official builds for Linux and macOS report sessions, with names and hashes of models, to
 * their maker unless this variable is set before the library is loaded
 * (https://github.com/microsoft/onnxruntime/pull/27379). Models are the user's own business.
 *
 * Import this before anything that loads the runtime, and in the main thread of a process whose workers load it: a
 * worker has a copy of the environment that native code does not see.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';
