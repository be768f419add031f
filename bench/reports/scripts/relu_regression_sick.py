# Kind: a regression whose targets are centred (half of them negative) and whose last layer is followed by a ReLU.
import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

data, target = load_diabetes(return_X_y=True, scaled=False)
data = (data - data.mean(0)) / data.std(0)
target = (target - target.mean()) / target.std()
x = torch.as_tensor(data).float()
y = torch.as_tensor(target).float().view(-1, 1)
loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)

net = nn.Sequential(
    nn.Linear(10, 50),
    nn.ReLU(),
    nn.Linear(50, 50),
    nn.ReLU(),
    nn.Linear(50, 1),
    nn.ReLU(),  # <- here
)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)

if __name__ == "__main__":
    for epoch in range(40):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(net(xb), yb)
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            print(epoch, loss.item())
    with torch.no_grad():
        error = criterion(net(x), y)
    print("r2", 1 - (error / y.var()).item())
