"""What the probe costs: its time ÷ the time of one plain forward and backward, in one run.

    python -m bench.probe                  # architectures as transformers builds them, then depth to 10,000
    python -m bench.probe --only architectures --repeats 9

Plain and probed passes take turns, so that a noisy machine is noisy for both; the median of the ratios is printed. The
probe's time is that of ``check(..., trial=0)``'s measurement: copy, forward, backward, record. The step test's time is
given in plain steps (forward, backward and optimizer).
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from steadygrad.copies.copying import on_copy
from steadygrad.probe.run_probe import probe, probe_copy
from steadygrad.steptest.run_steptest import step_test
from steadygrad.steptest.second_look import look_again
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

STEPS = 10


def objective(model: nn.Module, batch: dict[str, Any]) -> tuple[torch.Tensor, Any]:
    output = model(**batch)
    return (output.loss, output) if hasattr(output, "loss") else (output.square().mean(), output)


TEXT = {
    "vocab_size": 1000,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
LLAMA = {**TEXT, "num_key_value_heads": 4, "max_position_embeddings": 128}
VIT = {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768}
VIT |= {"image_size": 96, "patch_size": 16}
RESNET = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
SWIN = {"image_size": 96, "embed_dim": 96, "depths": [2, 2, 6, 2], "window_size": 3}
GPT = {"vocab_size": 1000, "n_embd": 256, "n_layer": 6, "n_head": 4, "n_positions": 128}
T5 = {"vocab_size": 1000, "decoder_start_token_id": 0, "d_model": 256, "d_kv": 64, "d_ff": 1024}
T5 |= {"num_layers": 4, "num_heads": 4}
BART = {"vocab_size": 1000, "d_model": 256, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 4}
BART |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024}

ARCHITECTURES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("ResNet-18", "ResNetForImageClassification", "pictures", RESNET),
    ("ResNet-50", "ResNetForImageClassification", "pictures", {}),
    ("ConvNeXt-T", "ConvNextForImageClassification", "pictures", {}),
    ("MobileNetV2", "MobileNetV2ForImageClassification", "pictures", {"image_size": 96}),
    ("RegNet", "RegNetForImageClassification", "pictures", {}),
    ("ViT-T", "ViTForImageClassification", "pictures", VIT),
    ("DeiT-T", "DeiTForImageClassification", "pictures", VIT),
    ("Swin-T", "SwinForImageClassification", "pictures", SWIN),
    ("SegFormer", "SegformerForImageClassification", "pictures", {}),
    ("GPT-2", "GPT2LMHeadModel", "tokens", GPT),
    ("Llama", "LlamaForCausalLM", "tokens", {**LLAMA, "head_dim": 64}),
    ("Qwen2", "Qwen2ForCausalLM", "tokens", LLAMA),
    ("GPT-NeoX", "GPTNeoXForCausalLM", "tokens", {**TEXT, "max_position_embeddings": 128}),
    ("BERT", "BertForSequenceClassification", "words", TEXT),
    ("RoBERTa", "RobertaForSequenceClassification", "words", {**TEXT, "pad_token_id": 1}),
    ("ELECTRA", "ElectraForSequenceClassification", "words", {**TEXT, "embedding_size": 128}),
    ("T5-small", "T5ForConditionalGeneration", "tokens", T5),
    ("BART", "BartForConditionalGeneration", "pair", BART),
)


def architectures() -> Iterator[tuple[str, nn.Module, dict[str, Any]]]:
    """Real architectures at the size of their small published versions, each on a small batch."""
    import transformers

    tokens = {"input_ids": torch.randint(0, 1000, (8, 64)), "labels": torch.randint(0, 1000, (8, 64))}
    batches = {
        "tokens": tokens,
        "words": {"input_ids": torch.randint(0, 1000, (8, 64)), "labels": torch.randint(0, 2, (8,))},
        "pictures": {"pixel_values": torch.randn(8, 3, 96, 96), "labels": torch.randint(0, 2, (8,))},
        "pair": {**tokens, "decoder_input_ids": tokens["input_ids"]},
    }
    for name, model, batch, options in ARCHITECTURES:
        torch.manual_seed(0)
        kind = getattr(transformers, model)
        yield name, kind(kind.config_class(**options)).train(), batches[batch]


class Deep(nn.Module):
    """A plain stack, for the cost over depth."""

    def __init__(self, depth: int, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = torch.tanh(fc(x))
        return x


def plain(model: nn.Module, batch: dict[str, Any]) -> float:
    began = time.perf_counter()
    objective(model, batch)[0].backward()
    spent = time.perf_counter() - began
    model.zero_grad()
    return spent


def probed(model: nn.Module, batch: dict[str, Any], clock: Callable[[], float] = time.perf_counter) -> float:
    gc.collect()
    began = clock()
    with on_copy(model, None) as copied:
        probe(copied.model, objective, batch)
    return clock() - began


def stepped(model: nn.Module, batch: dict[str, Any]) -> float:
    """The ten-step test in plain steps."""
    optimizer = torch.optim.AdamW(model.parameters())
    with with_copy(Subject(model, batch, objective, None, optimizer, "", "", (), "", seed=0)) as run:
        trace = probe_copy(run)
        began = time.perf_counter()
        seen = step_test(run, steps=STEPS)
        look_again(run, trace, seen)
        return (time.perf_counter() - began) / seen.seconds


def compare(model: nn.Module, batch: dict[str, Any], repeats: int) -> tuple[float, float]:
    """Median plain time, median ratio."""
    plain(model, batch), probed(model, batch)
    pairs = [(plain(model, batch), probed(model, batch)) for _ in range(repeats)]
    return statistics.median(p for p, _ in pairs), statistics.median(q / p for p, q in pairs)


def over_architectures(repeats: int) -> None:
    ratios, steps = [], []
    print(f"{'architecture':14s} {'parameters':>12s} {'plain':>10s} {'probe ÷ plain':>14s} {'ten steps':>16s}")
    for name, model, batch in architectures():
        seconds, ratio = compare(model, batch, repeats)
        cost = stepped(model, batch)
        ratios.append(ratio)
        steps.append(cost)
        count = sum(p.numel() for p in model.parameters())
        print(f"{name:14s} {count:12,d} {seconds * 1e3:8.1f}ms {ratio:14.2f} {cost:10.1f} steps", flush=True)
    print(
        f"median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}; ten-step test: worst {max(steps):.1f} plain steps"
    )


def over_depth(repeats: int) -> None:
    print(f"\n{'depth':>8s} {'probe, CPU':>10s} {'probe ÷ plain':>14s} {'÷ half the depth':>18s}")
    torch.set_num_threads(1)  # Waiting threads spin, and their spinning counts as CPU time.
    before = None
    for depth in (625, 1_250, 2_500, 5_000, 10_000):
        model, batch = Deep(depth), {"x": torch.randn(64, 64)}
        _, ratio = compare(model, batch, repeats)
        # Growth is a matter of work done, so CPU time: it does not see what else the machine is busy with.
        spent = min(probed(model, batch, time.process_time) for _ in range(repeats))
        growth = "" if before is None else f"{spent / before:.2f}"
        before = spent
        print(f"{depth:8d} {spent:9.2f}s {ratio:14.2f} {growth:>18s}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["architectures", "depth"])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    if arguments.only != "depth":
        over_architectures(arguments.repeats)
    if arguments.only != "architectures":
        over_depth(max(3, arguments.repeats // 2))


if __name__ == "__main__":
    main()
