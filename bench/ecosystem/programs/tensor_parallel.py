# Shape: tensor parallel: a column-wise and a row-wise layer over two processes on gloo
# Expected: no error
# Processes: 2
# Standard error: torchrun's own words
import torch
import torch.nn as nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module


class ToyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj = nn.Linear(10, 32)
        self.relu = nn.ReLU()
        self.out_proj = nn.Linear(32, 5)

    def forward(self, x):
        return self.out_proj(self.relu(self.in_proj(x)))


mesh = init_device_mesh("cpu", (2,))
rank = mesh.get_rank()
torch.manual_seed(0)
model = ToyModel()
teacher = torch.randn(10, 5)
model = parallelize_module(model, mesh, {"in_proj": ColwiseParallel(), "out_proj": RowwiseParallel()})
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, foreach=True)
for i in range(40):
    torch.manual_seed(i)
    inp = torch.rand(20, 10)
    output = model(inp)
    loss = (output - inp @ teacher).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if rank == 0 and i % 10 == 0:
        print(i, loss.item(), flush=True)
torch.distributed.destroy_process_group()
