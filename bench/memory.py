"""Peak memory of a check on a large language model, beside that of one plain forward and backward.

    python -m bench.memory                        # one billion parameters
    python -m bench.memory --width 1024 --layers 12

Each measurement runs in a process of its own, so that its peak is its own. The model is ``transformers``' Llama with
random weights; the check is ``trial=0`` (the probe), then the default, whose step test is left out where a copy with
gradients and optimizer state does not fit.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

GIBIBYTE = 2.0**30


def built(width: int, layers: int):
    """The model and a batch of one sequence."""
    import torch
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=32_000,
        hidden_size=width,
        intermediate_size=int(2.6875 * width),
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    ids = torch.randint(0, 32_000, (1, 64))
    return model, {"input_ids": ids, "labels": ids}


def measure(what: str, width: int, layers: int) -> None:
    """One measurement, printed as a row."""
    model, batch = built(width, layers)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIBIBYTE
    began, said = time.perf_counter(), ""
    if what == "plain":
        model(**batch).loss.backward()
    else:
        import steadygrad

        report = steadygrad.check(model, batch, trial=0 if what == "probe" else 10)
        said = f"{report.verdict}, {report.trunk.decades:+.2f} decades" + "".join(f"; {note}" for note in report.notes)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIBIBYTE
    print(f"{what:10s} {parameters / 1e9:6.2f} {loaded:10.1f} {peak:9.1f} {seconds:9.1f}  {said}", flush=True)


def main() -> int:
    """Every measurement in its own process; 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=18)
    parser.add_argument("--only", choices=["plain", "probe", "check"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        measure(options.only, options.width, options.layers)
        return 0
    print(f"{'what':10s} {'10⁹ p.':>6s} {'model, GiB':>10s} {'peak, GiB':>9s} {'seconds':>9s}")
    failed = 0
    for what in [options.only] if options.only else ["plain", "probe", "check"]:
        size = ["--width", str(options.width), "--layers", str(options.layers)]
        failed |= subprocess.call([sys.executable, __file__, "--here", "--only", what, *size])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
