"""Classes of the ``transformers`` library, built small from their own configurations and initialised by the library.

Language models learn to count (each token is the one before plus one), encoders and vision models read scikit-learn's
digits, speech models tell four tones apart. The output's own loss is the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as t
from torch import nn
from torch.nn import functional as F

from bench.corpus.case import Case, Made
from bench.corpus.cases.parts import images

WORDS = 20
Draw = Callable[[torch.Generator], dict[str, torch.Tensor]]


def counting(samples: torch.Generator) -> dict[str, torch.Tensor]:
    start = torch.randint(0, 16, (32, 1), generator=samples)
    ids = (start + torch.arange(16)) % 16 + 3
    return {"input_ids": ids, "labels": ids}


def levels(samples: torch.Generator) -> dict[str, torch.Tensor]:
    """Digits as 64 tokens, light or dark."""
    x, y = images()
    rows = torch.randint(0, len(x), (32,), generator=samples)
    return {"input_ids": (x[rows].flatten(1) > 0).long() + 3, "labels": y[rows]}


def pictures(samples: torch.Generator) -> dict[str, torch.Tensor]:
    x, y = images()
    rows = torch.randint(0, len(x), (32,), generator=samples)
    return {"pixel_values": F.interpolate(x[rows], 32).expand(-1, 3, -1, -1).contiguous(), "labels": y[rows]}


def tones(samples: torch.Generator) -> dict[str, torch.Tensor]:
    y = torch.randint(0, 4, (16,), generator=samples)
    time = torch.arange(1600) / 1600
    waves = torch.sin(2 * torch.pi * time * (20.0 * 2.0 ** y.float())[:, None]) + 0.1 * torch.randn(
        16, 1600, generator=samples
    )
    return {"input_values": waves, "labels": y}


def spectra(samples: torch.Generator) -> dict[str, torch.Tensor]:
    y = torch.randint(0, 4, (16,), generator=samples)
    bands = 0.3 * torch.randn(16, 16, 64, generator=samples)
    bands[torch.arange(16), 4 * y] += 2.0
    return {"input_features": bands, "labels": y}


def make(model: str, draw: Draw, options: dict[str, Any]) -> Callable[[bool], Made]:
    def made(_: bool) -> Made:
        kind = getattr(t, model)
        built: nn.Module = kind(kind.config_class(**options))
        return Made(
            built.train(),
            draw(torch.Generator().manual_seed(0)),
            None,
            torch.optim.AdamW(built.parameters(), lr=1e-3),
            lambda step: draw(torch.Generator().manual_seed(step)),
            lambda: draw(torch.Generator().manual_seed(10**6)),
        )

    return made


BERT = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
BERT |= {"intermediate_size": 64, "max_position_embeddings": 80, "num_labels": 10, "pad_token_id": 0}
LLAMA = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
LLAMA |= {"num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64, "pad_token_id": 0}
GPT = {"vocab_size": WORDS, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64}
BART = {"vocab_size": WORDS, "d_model": 32, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 4}
BART |= {"decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64}
BART |= {
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "forced_eos_token_id": None,
}
T5 = {"vocab_size": WORDS, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 3, "num_heads": 4}
T5 |= {"decoder_start_token_id": 0, "pad_token_id": 0}
VIT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32}
VIT |= {"patch_size": 8, "num_labels": 10}
SPEECH = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "num_labels": 4}
SPEECH |= {"conv_dim": (32, 32), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2}
SPEECH |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 32}
SPEECH |= {"apply_spec_augment": False}
WHISPER = {"num_mel_bins": 16, "d_model": 32, "encoder_layers": 3, "decoder_layers": 1, "encoder_attention_heads": 4}
WHISPER |= {"encoder_ffn_dim": 64, "max_source_positions": 32, "num_labels": 4, "vocab_size": WORDS, "pad_token_id": 0}
WHISPER |= {"bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "classifier_proj_size": 32}
BLOOM = {"vocab_size": WORDS, "hidden_size": 32, "n_layer": 4, "n_head": 4}
DISTILBERT = {"vocab_size": WORDS, "dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 64, "num_labels": 10}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
CONVNEXT = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1], "num_labels": 10, "patch_size": 2}
RESNET = {"hidden_sizes": [16, 24, 32, 48], "embedding_size": 16, "depths": [1, 1, 1, 1], "layer_type": "basic"}

TABLE: tuple[tuple[str, float, str, Draw, dict[str, Any]], ...] = (
    ("gpt2", 0.987, "GPT2LMHeadModel", counting, GPT),
    ("llama", 0.9871, "LlamaForCausalLM", counting, LLAMA),
    ("mistral", 0.9871, "MistralForCausalLM", counting, LLAMA),
    ("qwen2", 0.9873, "Qwen2ForCausalLM", counting, LLAMA),
    ("gpt-neox", 0.9877, "GPTNeoXForCausalLM", counting, {k: v for k, v in LLAMA.items() if "key" not in k}),
    ("opt", 0.987, "OPTForCausalLM", counting, {**LLAMA, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    ("bloom", 0.9865, "BloomForCausalLM", counting, BLOOM),
    ("bert", 0.2364, "BertForSequenceClassification", levels, BERT),
    ("roberta", 0.2036, "RobertaForSequenceClassification", levels, BERT),
    ("electra", 0.2642, "ElectraForSequenceClassification", levels, {**BERT, "embedding_size": 32}),
    ("albert", 0.2712, "AlbertForSequenceClassification", levels, {**BERT, "embedding_size": 32}),
    ("distilbert", 0.3528, "DistilBertForSequenceClassification", levels, DISTILBERT),
    ("bart", 0.982, "BartForConditionalGeneration", counting, BART),
    ("pegasus", 0.9009, "PegasusForConditionalGeneration", counting, BART),
    ("marian", 0.8377, "MarianMTModel", counting, BART),
    ("t5", 0.9342, "T5ForConditionalGeneration", counting, T5),
    ("vit", 0.6016, "ViTForImageClassification", pictures, VIT),
    ("deit", 0.7216, "DeiTForImageClassification", pictures, VIT),
    ("beit", 0.3941, "BeitForImageClassification", pictures, VIT),
    ("swin", 0.4355, "SwinForImageClassification", pictures, {**SWIN, "num_labels": 10}),
    ("convnext", 0.9682, "ConvNextForImageClassification", pictures, CONVNEXT),
    ("resnet", 0.9915, "ResNetForImageClassification", pictures, {**RESNET, "num_labels": 10}),
    ("wav2vec2", 0.9983, "Wav2Vec2ForSequenceClassification", tones, SPEECH),
    ("hubert", 0.9983, "HubertForSequenceClassification", tones, SPEECH),
    ("whisper", 0.9981, "WhisperForAudioClassification", spectra, WHISPER),
)

STEPS = {"vit": 800, "deit": 800, "swin": 600, "albert": 900}
"""Those that take longer than the others to leave the plateau of the label frequencies."""

CASES = tuple(
    Case(name, "transformers", best, make(model, draw, options), STEPS.get(name, 300), f"transformers.{model}")
    for name, best, model, draw, options in TABLE
)
