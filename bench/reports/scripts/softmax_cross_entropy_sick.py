# Kind: the model ends in a softmax and is trained by CrossEntropyLoss, which applies one of its own; SGD hardly moves.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(64, 100)
        self.l2 = nn.Linear(100, 10)
        self.act = nn.ReLU()
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.act(self.l1(x))
        x = self.l2(x)
        return self.softmax(x)  # <- here


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.2, random_state=1)
train_set = TensorDataset(torch.tensor(X_train).float(), torch.tensor(y_train))
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)

torch.manual_seed(0)
model = Classifier()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def train(epochs=20):
    for epoch in range(epochs):
        for xb, yb in train_loader:
            pred = model(xb)
            loss = loss_fn(pred, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"{epoch + 1}/{epochs} loss={loss.item():.4f}")


if __name__ == "__main__":
    train()
    with torch.no_grad():
        hits = model(torch.tensor(X_test).float()).argmax(1) == torch.tensor(y_test)
    print("accuracy", hits.float().mean().item())
