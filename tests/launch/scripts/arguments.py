#!/usr/bin/env python
"""Trains a regressor; options on the command line."""
import argparse
import sys

import torch
from torch import nn, optim

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-m", "--momentum", type=float, default=0.0)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--lr", type=float, default=1e-2)
parser.add_argument("--clip", type=float, default=None, help="the script's own")
parser.add_argument("--quiet", action="store_true")
parser.add_argument("rest", nargs="*")


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inp = nn.Linear(4, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.inp(x)))


def main(args):
    torch.manual_seed(args.epochs)
    net = Net(width=16)
    opt = optim.SGD(net.parameters(), lr=args.lr, momentum=args.momentum)
    sched = optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs)
    x = torch.randn(64, 4)
    t = x.pow(2).sum(1, keepdim=True)
    for epoch in range(args.epochs):
        opt.zero_grad(set_to_none=True)
        loss = nn.functional.mse_loss(net(x), t)
        loss.backward()
        if args.clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), args.clip)
        opt.step()
        sched.step()
        if not args.quiet:
            print(f"epoch {epoch} loss {loss.item():.8f} lr {sched.get_last_lr()[0]:.6f}", flush=True)
    print(vars(args))
    print(sys.argv[1:])


main(parser.parse_args())
