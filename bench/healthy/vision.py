"""Models of ``transformers`` for pictures and sounds: name, model, configuration, task, and what this one wants otherwise."""

from __future__ import annotations

from typing import Any

from bench.healthy import data
from bench.healthy.language import Row


def _pictures(name: str, prefix: str, **overrides: Any) -> Row:
    return name, f"{prefix}ForImageClassification", f"{prefix}Config", data.pictures, {"num_labels": 10, **overrides}


def _tones(name: str, prefix: str) -> Row:
    small = {
        "conv_dim": (32, 32),
        "conv_stride": (5, 4),
        "conv_kernel": (10, 8),
        "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "classifier_proj_size": 32,
        "apply_spec_augment": False,
    }
    return name, f"{prefix}ForSequenceClassification", f"{prefix}Config", data.tones, small


TABLE: tuple[Row, ...] = (
    _pictures("vit", "ViT"),
    _pictures("deit", "DeiT"),
    _pictures("beit", "Beit"),
    _pictures("data2vec-vision", "Data2VecVision"),
    _pictures("dinov2", "Dinov2"),
    _pictures("ijepa", "IJepa"),
    _pictures("vit-msn", "ViTMSN"),
    _pictures(
        "swin", "Swin", patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_layers=...
    ),
    _pictures(
        "swinv2", "Swinv2", patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_layers=...
    ),
    _pictures("convnext", "ConvNext", hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], patch_size=2),
    _pictures("convnextv2", "ConvNextV2", hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], patch_size=2),
    _pictures(
        "resnet", "ResNet", hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], embedding_size=16, layer_type="basic"
    ),
    _pictures(
        "regnet", "RegNet", hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], embedding_size=16, groups_width=8
    ),
    _pictures("poolformer", "PoolFormer", hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], patch_size=...),
    _pictures(
        "focalnet", "FocalNet", embed_dim=16, depths=[1, 1], focal_levels=[2, 2], focal_windows=[3, 3], patch_size=2
    ),
    _pictures(
        "pvt",
        "Pvt",
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        patch_size=...,
    ),
    _pictures(
        "pvt-v2",
        "PvtV2",
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        image_size=32,
    ),
    # transformers takes the paper's keep probability, 0.999, for that of dropping: check calls that SG109, and it does not train.
    _pictures("mobilenet-v1", "MobileNetV1", depth_multiplier=0.25, classifier_dropout_prob=0.001),
    _pictures("mobilenet-v2", "MobileNetV2", depth_multiplier=0.25, depth_divisible_by=8),
    _pictures(
        "segformer",
        "Segformer",
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=32,
    ),
    _pictures("swiftformer", "SwiftFormer", embed_dims=[16, 24, 32, 48], depths=[1, 1, 1, 1]),
    _tones("wav2vec2", "Wav2Vec2"),
    _tones("hubert", "Hubert"),
    _tones("wavlm", "WavLM"),
    _tones("unispeech", "UniSpeech"),
    _tones("data2vec-audio", "Data2VecAudio"),
)
