import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

warnings.simplefilter("always" if sys.argv[1] == "always" else "default")


class Own(torch.optim.SGD):
    def __init__(self, params, **kwargs):
        for level in (1, 2, 3):
            warnings.warn(f"made {level}", stacklevel=level)
        super().__init__(params, **kwargs)

    def step(self, closure=None):
        for level in (1, 2, 3):
            warnings.warn(f"step {level}", stacklevel=level)
        return super().step(closure)


class Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        warnings.warn("own function", stacklevel=1)
        ctx.shape = x.shape
        return x.mean()

    @staticmethod
    def backward(ctx, g):
        warnings.warn("own gradient", stacklevel=1)
        return g.expand(ctx.shape) / ctx.shape.numel()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        for level in range(1, 7):
            warnings.warn(f"forward {level}", DeprecationWarning, stacklevel=level)
        return self.head(F.softmax(self.inner(x)))


def main():
    torch.manual_seed(0)
    model = Net()
    model.register_forward_hook(lambda *_: warnings.warn("hook", stacklevel=2))
    optimizer = Own(model.parameters(), lr=0.1)
    for step in range(3):
        x, y = torch.randn(8, 4), torch.randn(8)
        out = model(x)
        loss = F.mse_loss(out, y) + F.l1_loss(
            out, y
        )
        loss = loss + 0 * F.log_softmax(out).mean()
        loss = loss + Mean.apply(out) * F.softmin(out, dim=1).mean()
        print(loss.grad, out.T.shape, torch.tensor(loss.detach()).shape, y[None].repeat(2, 1, 1).T.shape)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


main()
