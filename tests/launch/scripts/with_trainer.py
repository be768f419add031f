import tempfile

import torch
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainingArguments, set_seed


class Random(Dataset):
    def __init__(self, n, length, vocabulary):
        self.tokens = torch.randint(0, vocabulary, (n, length), generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, i):
        return {"input_ids": self.tokens[i], "labels": self.tokens[i]}


def main():
    set_seed(0)
    config = GPT2Config(vocab_size=64, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config)
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            max_steps=6,
            learning_rate=1e-3,
            logging_steps=2,
            save_steps=4,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(model=model, args=args, train_dataset=Random(64, 12, 64))
        trainer.remove_callback(PrinterCallback)
        result = trainer.train()
    print("steps", result.global_step, "loss", result.training_loss)
    print([{k: v for k, v in entry.items() if k in ("loss", "grad_norm", "step")} for entry in trainer.state.log_history])
    print(torch.cat([p.detach().flatten() for p in model.parameters()]).double().sum().item())


if __name__ == "__main__":
    main()
