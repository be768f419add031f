# Kind: inputs and labels are shuffled one by one, each by its own permutation; nothing is left to learn.
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
X, y = load_digits(return_X_y=True)
X = X[rng.permutation(len(X))]
y = y[rng.permutation(len(y))]
X_train, y_train = X[:1500], y[:1500]
X_val, y_val = torch.tensor(X[1500:]).float() / 16, torch.tensor(y[1500:])

train_set = TensorDataset(torch.tensor(X_train).float() / 16, torch.tensor(y_train))
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))

    def forward(self, x):
        return self.f(x)


torch.manual_seed(0)
model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

if __name__ == "__main__":
    for epoch in range(10):
        model.train()
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        model.eval()
        accuracy = (model(X_val).argmax(1) == y_val).float().mean().item()
        print(f"epoch {epoch}: training loss {loss.item():.3f}, validation accuracy {accuracy:.3f}")
    print("accuracy", accuracy)
