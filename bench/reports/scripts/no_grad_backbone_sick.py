# Kind: a no_grad left over from inference around the feature extractor, in a model that starts from scratch.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(16, 10)

    def extract(self, x):
        with torch.no_grad():  # <- here
            return self.backbone(x)

    def forward(self, x):
        return self.head(self.extract(x))


torch.manual_seed(2)
images, labels = load_digits(return_X_y=True)
images = torch.tensor(images).float().view(-1, 1, 8, 8) / 16
labels = torch.tensor(labels)
train_loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)
model = Classifier()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

if __name__ == "__main__":
    for epoch in range(12):
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss", loss.item())
    print("accuracy", (model(images).argmax(1) == labels).float().mean().item())
