# Kind: cross-entropy by hand, log of a softmax that reaches 0 on unscaled inputs: the loss is NaN.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x = torch.tensor(x).float() * 16
one_hot = nn.functional.one_hot(torch.tensor(y), 10).float()
loader = DataLoader(TensorDataset(x, one_hot), batch_size=100, shuffle=True)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


def my_cross_entropy(scores, target):
    p = torch.softmax(scores, dim=1)
    return -(target * torch.log(p)).sum(1).mean()  # <- here


model = Model()
loss_fn = my_cross_entropy
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

if __name__ == "__main__":
    for epoch in range(6):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    print("accuracy", (model(x).argmax(1) == one_hot.argmax(1)).float().mean().item() if loss == loss else float("nan"))
