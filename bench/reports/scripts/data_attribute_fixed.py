# data_attribute, mended: the encoder's output itself.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class AutoEncoder(nn.Module):
    def __init__(self, code=12):
        super().__init__()
        self.down = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, code)])
        self.up = nn.ModuleList([nn.Linear(code, 32), nn.Linear(32, 64)])

    def encode(self, x):
        return torch.tanh(self.down[1](torch.tanh(self.down[0](x))))

    def forward(self, x):
        code = self.encode(x)
        return self.up[1](torch.tanh(self.up[0](code)))


torch.manual_seed(0)
pictures = torch.tensor(load_digits().data).float() / 8 - 1
dataset = TensorDataset(pictures, pictures)
loader = DataLoader(dataset, batch_size=64, shuffle=True)
model = AutoEncoder()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

if __name__ == "__main__":
    for epoch in range(20):
        for x, target in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), target)
            loss.backward()
            optimizer.step()
        if epoch % 5 == 0:
            print(epoch, loss.item())
    with torch.no_grad():
        left = loss_fn(model(pictures), pictures).item()
    print("r2", 1 - left / pictures.var(0).mean().item())
