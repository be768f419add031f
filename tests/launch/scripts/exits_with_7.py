import atexit
import sys
import threading

import torch
from torch import nn

atexit.register(lambda: print("goodbye"))
model = nn.Linear(3, 1)
opt = torch.optim.Adagrad(model.parameters(), lr=0.1)


stopped = threading.Event()


def late():
    stopped.wait()
    print("the thread is done")


threading.Thread(target=late).start()
for step in range(100):
    loss = model(torch.ones(2, 3)).abs().sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step == 4:
        print("enough")
        stopped.set()
        sys.exit(7)
