# Shape: a torch.autograd.Function of one's own, binary weights by straight-through, weights clamped after each step
# Expected: no error
import torch
from torch import nn

torch.manual_seed(0)


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sign()

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * (input.abs() <= 1)


class BinaryLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, Sign.apply(self.weight), self.bias)


model = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.Hardtanh(), BinaryLinear(64, 64), nn.BatchNorm1d(64), nn.Hardtanh(), nn.Linear(64, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
rule = torch.randn(16, 4)
for step in range(80):
    x = torch.randn(64, 16)
    loss = nn.functional.cross_entropy(model(x), (x @ rule).argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model[3].weight.data.clamp_(-1, 1)
    if step % 20 == 0:
        print(step, loss.item())
