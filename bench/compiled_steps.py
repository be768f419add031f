"""Trains a net part of whose step is compiled, as many steps as each line of standard input says; tells the seconds they took.

Arguments: the part, the net, the backend of torch.compile. Knows nothing of steadygrad.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

part, net, backend = sys.argv[1:]
WORDS, WIDTH, HEADS, BLOCKS, TIME, SAMPLES = 512, 192, 6, 4, 64, 8


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attend, self.together = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        parts = self.attend(self.before(x)).split(WIDTH, 2)
        q, k, v = (one.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for one in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        x = x + self.together(seen)
        return x + self.mlp(self.between(x))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(TIME, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS)

    def forward(self, words):
        x = self.words(words) + self.places(torch.arange(TIME))
        return self.head(self.norm(self.blocks(x))).transpose(1, 2)


torch.manual_seed(0)
if net == "gpt":
    model = Gpt()
    batches = [torch.randint(0, WORDS, (2, SAMPLES, TIME)).unbind() for _ in range(16)]
else:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    batches = [(torch.randn(16, 16), torch.randint(0, 4, (16,))) for _ in range(16)]
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
called = torch.compile(model, backend=backend) if part == "model" else model
if part == "step of the optimizer":
    optimizer.step = torch.compile(optimizer.step, backend=backend)


def step(x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(called(x), y)
    loss.backward()
    optimizer.step()


if part == "whole step":
    step = torch.compile(step, backend=backend)
taken = 0
for line in sys.stdin:
    processor, wall = time.process_time(), time.perf_counter()
    for _ in range(int(line)):
        step(*batches[taken % len(batches)])
        taken += 1
    print(time.process_time() - processor, time.perf_counter() - wall, flush=True)
