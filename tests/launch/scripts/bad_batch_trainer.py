import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed


class Samples(Dataset):
    def __init__(self, bad):
        self.x = torch.randn(120 * 16, 8, generator=torch.Generator().manual_seed(0))
        self.x[(bad - 1) * 16 : bad * 16] *= 1e4

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "labels": self.x[i].sum(0, keepdim=True)}


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))

    def forward(self, x, labels):
        made = self.net(x)
        return {"loss": nn.functional.mse_loss(made, labels), "logits": made}


class InOrder(Trainer):
    def _get_train_sampler(self, *_):
        return SequentialSampler(self.train_dataset)


if __name__ == "__main__":
    set_seed(0)
    model = Regressor()
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=16,
            max_steps=120,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = InOrder(model=model, args=args, train_dataset=Samples(60))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    print([(log["step"], log["loss"], log["grad_norm"]) for log in trainer.state.log_history if "grad_norm" in log])
    print(sum(p.double().sum() for p in model.parameters()).item())
