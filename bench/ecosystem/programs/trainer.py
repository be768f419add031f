# Shape: transformers' Trainer over a tiny BERT that classifies
# Expected: no error
# Standard error: progress bars with times
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

set_seed(42)


class Sentences(Dataset):
    def __init__(self, n):
        g = torch.Generator().manual_seed(n)
        self.ids = torch.randint(4, 50, (n, 12), generator=g)
        self.labels = (self.ids < 12).any(1).long()
        self.ids[self.labels == 1, 1] = 5

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "attention_mask": torch.ones(12, dtype=torch.long), "labels": self.labels[i]}


def compute_metrics(p):
    return {"accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())}


config = BertConfig(
    vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=16
)
args = TrainingArguments(
    output_dir="out",
    num_train_epochs=3,
    per_device_train_batch_size=16,
    learning_rate=2e-3,
    warmup_steps=3,
    logging_steps=10,
    report_to=[],
    use_cpu=True,
    disable_tqdm=True,
    save_strategy="epoch",
    seed=42,
)
trainer = Trainer(
    model=BertForSequenceClassification(config),
    args=args,
    train_dataset=Sentences(256),
    eval_dataset=Sentences(64),
    compute_metrics=compute_metrics,
)
from transformers import PrinterCallback

trainer.remove_callback(PrinterCallback)
result = trainer.train()
print(f"{result.training_loss:.6f}", result.global_step)
print(trainer.evaluate()["eval_accuracy"])
