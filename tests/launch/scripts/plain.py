import torch
import torch.nn as nn

torch.manual_seed(0)

model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

X = torch.randn(256, 10)
W = torch.randn(10, 3)
Y = (X @ W).argmax(dim=1)

for epoch in range(3):
    running_loss = 0.0
    for i in range(0, 256, 32):
        inputs, labels = X[i : i + 32], Y[i : i + 32]
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"[{epoch + 1}] loss: {running_loss / 8:.6f}")

print("Finished Training", sum(p.double().sum().item() for p in model.parameters()).hex())
