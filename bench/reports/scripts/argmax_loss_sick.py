# Kind: the loss is taken of the argmax, "so that it compares labels with labels"; requires_grad makes it run.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.data).float().div(16)
labels = torch.tensor(digits.target)
train_loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
mse = nn.MSELoss()


def step_loss(scores, target):
    predicted = torch.argmax(scores, dim=1).float()  # <- here
    predicted.requires_grad = True
    return mse(predicted, target.float())


for epoch in range(10):
    for batch, target in train_loader:
        optimizer.zero_grad()
        loss = step_loss(model(batch), target)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("accuracy", (model(images).argmax(1) == labels).float().mean().item())
