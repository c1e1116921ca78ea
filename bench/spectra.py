"""NumPy's side of the spectra benchmark.

Arguments: a JSON file with the list of [rows, cols], and the float32 weights of all of them, one after the other.
For each line read ("svd" or "eigvalsh") one line of JSON is written: seconds for all layers, the singular values.
"""

import base64
import json
import sys
import time

import numpy as np

shapes = json.load(open(sys.argv[1]))
weights = np.fromfile(sys.argv[2], dtype=np.float32)
layers = []
for rows, cols in shapes:
    layers.append(weights[: rows * cols].reshape(rows, cols))
    weights = weights[rows * cols :]


def svd(weight):
    return np.linalg.svd(weight, compute_uv=False)


def eigvalsh(weight):
    wide = weight.astype(np.float64)
    gram = wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))[::-1]


print(json.dumps({"numpy": np.__version__}), flush=True)
for line in sys.stdin:
    method = {"svd": svd, "eigvalsh": eigvalsh}[line.strip()]
    start = time.perf_counter()
    values = [method(layer) for layer in layers]
    seconds = time.perf_counter() - start
    packed = np.concatenate(values).astype(np.float64).tobytes()
    print(json.dumps({"seconds": seconds, "values": base64.b64encode(packed).decode()}), flush=True)
