"""Which planted cases come from other models than the rest, and were written without sight of any prediction?

table.py is what llmprof was developed with. held_out.py has the same scripts in other shapes and mixtures. The cases
here have models of their own (a llama, a vision transformer, a U-Net, an LSTM, a recommender, ...), and those of
held_out.py that were never run come after them. Sizes and `step_ms` follow from the same physics as in table.py; the
most informative cases come first.
"""

from __future__ import annotations

from collections.abc import Mapping

from case import Case, case, on_two_ranks
from held_out import HELD_OUT

__all__ = ["FRESH", "NEVER_RUN"]

NEVER_RUN = ("new-cache-flush", "healthy-encoder", "healthy-rows", "new-out-of-memory")
"""Cases of held_out.py for which no time was left."""

# fmt: off
_SLOW = "NCCL_P2P_DISABLE=1"

_RANKS = (
    case("labelled-manual", "gpt", "--layers 16 --width 1024 --heads 16 --seq 512 --batch 2 --vocab 50304 "
         "--reduce manual", "host communication", "one all-reduce for every parameter after the backward of a deep, "
         "narrow GPT, over NVLink", "grad-sync-per-parameter", "wrap-ddp cuda-graphs",
         {"wrap-ddp": "--reduce ddp", "cuda-graphs": "--compile reduce-overhead", "torch-compile": "--compile default",
          "wrap-ddp+cuda-graphs": "--reduce ddp --compile reduce-overhead"}, step_ms=50),
    case("fresh-lengths", "seq2seq", "--batch 12 --lengths apart", "imbalance compute", "the ranks read texts of "
         "different lengths in the same step of an encoder-decoder", "input-imbalance straggler-rank variable-shapes",
         "balance-batches", {"balance-batches": "--lengths together"}, step_ms=45, period=12),
    case("fresh-vit-link", "vision", f"--depth 8 --width 1792 --heads 28 --batch 24 --workers 4 {_SLOW}",
         "communication compute", "1.2 GB of gradients of a vision transformer without peer access",
         "slow-interconnect exposed-collectives fp32-gradients", "enable-p2p compress-gradients accumulate-gradients",
         {"enable-p2p": "NCCL_P2P_DISABLE=", "compress-gradients": "--compress"}, step_ms=56),
    case("fresh-fsdp-llama", "llama", f"--layers 6 --batch 4 --fsdp {_SLOW}", "communication compute",
         "340 million parameters gathered twice and reduced in fp32, without peer access",
         "fsdp-reshard fp32-gradients slow-interconnect", "enable-p2p fsdp-keep-unsharded reduce-in-bf16",
         {"fsdp-keep-unsharded": "--no-reshard", "reduce-in-bf16": "--reduce-dtype bf16",
          "enable-p2p": "NCCL_P2P_DISABLE="}, step_ms=60),
    case("fresh-first-rank", "llama", "--layers 4 --batch 8 --statistics 80000", "host imbalance",
         "statistics in plain Python on the first rank only, for which the other one waits",
         "python-overhead straggler-rank", "hoist-python repair-straggler", {"hoist-python": "--statistics 0"},
         step_ms=75),
    case("fresh-gloo", "vision", "--depth 8 --width 512 --heads 8 --patch 16 --batch 32 --workers 4 --backend gloo",
         "communication", "gradients of a small vision transformer exchanged with gloo, through the host", "ddp-misuse "
         "slow-interconnect exposed-collectives", "nccl-backend", {"nccl-backend": "--backend nccl"}, step_ms=60),
    case("fresh-tables-ranks", "tables", "--batch 4096 --optimizer sgd --workers 4", "communication memory",
         "5 GB of dense gradients of embedding tables reduced over NVLink", "fp32-gradients exposed-collectives",
         "compress-gradients accumulate-gradients larger-batch ddp-bucket-view",
         {"compress-gradients": "--compress", "ddp-bucket-view": "--bucket-view"}, step_ms=35),
    case("fresh-micro-steps", "seq2seq", f"--width 1024 --batch 10 --accumulate 3 --reduce-at every {_SLOW}",
         "communication compute host", "600 MB of gradients reduced in each of 3 micro-steps without peer access",
         "sync-every-microbatch slow-interconnect", "no-sync enable-p2p",
         {"no-sync": "--reduce-at last", "enable-p2p": "NCCL_P2P_DISABLE="}, step_ms=80),
    case("fresh-small-collectives", "llama", "--layers 6 --batch 6 --reduced-statistics each", "compute communication",
         "four statistics of each gradient reduced one by one, 230 collectives of one number", "tiny-collectives",
         "join-collectives", {"join-collectives": "--reduced-statistics joined"}, step_ms=45),
    case("healthy-vit-ranks", "vision", "--depth 8 --width 1536 --heads 12 --batch 80 --workers 6 --compile default "
         "--bucket-view", "compute", "compiled bf16 vision transformer on two ranks, reduction behind the backward",
         step_ms=62),
)
_ALONE = (
    case("fresh-lora", "llama", "--layers 8 --batch 8 --lora 16 --recompute", "compute", "every block of a frozen "
         "model recomputed to train narrow matrices beside it, with most of the memory free", "recompute-overuse",
         "drop-recompute", {"drop-recompute": "--no-recompute"}, step_ms=60),
    case("fresh-patches", "vision", "--depth 8 --width 1280 --heads 16 --size 336 --batch 24 --workers 6 --attention "
         "written", "compute memory", "attention over 576 patches written out, heads of 80", "unfused-attention",
         "sdpa-attention", {"sdpa-attention": "--attention sdpa"}, step_ms=58),
    case("fresh-split-text", "recurrent", "--batch 128 --split --workers 0", "data", "text split into words by the "
         "process that trains an LSTM", "input-starvation main-thread-preprocessing",
         "dataloader-workers preprocess-in-workers", {"dataloader-workers": "--workers {num_workers:4}"}, step_ms=90,
         period=4, rebuild=True),
    case("fresh-adversarial", "adversarial", "--precision fp32 --batch 256 --workers 4", "compute", "two networks with "
         "an optimizer each, convolutions in fp32 with TF32 off", "fp32-matmul", "tf32 bf16-autocast",
         {"tf32": "--precision tf32", "bf16-autocast": "--precision bf16"}, step_ms=65),
    case("fresh-hidden", "llama", "--layers 4 --batch 8 --hidden 5461", "compute", "gated layers of 8/3 of the width, "
         "not rounded: 5461", "misaligned-matmul", "align-dimensions", {"align-dimensions": "--hidden 5504"},
         step_ms=60),
    case("fresh-norms", "llama", "--layers 6 --batch 8 --norm written", "compute memory", "RMSNorm, rotary positions "
         "and gates written out", "unfused-norm unfused-elementwise low-bandwidth-kernels", "torch-compile fused-norm",
         {"torch-compile": "--compile default", "fused-norm": "--norm fused"}, step_ms=62),
    case("fresh-tables", "tables", "--rows 450000 --batch 8192 --optimizer foreach --workers 4", "memory",
         "1.5 billion parameters in embedding tables: foreach AdamW moves the memory",
         "unfused-optimizer bandwidth-bound", "fused-optimizer larger-batch accumulate-gradients 8bit-optimizer",
         {"fused-optimizer": "--optimizer fused"}, step_ms=45),
    case("fresh-storage", "vision", "--net depthwise --channels 96 --batch 32 --channels-last --io-ms 4 --workers 2",
         "data", "every sample waits 4 ms for storage, 2 workers", "input-starvation",
         "dataloader-workers packed-dataset", {"dataloader-workers": "--workers {num_workers:8}"}, step_ms=64,
         period=8, rebuild=True),
    case("fresh-layout", "vision", "--net unet --stages 1 1 1 1 --size 256 --batch 24 --workers 6", "compute memory",
         "a U-Net in bf16 on contiguous images", "conv-layout", "channels-last",
         {"channels-last": "--channels-last", "cudnn-benchmark": "--tuned"}, step_ms=60),
    case("fresh-cells", "recurrent", "--net cells --layers 3 --width 512 --seq 64 --batch 64", "host",
         "an LSTM written as a loop over time", "launch-bound tiny-kernels", "cuda-graphs torch-compile",
         {"cuda-graphs": "--graphs"}, step_ms=53),
    case("fresh-overlap", "vision", "--net unet --stages 1 1 1 1 --size 256 --batch 16 --channels-last --workers 6 "
         "--overlap-every 1", "host compute", "intersection over union on the host in every step of a U-Net",
         "host-sync python-overhead per-step-logging", "remove-sync hoist-python log-less-often",
         {"hoist-python": "--overlap-every 0", "log-less-often": "--overlap-every 10"}, step_ms=60, period=10),
    case("fresh-experts", "experts", "--batch 32", "compute host", "tokens sorted to experts one by one: the host "
         "waits for how many there are 64 times a step", "host-sync launch-bound tiny-kernels",
         "remove-sync torch-compile cuda-graphs", {"remove-sync": "--routing place"}, step_ms=50),
    case("fresh-parameters", "vision", "--depth 16 --width 768 --heads 12 --patch 16 --batch 64 --workers 4 "
         "--optimizer loop", "host", "AdamW over 200 parameters of a vision transformer one by one",
         "unfused-optimizer", "fused-optimizer foreach-optimizer torch-compile cuda-graphs",
         {"fused-optimizer": "--optimizer fused", "foreach-optimizer": "--optimizer foreach"}, step_ms=50),
    case("fresh-pageable", "vision", "--depth 8 --width 1024 --patch 32 --size 448 --batch 40 --workers 8 --pageable",
         "data", "blocking copies of 96 MB from pageable memory to a vision transformer", "pageable-transfers",
         "pin-memory", {"pin-memory": "--no-pageable"}, step_ms=32, period=8, rebuild=True),
    case("fresh-evaluation", "vision", "--net depthwise --channels 96 --batch 96 --channels-last --workers 6 "
         "--evaluate-every 8", "compute host", "8 batches evaluated every 8 steps, each loss read",
         "evaluation-stall", "evaluate-less-often", {"evaluate-less-often": "--evaluate-every 16"}, steps=112,
         step_ms=60, period=16),
    case("fresh-storage-tail", "vision", "--depth 8 --width 768 --heads 12 --batch 16 --io-ms 3 --tail 2 --workers 4",
         "data", "waits for storage vary lognormally (sigma 2), 4 workers with 2 batches each",
         "heavy-tailed-batches input-starvation", "dataloader-prefetch dataloader-workers packed-dataset",
         {"dataloader-prefetch": "--prefetch {prefetch_factor:8}", "dataloader-workers": "--workers {num_workers:12}"},
         step_ms=30, steps=120, period=30, rebuild=True),
    case("healthy-llama", "llama", "--layers 6 --width 3072 --heads 24 --kv-heads 8 --hidden 8192 --seq 2048 --batch 4 "
         "--compile default", "compute", "compiled bf16 llama", step_ms=75),
    case("healthy-lora", "llama", "--layers 6 --width 4096 --heads 32 --kv-heads 8 --hidden 14336 --seq 2048 --batch 3 "
         "--vocab 8192 --lora 16 --compile default", "compute", "narrow matrices trained beside a frozen, compiled "
         "model", step_ms=72),
    case("fresh-clip", "llama", "--layers 12 --width 1536 --heads 12 --hidden 4096 --batch 8 --clip item",
         "compute", "gradients clipped in a loop that reads every norm, of a model that keeps the device busy",
         "host-sync per-step-logging", "remove-sync log-less-often", {"remove-sync": "--clip device"}, step_ms=62),
    case("fresh-states", "llama", "--layers 16 --width 4096 --heads 32 --kv-heads 8 --hidden 11008 --batch 1 --vocab "
         "8192 --memory-fraction 0.25", "memory", "states of AdamW for 2.9 billion parameters do not fit, whatever "
         "the batch", "out-of-memory", "8bit-optimizer zero-sharding model-parallel", steps=30, fails=True),
)
# fmt: on

FRESH: Mapping[str, Case] = {
    one.id: one
    for one in (
        *on_two_ranks(_RANKS),
        *_ALONE,
        *(HELD_OUT[name] for name in NEVER_RUN),
    )
}
