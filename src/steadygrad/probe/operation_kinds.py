"""The kind of a torch function for a gradient, by its name. A new operation is a new word here."""

from __future__ import annotations

_NAMES = {
    "activation": """relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu selu_ celu celu_ gelu silu silu_ mish mish_ sigmoid
        sigmoid_ tanh tanh_ hardtanh hardtanh_ hardsigmoid hardswish softplus softsign logsigmoid tanhshrink hardshrink
        softshrink prelu rrelu rrelu_ threshold threshold_ glu sin sin_ erf expit clamp clamp_ clip clamp_min clamp_min_ cos""",
    "linear": """linear bilinear addmm addbmm baddbmm matmul __matmul__ __rmatmul__ mm bmm mv einsum tensordot conv1d conv2d
        conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution inner outer chain_matmul unfold fold""",
    "normalisation": """batch_norm layer_norm rms_norm group_norm instance_norm local_response_norm normalize
        native_batch_norm native_layer_norm""",
    "attention": "scaled_dot_product_attention multi_head_attention_forward softmax",
    "pooling": """mean adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d
        max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d max amax logsumexp interpolate upsample
        lp_pool2d boolean_dispatch _max_pool1d _max_pool2d _max_pool3d""",
    "loss": """cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
        binary_cross_entropy_with_logits kl_div poisson_nll_loss gaussian_nll_loss cosine_embedding_loss
        margin_ranking_loss triplet_margin_loss hinge_embedding_loss ctc_loss multi_margin_loss soft_margin_loss
        multilabel_margin_loss multilabel_soft_margin_loss log_softmax""",
    "recurrent": "rnn_tanh rnn_relu lstm gru rnn_tanh_cell rnn_relu_cell lstm_cell gru_cell",
    "embedding": "embedding embedding_bag",
    "dropout": "dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout",
    "shape": """view reshape flatten unflatten permute transpose transpose_ t __getitem__ getitem select narrow slice split chunk
        unbind cat concat concatenate stack hstack vstack squeeze unsqueeze squeeze_ unsqueeze_ expand expand_as contiguous
        clone to type type_as float double half bfloat16 __get__ movedim swapaxes roll flip pad gather index_select take
        repeat repeat_interleave tile broadcast_to pixel_shuffle pixel_unshuffle view_as reshape_as tensor_split diagonal
        masked_select scatter scatter_ index_add index_copy __setitem__ copy_ requires_grad_ tril triu where masked_fill
        masked_fill_ view_as_real view_as_complex real imag channel_shuffle _pad positive __pos__ detach""",
    "arithmetic": """add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ rsub __isub__ mul mul_ __mul__ __rmul__ __imul__
        multiply div div_ __truediv__ __rtruediv__ __itruediv__ divide true_divide neg __neg__ pow __pow__ __rpow__ sqrt
        rsqrt exp log log1p log2 log10 expm1 abs square sum cumsum prod addcmul addcdiv lerp subtract norm vector_norm
        reciprocal sign round floor ceil var std minimum maximum""",
}

_KIND = {name: kind for kind, names in _NAMES.items() for name in names.split()}

PASS_THROUGH = frozenset({"shape", "dropout"})
"""Kinds that hand a gradient on without weighing it; with additions they make a skip."""

SUMS = frozenset(
    [
        "add",
        "add_",
        "__add__",
        "__radd__",
        "__iadd__",
        "sub",
        "sub_",
        "__sub__",
        "__rsub__",
        "rsub",
        "__isub__",
        "subtract",
        "neg",
        "__neg__",
        "sum",
    ]
)

CAUSE_OF = {
    "activation": "activation derivative",
    "linear": "weight scale",
    "normalisation": "normalisation",
    "attention": "attention",
    "pooling": "pooling",
    "loss": "loss",
    "recurrent": "recurrence",
    "embedding": "weight scale",
    "arithmetic": "arithmetic",
}


def kind_of(name: str) -> str:
    """One of ``record.trace.KINDS``; "other" for a name that is not known."""
    return _KIND.get(name) or _KIND.get(name.lstrip("_"), "other")
