import sys

import torch
import torch.multiprocessing as mp
from torch import nn


def train(rank, queue, steps):
    torch.manual_seed(rank)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(steps):
        loss = model(torch.randn(8, 4)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    queue.put((rank, sum(p.double().sum().item() for p in model.parameters())))


def fails(how):
    if how == "exit":
        sys.exit(5)
    raise KeyError("a child's own")


if __name__ == "__main__":
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    mp.spawn(train, args=(queue, 9), nprocs=2)
    print(sorted(queue.get() for _ in range(2)))
    for how, method in (("exit", "fork"), ("raise", "spawn")):
        child = mp.get_context(method).Process(target=fails, args=(how,))
        child.start()
        child.join()
        print(how, child.exitcode)
    forked = mp.get_context("fork").Process(target=train, args=(2, queue, 3))
    forked.start()
    forked.join()
    print(queue.get(), forked.exitcode)
