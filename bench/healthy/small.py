"""Any ``transformers`` configuration made tiny: what it has of the usual names, set to small numbers.

The architecture stays the library's: its blocks, norms, gates, position codes, initialisation.
"""

from __future__ import annotations

from typing import Any

import transformers
from torch import nn

from bench.healthy.data import WORDS

WIDTH = 32
TINY: dict[str, Any] = {
    **dict.fromkeys(
        ["vocab_size", "src_vocab_size", "tgt_vocab_size", "decoder_vocab_size", "encoder_vocab_size"], WORDS
    ),
    **dict.fromkeys(
        ["hidden_size", "n_embd", "d_model", "dim", "embedding_size", "word_embed_proj_dim", "embed_dim"], WIDTH
    ),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"], 3),
    **dict.fromkeys(["num_encoder_layers", "num_decoder_layers", "encoder_attention_layers"], 3),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"], 4),
    **dict.fromkeys(["decoder_attention_heads", "num_encoder_attention_heads", "num_decoder_attention_heads"], 4),
    "num_key_value_heads": 2,
    "head_dim": 8,
    "d_kv": 8,
    "d_inner": 64,
    **dict.fromkeys(
        ["intermediate_size", "ffn_dim", "n_inner", "d_ff", "hidden_dim", "encoder_ffn_dim", "decoder_ffn_dim"], 64
    ),
    **dict.fromkeys(["ffn_hidden_size", "dff", "moe_intermediate_size", "shared_expert_intermediate_size"], 64),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"], 64),
    "rotary_dim": 4,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "state_size": 8,
    "time_step_rank": 4,
    "image_size": 32,
    "patch_size": 4,
    "num_labels": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "forced_eos_token_id": None,
}


def build(model: str, config: str, overrides: dict[str, Any]) -> nn.Module:
    """A model of the library on a configuration of the library, tiny; ``overrides`` go over what is set for all."""
    kind = getattr(transformers, config)
    known = vars(kind()) | dict.fromkeys(getattr(kind, "attribute_map", {}))
    renamed = set(getattr(kind, "attribute_map", {}))
    given = {name: value for name, value in TINY.items() if name in known and name not in renamed}
    given |= {"num_labels": TINY["num_labels"]} | {k: v for k, v in overrides.items() if v is not ...}
    for name, value in overrides.items():
        if value is ...:
            given.pop(name, None)
    built: nn.Module = getattr(transformers, model)(kind(**given))
    return built.train()
