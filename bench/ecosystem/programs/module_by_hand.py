# Shape: nn.Sequential, weights changed by hand with momentum, gradients zeroed by the model
# Expected: no error
import torch

torch.manual_seed(0)
x = torch.linspace(-3.14, 3.14, 400)
y = torch.sin(x)
xx = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3])) / torch.tensor([3.14, 9.9, 31.0])
model = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1), torch.nn.Flatten(0, 1))
velocity = [torch.zeros_like(p) for p in model.parameters()]
for t in range(100):
    y_pred = model(xx)
    loss = torch.nn.functional.mse_loss(y_pred, y)
    if t % 20 == 0:
        print(t, loss.item())
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for param, v in zip(model.parameters(), velocity):
            v.mul_(0.9).add_(param.grad)
            param.sub_(0.05 * v)
print(loss.item())
