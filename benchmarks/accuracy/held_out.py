"""Which planted cases was nothing developed with? Other shapes, batches and mixtures than those in table.py.

The models are those of table.py; cases with other models are in fresh.py. What llmprof says about them is to be read
only from a frozen run. The most informative cases come first, and sizes follow from the same physics as in table.py;
`step_ms` is an estimate from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from case import Case, case, on_two_ranks

__all__ = ["HELD_OUT"]

# fmt: off
_SLOW = "NCCL_P2P_DISABLE=1"

_RANKS = (
    case("new-nvlink-accumulate", "gpt", "--layers 4 --width 4096 --heads 32 --seq 512 --batch 1 --vocab 8192 "
         "--optimizer sgd --accumulate 6 --reduce-at every", "communication compute host",
         "3.5 GB of gradients reduced over NVLink in each of 6 micro-steps", "sync-every-microbatch",
         "no-sync compress-gradients", {"no-sync": "--reduce-at last"}),
    case("new-fsdp-bf16", "fsdp", "--layers 6 --width 3072 --heads 24 --seq 512 --batch 2 --vocab 8192 "
         f"--reduce-dtype bf16 {_SLOW}", "communication", "680 million parameters gathered twice a step in bf16 "
         "without peer access", "fsdp-reshard slow-interconnect", "fsdp-keep-unsharded enable-p2p",
         {"fsdp-keep-unsharded": "--no-reshard", "enable-p2p": "NCCL_P2P_DISABLE="}),
    case("new-loader-rank", "gpt", "--layers 6 --width 1536 --heads 12 --seq 512 --batch 8 --slow-loader-ms 9",
         "data imbalance", "samples of the last rank take 9 ms longer, 8 a batch, 2 workers",
         "input-starvation straggler-rank input-imbalance", "dataloader-workers repair-straggler balance-batches",
         {"dataloader-workers": "--workers {num_workers:6}"}, step_ms=38, period=4, rebuild=True),
    case("new-straggler-link", "gpt", "--layers 3 --width 2048 --heads 16 --seq 1024 --batch 4 --vocab 8192 "
         f"--slow-rank 16 {_SLOW}", "imbalance communication compute", "16 more matrix products on the last rank, and "
         "no peer access", "straggler-rank", "repair-straggler enable-p2p balance-batches",
         {"repair-straggler": "--slow-rank 0", "enable-p2p": "NCCL_P2P_DISABLE="}),
    case("new-attention-link", "gpt", "--layers 4 --width 1536 --heads 12 --seq 2048 --batch 4 --vocab 8192 "
         f"--attention written {_SLOW}", "compute memory communication", "attention written out, which hides a "
         "reduction without peer access", "unfused-attention", "sdpa-attention",
         {"sdpa-attention": "--attention sdpa", "enable-p2p": "NCCL_P2P_DISABLE="}),
    case("new-ddp-decode", "convnet", "--batch 24 --channels-last --views 2 --workers 3", "data",
         "images decoded by 3 workers on each of two ranks", "input-starvation",
         "dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-workers": "--workers {num_workers:8}"}, step_ms=50, period=6, rebuild=True),
    case("new-gpipe", "pipeline", "--layers 6 --width 2560 --heads 20 --seq 512 --batch 24 --vocab 8192 "
         "--microbatches 3 --schedule gpipe", "imbalance communication compute", "two stages and three micro-batches, "
         "all forwards first", "pipeline-bubble", "more-microbatches",
         {"more-microbatches": "--microbatches {n_microbatches:6}"}),
    case("new-ddp-small-kernels", "mlp", "--layers 40 --width 512 --batch 1024 --optimizer foreach",
         "host communication", "40 narrow layers on two ranks", "launch-bound tiny-kernels",
         "torch-compile cuda-graphs fused-optimizer static-graph",
         {"torch-compile": "--compile default", "fused-optimizer": "--optimizer fused"}, step_ms=45),
    case("new-slow-link", "gpt", "--layers 6 --width 1792 --heads 14 --seq 512 --batch 4 --vocab 16384 --compress "
         f"{_SLOW}", "communication host compute", "290 million gradients without peer access, compressed already",
         "slow-interconnect exposed-collectives", "enable-p2p accumulate-gradients",
         {"enable-p2p": "NCCL_P2P_DISABLE="}),
    case("healthy-wide-ddp", "gpt", "--layers 6 --width 3072 --heads 24 --seq 1024 --batch 8 --vocab 8192 "
         "--compile default --bucket-view", "compute", "compiled bf16 GPT of 700 million parameters on two ranks"),
)
_ALONE = (
    case("new-decode-nchw", "convnet", "--batch 64 --views 1 --workers 4", "data", "images decoded by 4 workers for "
         "convolutions in bf16 on contiguous images", "input-starvation",
         "dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-workers": "--workers {num_workers:12}", "channels-last": "--channels-last"}, step_ms=55, period=4,
         rebuild=True),
    case("new-gelu-vocabulary", "gpt", "--layers 4 --width 1280 --heads 10 --seq 1024 --batch 12 --vocab 30011 "
         "--activation written", "compute memory", "GELU written out, and a vocabulary of 30011",
         "misaligned-matmul unfused-elementwise", "pad-vocabulary torch-compile fused-cross-entropy",
         {"pad-vocabulary": "--vocab 30016", "torch-compile": "--compile default"}, step_ms=60),
    case("new-layout", "convnet", "--batch 128 --size 160 --channels 320 --views 0 --workers 8", "compute memory",
         "wide convolutions in bf16 on contiguous images", "conv-layout", "channels-last",
         {"channels-last": "--channels-last"}, step_ms=50),
    case("new-recompute-sync", "gpt", "--layers 6 --width 1792 --heads 14 --seq 1024 --batch 8 --recompute --sync "
         "layer",
         "compute", "every block recomputed, and its largest activation read on the host", "recompute-overuse",
         "drop-recompute", {"drop-recompute": "--no-recompute", "remove-sync": "--sync none"}, step_ms=60),
    case("new-encoder", "gpt", "--layers 8 --width 512 --heads 8 --seq 1024 --batch 16 --bidirectional --attention "
         "written",
         "compute memory", "a narrow encoder with attention written out, 1024 tokens", "unfused-attention",
         "sdpa-attention", {"sdpa-attention": "--attention sdpa"}, step_ms=50),
    case("new-foreach-wide", "mlp", "--layers 6 --width 8192 --batch 256 --optimizer foreach", "memory",
         "800 million parameters and 256 rows a step: foreach AdamW moves the memory", "unfused-optimizer "
         "bandwidth-bound",
         "fused-optimizer larger-batch accumulate-gradients 8bit-optimizer", {"fused-optimizer": "--optimizer fused"},
         step_ms=25),
    case("new-storage-and-decode", "convnet", "--batch 96 --channels-last --views 1 --io-ms 3 --workers 8", "data",
         "every sample waits 3 ms for storage and is decoded, 8 workers", "input-starvation",
         "dataloader-workers packed-dataset offline-preprocessing",
         {"dataloader-workers": "--workers {num_workers:14}"}, step_ms=75, period=8, rebuild=True),
    case("new-gc", "gpt", "--layers 6 --width 1024 --heads 16 --batch 8 --seq 512 --objects 150000 --collect-every 3 "
         "--sync step", "host", "a full garbage collection over 450000 objects every 3 steps, and the loss read in "
         "each",
         "python-gc", "gc-policy", {"gc-policy": "--collect-every 0", "remove-sync": "--sync none"}, step_ms=40,
         period=3),
    case("new-statistics", "mlp", "--layers 8 --width 6144 --batch 3072 --statistics 80000", "host compute",
         "statistics in plain Python after every step of a model that keeps the device busy", "python-overhead",
         "hoist-python", {"hoist-python": "--statistics 0"}, step_ms=70),
    case("new-fp32-convnet", "convnet", "--precision fp32 --batch 96 --channels-last --views 0 --workers 6", "compute",
         "convolutions in fp32 with TF32 off", "fp32-matmul", "bf16-autocast tf32",
         {"bf16-autocast": "--precision bf16", "tf32": "--precision tf32"}, step_ms=60),
    case("new-loop-optimizer", "mlp", "--layers 24 --width 384 --batch 128 --optimizer loop --sync step", "host",
         "AdamW over 200 parameters one by one, and the loss read in every step", "unfused-optimizer launch-bound",
         "fused-optimizer foreach-optimizer torch-compile cuda-graphs",
         {"fused-optimizer": "--optimizer fused", "remove-sync": "--sync none"}, step_ms=40),
    case("new-logits", "gpt", "--layers 3 --width 1024 --heads 16 --seq 512 --batch 20 --vocab 98304 --log-norms 20",
         "compute memory", "logits of 98304 words in fp32, and 20 norms read in every step",
         "unfused-cross-entropy per-step-logging", "fused-cross-entropy",
         {"fused-cross-entropy": "--loss fused", "log-less-often": "--log-norms 0"}, step_ms=35),
    case("new-save-and-evaluate", "gpt", "--layers 3 --width 640 --heads 10 --seq 512 --batch 16 --vocab 8192 "
         "--checkpoint-every 20 --evaluate-every 10", "host compute", "a checkpoint of 300 MB every 20 steps, 16 "
         "batches evaluated every 10", "checkpoint-stall evaluation-stall", "async-checkpoint evaluate-less-often",
         {"async-checkpoint": "--checkpoint async", "evaluate-less-often": "--evaluate-every 20"}, step_ms=35,
         steps=120,
         period=20),
    case("new-epochs", "convnet", "--batch 48 --channels-last --views 1 --workers 4 --epoch 20", "data",
         "epochs of 20 steps, 4 workers started anew for each, which is too few as well",
         "epoch-boundary-stall input-starvation", "persistent-workers dataloader-workers",
         {"persistent-workers": "--persistent", "dataloader-workers": "--workers {num_workers:8}"}, step_ms=50,
         steps=100,
         period=20),
    case("new-cache-flush", "gpt", "--layers 8 --width 1024 --heads 16 --batch 6 --seq 512 --flush-cache", "host "
         "memory",
         "empty_cache() after every step of a deeper model", "cache-flush", "stop-cache-flush",
         {"stop-cache-flush": "--no-flush-cache"}, step_ms=30),
    case("new-small-batch-loop", "convnet", "--batch 16 --channels-last --stages 2 2 2 2 --views 1 --load loop",
         "data host", "images decoded in the training loop of a small network", "main-thread-preprocessing",
         "preprocess-in-workers", {"preprocess-in-workers": "--load workers --workers 6"}, step_ms=50, period=6,
         rebuild=True),
    case("healthy-encoder", "gpt", "--layers 8 --width 1536 --heads 12 --seq 512 --batch 32 --vocab 8192 "
         "--bidirectional "
         "--compile default", "compute", "compiled bf16 encoder with fused attention"),
    case("healthy-rows", "mlp", "--layers 8 --width 8192 --batch 8192 --workers 6 --compile default", "compute memory",
         "compiled bf16 perceptron with big matrix products", steps=50),
    case("new-out-of-memory", "gpt", "--layers 2 --width 1024 --heads 16 --seq 1024 --batch 48 --vocab 50304 "
         "--memory-fraction 0.1", "memory", "a batch whose logits do not fit", "out-of-memory",
         "smaller-batch activation-checkpointing fused-cross-entropy expandable-segments", steps=30, fails=True),
)
# fmt: on

HELD_OUT: Mapping[str, Case] = {one.id: one for one in (*on_two_ranks(_RANKS), *_ALONE)}
