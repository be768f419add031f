import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def check(loss, step):
    if step == 3:
        raise ValueError(f"loss is {loss.item():.4f} at step {step}, which will not do")


def train():
    for step in range(10):
        loss = model(torch.randn(8, 4)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print("step", step)
        try:
            check(loss, step)
        except ValueError as error:
            raise RuntimeError("training failed") from error


train()
