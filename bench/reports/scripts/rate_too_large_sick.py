# Kind: a learning rate that suits SGD (0.5) given to Adam: the loss leaps to hundreds and comes back to log(10) at best.
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 4, 60)
        self.fc2 = nn.Linear(60, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


torch.manual_seed(0)
images, target = load_digits(return_X_y=True)
images = torch.tensor(images).float().view(-1, 1, 8, 8) / 8 - 1
target = torch.tensor(target)
train_loader = DataLoader(TensorDataset(images, target), batch_size=64, shuffle=True)
model = LeNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.5)  # <- here

if __name__ == "__main__":
    for epoch in range(8):
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    print("accuracy", (model(images).argmax(1) == target).float().mean().item())
