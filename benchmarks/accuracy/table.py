"""Which bottlenecks are planted, and what is the truth about each? The table of the cases.

Sizes are chosen so that the planted bottleneck limits the step by physics: on an H200 some 350 TFLOP/s in bf16 and 50
in fp32 come out of a whole step, AdamW moves 28 bytes a parameter, the host needs about 2 ms for forward and backward
of a transformer layer, and two GPUs without peer access reduce about 30 GB/s (with NVLink ten times that).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

from case import Case, case, on_two_ranks
from fresh import FRESH
from held_out import HELD_OUT
from seventh import SEVENTH
from sixth import SIXTH

__all__ = ["CASES", "EVERY", "FRESH", "HELD_OUT", "MORE", "SEVENTH", "SIXTH"]

# fmt: off
_DEEP = "--layers 32 --width 256 --batch 256"
_GPT = "--layers 4 --width 2048 --heads 16"
_SMALL = "--layers 4 --width 1536 --heads 12"
_IMAGES = "--batch 32 --channels-last"
_WORKERS = {"dataloader-workers": "--workers {num_workers:12}"}
_SLOW = "NCCL_P2P_DISABLE=1"

_DATA = (
    case("data-decode", "convnet", f"{_IMAGES} --views 2 --workers 3", "data",
         "images decoded and augmented on the CPU, 3 workers", "input-starvation", "dataloader-workers", _WORKERS,
         period=6, rebuild=True),
    case("data-io", "convnet", f"{_IMAGES} --views 0 --io-ms 6 --workers 3", "data",
         "every sample waits 6 ms for storage, 3 workers", "input-starvation", "dataloader-workers packed-dataset",
         _WORKERS, period=6, rebuild=True),
    case("data-all-cores", "convnet", f"{_IMAGES} --views 8 --workers 14", "data",
         "decoding takes more cores than there are, 14 workers", "input-starvation",
         "offline-preprocessing packed-dataset", {"offline-preprocessing": "--views 0"}, period=14, rebuild=True,
         step_ms=55),
    case("data-heavy-tail", "convnet", "--batch 12 --channels-last --views 2 --tail 1.6 --workers 4", "data",
         "work a sample varies lognormally (sigma 1.6), 4 workers with 2 batches each",
         "heavy-tailed-batches input-starvation", "dataloader-prefetch dataloader-workers",
         {"dataloader-prefetch": "--prefetch {prefetch_factor:8}", "dataloader-workers": "--workers {num_workers:12}"},
         steps=120, period=30, rebuild=True, step_ms=35),
    case("data-pageable", "convnet", "--batch 160 --size 224 --channels 128 --stages 1 1 1 --channels-last --views 0 "
         "--workers 8 --pageable", "data", "blocking copies of 96 MB from pageable memory", "pageable-transfers",
         "pin-memory", {"pin-memory": "--no-pageable"}, period=8, rebuild=True, step_ms=45),
    case("data-in-loop", "convnet", "--batch 12 --channels-last --views 1 --load loop", "data host",
         "images decoded in the training loop, although the loader has workers", "main-thread-preprocessing",
         "preprocess-in-workers", {"preprocess-in-workers": "--load workers --workers 8"}, period=8, rebuild=True,
         step_ms=60),
    case("data-epochs", "convnet", f"{_IMAGES} --views 1 --workers 8 --epoch 16", "data",
         "epochs of 16 steps, workers started anew for each", "epoch-boundary-stall", "persistent-workers",
         {"persistent-workers": "--persistent"}, steps=112, period=16, step_ms=35),
)
_HOST = (
    case("host-tiny-kernels", "mlp", _DEEP, "host", "32 narrow layers of small operations",
         "launch-bound tiny-kernels", "torch-compile cuda-graphs",
         {"cuda-graphs": "--compile reduce-overhead", "torch-compile": "--compile default"}, step_ms=28),
    case("host-sync-layers", "mlp", f"{_DEEP} --sync layer", "host",
         "a norm read on the host in each of 32 layers of a model that waits for launches anyway",
         "launch-bound host-sync", "torch-compile cuda-graphs remove-sync",
         {"remove-sync": "--sync none", "remove-sync+cuda-graphs": "--sync none --compile reduce-overhead"},
         step_ms=30),
    case("host-python", "mlp", "--layers 12 --width 4096 --batch 2048 --statistics 20000", "host",
         "statistics in plain Python after every step", "python-overhead", "hoist-python",
         {"hoist-python": "--statistics 0"}, step_ms=36),
    case("host-optimizer", "mlp", "--layers 32 --width 768 --batch 512 --optimizer loop", "host",
         "AdamW over 260 parameters one by one", "unfused-optimizer",
         "fused-optimizer foreach-optimizer torch-compile cuda-graphs",
         {"fused-optimizer": "--optimizer fused", "foreach-optimizer": "--optimizer foreach",
          "cuda-graphs": "--compile reduce-overhead"}, step_ms=50),
    case("host-gc", "gpt", f"{_SMALL} --batch 8 --seq 512 --objects 400000 --collect-every 5", "host",
         "a full garbage collection over 1.2 million objects every 5 steps", "python-gc", "gc-policy",
         {"gc-policy": "--collect-every 0"}, period=5, step_ms=58),
    case("host-cache-flush", "gpt", f"{_SMALL} --batch 8 --seq 512 --flush-cache", "host memory",
         "empty_cache() after every step", "cache-flush", "stop-cache-flush",
         {"stop-cache-flush": "--no-flush-cache"}, step_ms=21),
    case("host-checkpoint", "gpt", "--layers 3 --width 512 --heads 8 --seq 1024 --batch 16 --vocab 8192 "
         "--checkpoint-every 15", "host compute", "a checkpoint of 170 MB written every 15 steps", "checkpoint-stall",
         "async-checkpoint", {"async-checkpoint": "--checkpoint async"}, steps=105, period=15, step_ms=28),
    case("host-evaluation", "gpt", f"{_SMALL} --batch 8 --seq 512 --evaluate-every 12", "host compute",
         "16 batches evaluated every 12 steps", "evaluation-stall", "evaluate-less-often",
         {"evaluate-less-often": "--evaluate-every 24"}, steps=96, period=24, step_ms=20),
    case("host-debug", "mlp", "--layers 24 --width 1024 --batch 4096 CUDA_LAUNCH_BLOCKING=1", "host",
         "CUDA_LAUNCH_BLOCKING=1 forgotten", "debug-switches", "debug-off", {"debug-off": "CUDA_LAUNCH_BLOCKING="}),
)
_COMPUTE = (
    case("compute-fp32", "gpt", f"{_GPT} --batch 4 --seq 512 --precision fp32", "compute",
         "fp32 matrix products with TF32 off", "fp32-matmul", "bf16-autocast tf32",
         {"bf16-autocast": "--precision bf16", "tf32": "--precision tf32"}),
    case("compute-tf32", "gpt", f"{_GPT} --batch 8 --seq 1024 --precision tf32", "compute",
         "fp32 with TF32 on", "fp32-matmul", "bf16-autocast", {"bf16-autocast": "--precision bf16"}),
    case("compute-written-attention", "gpt", "--layers 4 --width 1024 --heads 16 --seq 2048 --batch 6 "
         "--attention written", "compute memory", "attention written out, 2048 tokens", "unfused-attention",
         "sdpa-attention", {"sdpa-attention": "--attention sdpa"}),
    case("compute-encoder-attention", "gpt", "--layers 6 --width 768 --heads 12 --seq 512 --batch 40 --bidirectional "
         "--attention written", "compute memory", "an encoder with attention written out, 512 tokens",
         "unfused-attention", "sdpa-attention", {"sdpa-attention": "--attention sdpa"}),
    case("compute-vocabulary", "gpt", "--layers 2 --width 1024 --seq 1024 --batch 16 --vocab 50257", "compute memory",
         "a vocabulary of 50257", "misaligned-matmul", "pad-vocabulary", {"pad-vocabulary": "--vocab 50304"}),
    case("compute-recompute", "gpt", f"{_GPT} --batch 8 --seq 1024 --recompute", "compute",
         "every block recomputed, with most of the memory free", "recompute-overuse", "drop-recompute",
         {"drop-recompute": "--no-recompute"}),
    case("compute-elementwise", "gpt", f"{_SMALL} --batch 16 --seq 1024 --activation written", "compute memory",
         "GELU written out as a chain of operations", "unfused-elementwise", "torch-compile",
         {"torch-compile": "--compile default"}),
    case("compute-cross-entropy", "gpt", "--layers 2 --width 768 --heads 12 --seq 1024 --batch 12 --vocab 131072",
         "compute memory", "logits of 131072 words in fp32", "unfused-cross-entropy", "fused-cross-entropy",
         {"fused-cross-entropy": "--loss fused"}),
    case("compute-layout", "convnet", "--batch 160 --views 0 --workers 10", "compute memory",
         "convolutions in bf16 on contiguous images", "conv-layout", "channels-last",
         {"channels-last": "--channels-last"}),
    case("compute-sync-step", "gpt", f"{_GPT} --batch 8 --seq 1024 --sync step", "compute",
         "the loss read on the host after every step of a model with long kernels", "host-sync per-step-logging",
         "", {"remove-sync": "--sync none"}),
    case("memory-bandwidth", "gpt", "--layers 4 --width 4096 --heads 32 --seq 128 --batch 1 --vocab 8192 "
         "--optimizer foreach", "memory", "800 million parameters and 128 tokens a step: AdamW moves the memory",
         "unfused-optimizer bandwidth-bound", "fused-optimizer larger-batch accumulate-gradients 8bit-optimizer",
         {"fused-optimizer": "--optimizer fused"}),
)
_CAPACITY = (
    case("memory-out", "gpt", f"{_SMALL} --seq 2048 --batch 64 --memory-fraction 0.15", "memory",
         "a batch that does not fit", "out-of-memory",
         "smaller-batch activation-checkpointing expandable-segments", steps=30, fails=True),
    case("memory-retries", "gpt", f"{_SMALL} --batch 8 --seq 2048 --ragged random --tight 1.12", "memory",
         "lengths that change with every step, in little more memory than the longest needs",
         "allocator-retries fragmentation memory-near-limit", "expandable-segments bucket-lengths static-shapes "
         "smaller-batch activation-checkpointing",
         {"expandable-segments": "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"}, period=10),
    case("memory-needs-recompute", "gpt", f"{_SMALL} --batch 8 --seq 2048 --recompute --tight 1.1", "compute memory",
         "blocks recomputed for a good reason: without that the memory is too small", "", ""),
)
_HEALTHY = (
    case("healthy-gpt", "gpt", f"{_GPT} --seq 2048 --batch 8 --compile default", "compute",
         "compiled bf16 GPT with flash attention"),
    case("healthy-convnet", "convnet", "--batch 192 --channels-last --views 0 --workers 12", "compute memory",
         "a big batch in channels_last and bf16, cheap samples", "", "", {"dataloader-workers": "--workers 14"}),
    case("healthy-loader", "convnet", "--batch 96 --channels 384 --channels-last --views 1 --workers 12",
         "compute memory", "images decoded by enough workers"),
    case("healthy-ddp", "gpt", f"{_GPT} --seq 2048 --batch 8 --compile default --bucket-view", "compute",
         "compiled bf16 GPT on two ranks, reduction hidden behind the backward", ranks=2),
)
_RANKS = (
    case("comm-accumulate", "gpt", f"{_SMALL} --seq 512 --batch 2 --vocab 8192 --accumulate 4 --reduce-at every "
         f"{_SLOW}", "communication", "140 million gradients reduced in each of 4 micro-steps",
         "sync-every-microbatch", "no-sync enable-p2p", {"no-sync": "--reduce-at last"}, steps=80),
    case("imbalance-compute", "gpt", f"{_GPT} --seq 1024 --batch 4 --slow-rank 14", "imbalance compute",
         "14 more matrix products on the last rank", "straggler-rank", "repair-straggler balance-batches",
         {"repair-straggler": "--slow-rank 0"}),
    case("fsdp-reshard", "fsdp", f"{_GPT} --seq 512 --batch 2 --vocab 8192 {_SLOW}", "communication",
         "parameters gathered again in the backward, with room to keep them", "fsdp-reshard",
         "fsdp-keep-unsharded enable-p2p", {"fsdp-keep-unsharded": "--no-reshard"}),
    case("pipeline-bubble", "pipeline", "--layers 8 --width 2048 --heads 16 --seq 1024 --batch 16 --microbatches 2",
         "imbalance communication", "two stages and two micro-batches", "pipeline-bubble", "more-microbatches",
         {"more-microbatches": "--microbatches {n_microbatches:4}"}),
    case("comm-slow-link", "gpt", f"{_GPT} --seq 512 --batch 4 --vocab 8192 {_SLOW}", "communication",
         "DDP of 230 million parameters without peer access", "slow-interconnect exposed-collectives",
         "enable-p2p compress-gradients", {"enable-p2p": "NCCL_P2P_DISABLE=", "compress-gradients": "--compress"}),
    case("imbalance-data", "gpt", f"{_GPT} --seq 1024 --batch 4 --slow-loader-ms 25", "data imbalance",
         "samples of the last rank take 25 ms longer, 2 workers", "input-starvation straggler-rank input-imbalance",
         "repair-straggler balance-batches dataloader-workers", {"dataloader-workers": "--workers {num_workers:8}"},
         period=4, rebuild=True),
    case("comm-manual", "gpt", f"{_GPT} --seq 512 --batch 4 --vocab 8192 --reduce manual {_SLOW}",
         "communication", "one all-reduce for every parameter after the backward", "grad-sync-per-parameter",
         "wrap-ddp enable-p2p", {"wrap-ddp": "--reduce ddp"}),
    case("comm-fp32-gradients", "gpt", "--layers 4 --width 4096 --heads 32 --seq 512 --batch 1 --vocab 8192 "
         "--optimizer sgd", "communication compute memory", "fp32 gradients of 800 million parameters over NVLink, "
         "512 tokens a rank", "fp32-gradients exposed-collectives",
         "compress-gradients accumulate-gradients larger-batch", {"compress-gradients": "--compress"}),
    case("comm-buckets", "gpt", f"--layers 12 --width 640 --heads 10 --seq 256 --batch 4 --vocab 8192 --bucket-mb 0.5 "
         f"{_SLOW}", "communication host", "DDP buckets of 0.5 MB", "small-ddp-buckets",
         "ddp-bucket-size enable-p2p", {"ddp-bucket-size": "--bucket-mb {bucket_cap_mb:25}"}),
)
_MORE = (  # each for one rule that no case above is about
    case("data-pinned-blocking", "convnet", "--batch 160 --size 224 --channels 128 --stages 1 1 1 --channels-last "
         "--views 0 --workers 8 --blocking", "data compute", "blocking copies of 96 MB of pinned memory",
         "exposed-input-copy", "pin-memory prefetch-to-device"),
    case("data-pinned-exposed", "convnet", "--batch 160 --size 224 --channels 128 --stages 1 1 1 --channels-last "
         "--views 0 --workers 8", "data compute", "copies of 96 MB on the stream that computes",
         "exposed-input-copy", "prefetch-to-device", {"compact-batches": "--compact"}, period=8, rebuild=True,
         step_ms=40),
    case("data-many-workers", "convnet", f"{_IMAGES} --views 2 --workers 16 ACCURACY_CORES=0,1,2,3", "data",
         "16 workers on 4 cores", "worker-count-over-cores", "dataloader-workers offline-preprocessing"),
    case("host-shapes", "gpt", f"{_GPT} --batch 8 --seq 512 --select", "compute host",
         "rows chosen by their values after every block", "host-sync", "remove-sync"),
    case("host-logging", "gpt", f"{_GPT} --batch 4 --seq 512 --log-norms 40", "host compute",
         "40 norms of gradients read in every step", "per-step-logging", "log-less-often"),
    case("host-churn", "gpt", f"{_GPT} --batch 8 --seq 512 --ragged growing", "host compute",
         "sequences one token longer in every step", "allocator-churn variable-shapes",
         "static-shapes expandable-segments bucket-lengths"),
    case("host-hiccups", "gpt", f"{_SMALL} --batch 8 --seq 512 --hiccup-ms 300", "host compute",
         "300 ms of sleep at six steps of a hundred", "step-outliers", "", steps=100),
    case("host-drift", "gpt", f"{_SMALL} --batch 8 --seq 512 --growing-work 1500", "host compute",
         "a list that is walked in every step, and grows", "step-drift", "hoist-python", steps=300),
    case("memory-leak", "gpt", "--layers 2 --width 512 --heads 8 --seq 512 --batch 16 --vocab 8192 --leak-mib 8",
         "host compute", "8 MiB kept in every step", "memory-creep", "", steps=500),
    case("compute-flash2", "gpt", "--layers 4 --width 1024 --heads 8 --seq 8192 --batch 2 --vocab 8192 "
         "--attention flash", "compute", "8192 tokens with the flash attention of version 2",
         "slow-attention-backend", "fused-attention-backend", {"fused-attention-backend": "--attention cudnn"}),
    case("compute-mask", "gpt", "--layers 4 --width 1024 --heads 8 --seq 4096 --batch 4 --vocab 8192 "
         "--attention mask", "compute", "a causal mask given as a tensor", "slow-attention-backend",
         "fused-attention-backend", {"fused-attention-backend": "--attention sdpa"}),
    case("compute-casts", "gpt", f"{_SMALL} --batch 16 --seq 1024 --casts", "compute memory",
         "q, k and v copied and cast back and forth", "layout-copies", "keep-layout torch-compile"),
    case("comm-find-unused", "mlp", "--layers 48 --width 256 --batch 512 --find-unused", "host communication",
         "find_unused_parameters with none unused", "ddp-misuse", "static-graph torch-compile cuda-graphs",
         {"static-graph": "--no-find-unused"}, ranks=2),
    case("comm-small-reductions", "gpt", f"{_SMALL} --batch 8 --seq 512 --small-reductions 60",
         "communication host compute", "60 numbers reduced one by one in every step", "tiny-collectives",
         "join-collectives", {"join-collectives": "--small-reductions 1"}, ranks=2, steps=90),
    case("comm-buffers", "convnet", "--batch 24 --channels-last --views 0 --workers 4 --broadcast",
         "communication host", "buffers of 52 BatchNorms broadcast in every step", "tiny-collectives",
         "skip-buffer-broadcast torch-compile cuda-graphs", {"skip-buffer-broadcast": "--no-broadcast"}, ranks=2),
    case("fsdp-fp32-reduce", "fsdp", f"{_GPT} --seq 512 --batch 2 --vocab 8192 --no-reshard {_SLOW}",
         "communication", "gradients reduced in fp32 without peer access", "fp32-gradients",
         "reduce-in-bf16 enable-p2p", {"reduce-in-bf16": "--reduce-dtype bf16"}, ranks=2, steps=90),
    case("pipeline-stages", "pipeline", "--layers 12 --width 2048 --heads 16 --seq 1024 --batch 16 "
         "--microbatches 8 --tilt 3", "imbalance compute communication", "three of twelve layers on the first stage",
         "stage-imbalance", "balance-stages", {"balance-stages": "--tilt 0"}, ranks=2, steps=90),
    case("comm-manual-nvlink", "gpt", "--layers 12 --width 1024 --heads 16 --seq 512 --batch 2 --reduce manual",
         "communication host", "one all-reduce for every parameter after the backward, over NVLink",
         "grad-sync-per-parameter", "wrap-ddp cuda-graphs",
         {"wrap-ddp": "--reduce ddp", "cuda-graphs": "--compile reduce-overhead"}, ranks=2, steps=90),
    case("pipeline-more", "pipeline", "--layers 8 --width 2048 --heads 16 --seq 2048 --batch 16 --microbatches 4",
         "imbalance communication compute", "two stages and four micro-batches", "pipeline-bubble",
         "more-microbatches", {"more-microbatches": "--microbatches {n_microbatches:8}"}, ranks=2, steps=90),
    case("memory-logits", "gpt", "--layers 2 --width 768 --heads 12 --seq 1024 --batch 12 --vocab 131072 --tight 1.04",
         "compute memory", "logits of 131072 words fill the memory", "logits-spike memory-near-limit",
         "fused-cross-entropy expandable-segments", {"fused-cross-entropy": "--loss fused"}),
)
# fmt: on

CASES: Mapping[str, Case] = {
    one.id: one
    for one in (
        *on_two_ranks(_RANKS),
        *_DATA, *_HEALTHY, *_CAPACITY, *_COMPUTE, *_HOST,
    )
}  # fmt: skip
"""Every case by its id, in the order in which they are run: time may end before the last."""

MORE: Mapping[str, Case] = {one.id: one for one in _MORE}
"""Cases for one rule each; run on request."""

EVERY: Mapping[str, Case] = {**CASES, **MORE, **HELD_OUT, **FRESH, **SIXTH, **SEVENTH}
