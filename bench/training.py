"""PyTorch's side of the training benchmark.

Arguments: depth, batch, threads, what is trained ("all" or "scaling"), whether layers are factorized ("1" or "0").
For every line read, one step is taken and one line of JSON written: its seconds.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

depth, batch, threads = (int(word) for word in sys.argv[1:4])
choice, factorized = sys.argv[4], sys.argv[5] == "1"
torch.set_num_threads(threads)
torch.manual_seed(0)


def half_rank(inputs, outputs):
    return max(1, round(9 * inputs * outputs / 2 / (9 * inputs + outputs)))


class Layer(nn.Module):
    """A 3x3 convolution, whole or factorized with scaling factors, and its normalization."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.factors = None
        if factorized and inputs != 3:
            rank = half_rank(inputs, outputs)
            self.first = nn.Conv2d(inputs, rank, 3, stride, 1, bias=False)
            self.second = nn.Conv2d(rank, outputs, 1, bias=False)
            if choice == "scaling":
                self.factors = nn.Parameter(torch.ones(1, rank, 1, 1))
        else:
            self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.second = None
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        y = self.first(x)
        if self.factors is not None:
            y = y * self.factors
        if self.second is not None:
            y = self.second(y)
        return self.norm(y)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first, self.second = Layer(inputs, outputs, stride), Layer(outputs, outputs, 1)
        self.stride, self.extra = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.second(F.relu(self.first(x)))
        if self.stride == 2:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Layer(3, 16, 1)
        blocks, inputs = [], 16
        for stage, width in enumerate((16, 32, 64)):
            for block in range((depth - 2) // 6):
                blocks.append(Block(inputs, width, 2 if stage > 0 and block == 0 else 1))
                inputs = width
        self.blocks, self.head = nn.Sequential(*blocks), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


model = ResNet().eval()  # Statistics stay as they are.
if choice == "scaling":
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("factors") or name.startswith("head"))
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.SGD(trained, 0.001, momentum=0.9, nesterov=True)
images, labels = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))

print(json.dumps({"version": torch.__version__, "parameters": sum(p.numel() for p in trained)}), flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(trained, 5)
    optimizer.step()
    loss.item()
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
