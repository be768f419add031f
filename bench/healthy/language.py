"""Text and speech models of ``transformers``: name, model, configuration, task, and what this one wants otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.healthy import data

Row = tuple[str, str, str, Callable[[], data.Dicts], dict[str, Any]]


def _causal(name: str, prefix: str, **overrides: Any) -> Row:
    return name, f"{prefix}ForCausalLM", f"{prefix}Config", data.counting, overrides


def _classifier(name: str, prefix: str, **overrides: Any) -> Row:
    return name, f"{prefix}ForSequenceClassification", f"{prefix}Config", data.families, overrides


def _writer(name: str, prefix: str, **overrides: Any) -> Row:
    return name, f"{prefix}ForConditionalGeneration", f"{prefix}Config", data.continuing, overrides


TABLE: tuple[Row, ...] = (
    ("gpt2", "GPT2LMHeadModel", "GPT2Config", data.counting, {}),
    _causal("gpt-neo", "GPTNeo", attention_types=[[["global", "local"], 1]], num_layers=2),
    _causal("gpt-j", "GPTJ"),
    _causal("gpt-neox", "GPTNeoX"),
    _causal("gpt-bigcode", "GPTBigCode"),
    _causal("codegen", "CodeGen"),
    _causal("opt", "OPT"),
    _causal("bloom", "Bloom"),
    _causal("falcon", "Falcon"),
    _causal("mpt", "Mpt"),
    _causal("llama", "Llama"),
    _causal("mistral", "Mistral"),
    _causal("mixtral", "Mixtral"),
    _causal("qwen2", "Qwen2"),
    _causal("qwen3", "Qwen3"),
    _causal("qwen2-moe", "Qwen2Moe"),
    _causal("phi", "Phi"),
    _causal("phi3", "Phi3"),
    _causal("gemma", "Gemma"),
    _causal("gemma2", "Gemma2"),
    ("gemma3", "Gemma3ForCausalLM", "Gemma3TextConfig", data.counting, {}),
    _causal("stablelm", "StableLm"),
    _causal("starcoder2", "Starcoder2"),
    _causal("cohere", "Cohere"),
    _causal("olmo", "Olmo"),
    _causal("olmo2", "Olmo2"),
    _causal("olmoe", "Olmoe"),
    _causal("granite", "Granite"),
    _causal("persimmon", "Persimmon"),
    _causal("nemotron", "Nemotron"),
    _causal("helium", "Helium"),
    _causal("glm", "Glm"),
    _causal("smollm3", "SmolLM3"),
    _causal("biogpt", "BioGpt"),
    _causal("xglm", "XGLM"),
    ("ctrl", "CTRLLMHeadModel", "CTRLConfig", data.counting, {}),
    _causal("mamba", "Mamba"),
    _causal("mamba2", "Mamba2", num_heads=8, head_dim=8, n_groups=1),
    _causal("falcon-mamba", "FalconMamba"),
    _causal("rwkv", "Rwkv", attention_hidden_size=32),
    _classifier("bert", "Bert"),
    _classifier("roberta", "Roberta"),
    _classifier("electra", "Electra"),
    _classifier("albert", "Albert"),
    _classifier("distilbert", "DistilBert"),
    _classifier("deberta", "Deberta"),
    _classifier("deberta-v2", "DebertaV2"),
    _classifier("mobilebert", "MobileBert"),
    _classifier("squeezebert", "SqueezeBert"),
    _classifier("fnet", "FNet"),
    _classifier("nystromformer", "Nystromformer", num_landmarks=4, segment_means_seq_len=16),
    _classifier("convbert", "ConvBert"),
    _classifier("funnel", "Funnel"),
    _classifier("modernbert", "ModernBert"),
    _classifier("rembert", "RemBert"),
    _classifier("ernie", "Ernie"),
    _classifier("xlnet", "XLNet"),
    _classifier("mpnet", "MPNet"),
    _classifier("megatron-bert", "MegatronBert"),
    _classifier("longformer", "Longformer", attention_window=8),
    _classifier("big-bird", "BigBird", attention_type="original_full"),
    _classifier("yoso", "Yoso"),
    _classifier("roformer", "RoFormer"),
    _classifier("ibert", "IBert"),
    _classifier("canine", "Canine"),
    _writer("bart", "Bart"),
    _writer("pegasus", "Pegasus", scale_embedding=True),
    ("marian", "MarianMTModel", "MarianConfig", data.continuing, {"scale_embedding": True}),
    _writer("mbart", "MBart"),
    _writer("plbart", "PLBart"),
    _writer("blenderbot", "Blenderbot"),
    _writer("m2m-100", "M2M100"),
    _writer("t5", "T5", decoder_start_token_id=0),
    _writer("mt5", "MT5"),
    _writer("umt5", "UMT5"),
    _writer("longt5", "LongT5", decoder_start_token_id=0),
    _writer("switch", "SwitchTransformers", decoder_start_token_id=0),
    _writer("prophetnet", "ProphetNet"),
    _writer("led", "LED", attention_window=8, max_encoder_position_embeddings=64, max_decoder_position_embeddings=64),
)
