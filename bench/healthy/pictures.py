"""Vision models of ``timm``: their classes with arguments that keep one small, and the size of the pictures.

Blocks, stems, norms and initialisation stay the library's. ``timm`` is imported only when the table is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

Row = tuple[str, Callable[[], nn.Module], int]

VIT = {"img_size": 32, "patch_size": 4, "embed_dim": 48, "num_classes": 10}
FOUR = {"depths": (1, 1, 2, 1), "dims": (16, 32, 48, 64), "num_classes": 10}
SWIN = {"img_size": 32, "window_size": 4, "patch_size": 2, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4)}
SWIN |= {"num_classes": 10}


RATES = {"swinv2": 1e-3, "resmlp": 1e-3}
"""Those that need more than 150 steps to begin at the others' rate."""


def table() -> tuple[Row, ...]:
    """Name, how it is made, and the side of its pictures."""
    import timm
    from timm import models as m

    def named(name: str, **options: object) -> Callable[[], nn.Module]:
        return lambda: timm.create_model(name, num_classes=10, **options)

    narrow = {"channels": (16, 32, 48, 64), "num_classes": 10}
    return (
        ("resnet", lambda: m.resnet.ResNet(m.resnet.BasicBlock, [1, 1, 1, 1], **narrow), 32),
        ("resnet-bottleneck", lambda: m.resnet.ResNet(m.resnet.Bottleneck, [1, 1, 1, 1], **narrow), 32),
        (
            "resnet-d",
            lambda: m.resnet.ResNet(m.resnet.BasicBlock, [1] * 4, stem_type="deep", avg_down=True, **narrow),
            32,
        ),
        ("resnext", lambda: m.resnet.ResNet(m.resnet.Bottleneck, [1] * 4, cardinality=8, base_width=8, **narrow), 32),
        (
            "se-resnet",
            lambda: m.resnet.ResNet(m.resnet.BasicBlock, [1] * 4, block_args={"attn_layer": "se"}, **narrow),
            32,
        ),
        (
            "eca-resnet",
            lambda: m.resnet.ResNet(m.resnet.BasicBlock, [1] * 4, block_args={"attn_layer": "eca"}, **narrow),
            32,
        ),
        ("resnet-gn", lambda: m.resnet.ResNet(m.resnet.BasicBlock, [1] * 4, norm_layer="groupnorm1", **narrow), 32),
        ("densenet", lambda: m.densenet.DenseNet(8, (2, 2, 2, 2), num_classes=10), 32),
        ("regnetx", named("regnetx_002"), 32),
        ("regnety", named("regnety_002"), 32),
        ("mobilenetv2", named("mobilenetv2_035"), 64),
        ("mobilenetv3", named("mobilenetv3_small_050"), 32),
        ("lcnet", named("lcnet_035"), 64),
        ("ghostnet", named("ghostnet_050"), 32),
        ("mnasnet", named("mnasnet_small"), 64),
        ("tinynet", named("tinynet_e"), 32),
        ("starnet", named("starnet_s050"), 32),
        ("repghost", named("repghostnet_050"), 32),
        ("rexnet", lambda: m.rexnet.RexNet(width_mult=0.4, depth_mult=0.5, num_classes=10), 32),
        ("mobilevit", named("mobilevit_xxs"), 64),
        ("mobilevitv2", named("mobilevitv2_050"), 64),
        (
            "edgenext",
            lambda: m.edgenext.EdgeNeXt(depths=(1, 1, 2, 1), dims=(16, 32, 48, 64), heads=(2, 2, 2, 2), num_classes=10),
            64,
        ),
        ("convnext", lambda: m.convnext.ConvNeXt(**FOUR), 64),
        ("convnextv2", lambda: m.convnext.ConvNeXt(**FOUR, use_grn=True, ls_init_value=None), 64),
        ("inception-next", lambda: m.inception_next.MetaNeXt(**FOUR), 64),
        ("poolformer", lambda: m.metaformer.MetaFormer(**FOUR), 64),
        ("convformer", lambda: m.metaformer.MetaFormer(**FOUR, token_mixers=m.metaformer.SepConv), 64),
        ("fasternet", lambda: m.fasternet.FasterNet(embed_dim=16, depths=(1, 1, 2, 1), num_classes=10), 64),
        ("mambaout", lambda: m.mambaout.MambaOut(**FOUR), 64),
        (
            "pvtv2",
            lambda: m.pvt_v2.PyramidVisionTransformerV2(
                depths=(1,) * 4, embed_dims=(16, 24, 32, 48), num_heads=(1, 1, 2, 2), num_classes=10
            ),
            64,
        ),
        ("convmixer", lambda: m.convmixer.ConvMixer(32, 4, kernel_size=5, patch_size=4, num_classes=10), 32),
        ("vit", lambda: m.vision_transformer.VisionTransformer(**VIT, depth=4, num_heads=3), 32),
        ("vit-qk-norm", lambda: m.vision_transformer.VisionTransformer(**VIT, depth=4, num_heads=3, qk_norm=True), 32),
        (
            "vit-gap",
            lambda: m.vision_transformer.VisionTransformer(
                **VIT, depth=4, num_heads=3, global_pool="avg", class_token=False
            ),
            32,
        ),
        (
            "vit-layerscale",
            lambda: m.vision_transformer.VisionTransformer(**VIT, depth=4, num_heads=3, init_values=1e-5),
            32,
        ),
        (
            "vit-parallel",
            lambda: m.vision_transformer.VisionTransformer(
                **VIT, depth=4, num_heads=3, block_fn=m.vision_transformer.ParallelThingsBlock
            ),
            32,
        ),
        ("vit-relpos", lambda: m.vision_transformer_relpos.VisionTransformerRelPos(**VIT, depth=4, num_heads=3), 32),
        ("deit", lambda: m.deit.VisionTransformerDistilled(**VIT, depth=4, num_heads=3), 32),
        ("beit", lambda: m.beit.Beit(**VIT, depth=4, num_heads=3), 32),
        ("cait", lambda: m.cait.Cait(**VIT, depth=4, num_heads=4), 32),
        ("eva", lambda: m.eva.Eva(**VIT, depth=4, num_heads=4), 32),
        (
            "xcit",
            lambda: m.xcit.Xcit(img_size=32, patch_size=8, embed_dim=48, depth=4, num_heads=4, num_classes=10),
            32,
        ),
        ("mixer", lambda: m.mlp_mixer.MlpMixer(**VIT, num_blocks=4), 32),
        (
            "resmlp",
            lambda: m.mlp_mixer.MlpMixer(
                **VIT, num_blocks=4, block_layer=m.mlp_mixer.ResBlock, norm_layer=m.mlp_mixer.Affine, mlp_ratio=4
            ),
            32,
        ),
        ("swin", lambda: m.swin_transformer.SwinTransformer(**SWIN), 32),
        ("swinv2", lambda: m.swin_transformer_v2.SwinTransformerV2(**SWIN), 32),
        ("focalnet", lambda: m.focalnet.FocalNet(embed_dim=16, depths=(1, 1, 1, 1), num_classes=10), 64),
        (
            "volo",
            lambda: m.volo.VOLO(
                layers=[1, 1, 1, 1],
                img_size=64,
                embed_dims=[24, 48, 48, 48],
                num_heads=[2, 4, 4, 4],
                downsamples=(True, False, False, False),
                outlook_attention=(True, False, False, False),
                num_classes=10,
                use_mix_token=False,
            ),
            64,
        ),
        (
            "levit",
            lambda: m.levit.Levit(
                img_size=64, embed_dim=(32, 48, 64), depth=(1, 1, 1), num_heads=(2, 3, 4), key_dim=8, num_classes=10
            ),
            64,
        ),
        (
            "pit",
            lambda: m.pit.PoolingVisionTransformer(
                img_size=32,
                patch_size=4,
                stride=4,
                base_dims=(16, 16, 16),
                depth=(1, 1, 1),
                heads=(2, 2, 2),
                mlp_ratio=2.0,
                num_classes=10,
            ),
            32,
        ),
        ("convit", lambda: m.convit.ConVit(**VIT, depth=4, num_heads=4, local_up_to_layer=2), 32),
        (
            "tnt",
            lambda: m.tnt.TNT(
                img_size=32, patch_size=8, embed_dim=48, inner_dim=12, depth=3, num_heads_outer=4, num_classes=10
            ),
            32,
        ),
    )
