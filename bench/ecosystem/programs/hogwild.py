# Shape: hogwild: processes that train one model in shared memory, here in turns so that it is the same each time
# Expected: no error
import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 32)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x):
        return F.log_softmax(self.fc2(F.dropout(F.relu(self.fc1(x)), 0.2, training=self.training)), dim=1)


def train(rank, model, mine, others, teacher):
    torch.manual_seed(1 + rank)
    torch.set_num_threads(1)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    model.train()
    for batch in range(30):
        mine.wait()
        mine.clear()
        x = torch.randn(32, 20)
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), (x @ teacher).argmax(1))
        loss.backward()
        optimizer.step()
        if batch % 10 == 0:
            print(f"{rank} {batch} {loss.item():.6f}", flush=True)
        others.set()


if __name__ == "__main__":
    torch.manual_seed(1)
    mp.set_start_method("spawn")
    model = Net()
    model.share_memory()
    turns = [mp.Event(), mp.Event()]
    teacher = torch.randn(20, 4)
    processes = []
    for rank in range(2):
        p = mp.Process(target=train, args=(rank, model, turns[rank], turns[1 - rank], teacher))
        p.start()
        processes.append(p)
    turns[0].set()
    for p in processes:
        p.join()
    print(sum(p.double().sum().item() for p in model.parameters()))
