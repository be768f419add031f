# column_against_row, mended: targets of the outputs' shape.
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(1)


class Patients(Dataset):
    def __init__(self):
        features, progress = load_diabetes(return_X_y=True)
        self.x = torch.tensor(StandardScaler().fit_transform(features)).float()
        progress = torch.tensor(progress).float()
        self.y = (progress - progress.mean()) / progress.std()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(10, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


def loss_fn(prediction, target):
    return ((prediction - target.unsqueeze(1)) ** 2).mean()


data = Patients()
train_loader = DataLoader(data, batch_size=64, shuffle=True)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

if __name__ == "__main__":
    for epoch in range(30):
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
        if epoch % 5 == 0:
            print(epoch, loss.item())
    with torch.no_grad():
        error = (model(data.x).squeeze(1) - data.y).pow(2).mean()
    print("r2", 1 - (error / data.y.var()).item())
