"""The nets of the truth table, written as people write them: one file a kind, each a plain ``nn.Module``.

A builder takes the number of inputs and outputs, which the task gives, and keyword arguments, which the row gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from bench.corpus.models import (
    attention,
    branched,
    dilated,
    equations,
    feedforward,
    generators,
    graphs,
    images,
    likeness,
    sequences,
    tables,
    values,
)

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "mlp": feedforward.MLP,
    "residual": feedforward.Residual,
    "mixer": feedforward.Mixer,
    "deepset": feedforward.DeepSet,
    "conv": images.Conv,
    "unet": images.UNet,
    "recurrent": sequences.Recurrent,
    "loop": sequences.Loop,
    "bag": sequences.Bag,
    "encoder": attention.Encoder,
    "decoder": attention.Decoder,
    "translator": attention.Translator,
    "autoencoder": generators.Autoencoder,
    "vae": generators.VAE,
    "gan": generators.GAN,
    "graph": graphs.Graph,
    "sage": graphs.Sage,
    "gat": graphs.GAT,
    "pinn": equations.PINN,
    "siren": equations.Siren,
    "triplet": likeness.Triplet,
    "siamese": likeness.Siamese,
    "contrast": likeness.Contrast,
    "qnet": values.QNet,
    "squeeze": branched.Squeeze,
    "inception": branched.Inception,
    "vit": branched.ViT,
    "tabular": tables.Tabular,
    "experts": tables.Experts,
    "tagger": tables.Tagger,
    "tcn": dilated.TCN,
}


def build(name: str, inputs: int, outputs: int, **parameters: Any) -> nn.Module:
    return BUILDERS[name](inputs, outputs, **parameters)
