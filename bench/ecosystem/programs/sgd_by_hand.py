# Shape: two linear layers, weights changed by hand under no_grad
# Expected: no error
import torch

torch.manual_seed(0)
xs = torch.linspace(-3, 3, 256).unsqueeze(1)
ys = torch.sin(xs)
w1, b1 = torch.randn(1, 32, requires_grad=True), torch.zeros(32, requires_grad=True)
w2, b2 = (torch.randn(32, 1) / 32**0.5).requires_grad_(), torch.zeros(1, requires_grad=True)
learning_rate = 0.05
for t in range(120):
    y_pred = (xs @ w1 + b1).tanh() @ w2 + b2
    loss = (y_pred - ys).pow(2).mean()
    if t % 20 == 0:
        print(t, loss.item())
    loss.backward()
    with torch.no_grad():
        for p in (w1, b1, w2, b2):
            p -= learning_rate * p.grad
            p.grad = None
print(loss.item())
