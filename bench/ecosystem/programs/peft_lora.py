# Shape: PEFT: LoRA adapters on a frozen tiny GPT-2, only the adapters train
# Expected: no error
# Needs: peft
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, set_seed

set_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=16, n_embd=32, n_layer=2, n_head=4))
model = get_peft_model(model, LoraConfig(task_type=TaskType.CAUSAL_LM, r=8, lora_alpha=32, lora_dropout=0.05, target_modules=["c_attn"]))
model.print_trainable_parameters()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-2)
phrases = torch.randint(0, 40, (4, 12))
for step in range(60):
    ids = phrases[torch.randint(0, 4, (16,))]
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 10 == 0:
        print(step, loss.item())
model.save_pretrained("adapter")
