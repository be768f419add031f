# optimizer_of_old_model, mended: the weights are loaded into the model that the optimizer holds.
import copy

import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 16, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv(x)), 2)
        return self.fc(x.flatten(1))


images, labels = load_digits(return_X_y=True)
images = torch.tensor(images / 16).float().reshape(-1, 1, 8, 8)
labels = torch.tensor(labels)
train_loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)

net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
checkpoint = copy.deepcopy(net.state_dict())
net.load_state_dict(checkpoint)

for epoch in range(5):
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
print("accuracy", (net(images).argmax(1) == labels).float().mean().item())
