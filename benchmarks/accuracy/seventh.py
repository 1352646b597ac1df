"""Which planted cases look like what people train today, each with several fixes that are measured?

Preferences between answers, adapters, encoders on packed rows, contrasted views, volumes, codebooks, rays, pairs of the
parts of a chain, narrow latents, raw sound, played games, texts of which every rank has a part, forecasts of many
series, graphs with attention. Written without sight of any prediction for them. Sizes and `step_ms` follow from counted
operations and bytes, with the rates in table.py, and from the time that one core needs for a sample.

A case without `ranks=2` runs on one GPU alone (`run.py --seventh --ranks 1`). The most informative cases come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from case import Case, case

__all__ = ["SEVENTH"]

# fmt: off
_SLOW = "NCCL_P2P_DISABLE=1"
_FAST = "NCCL_P2P_DISABLE="

_RANKS = (
    case("ring-halves", "ring", "--batch 1", "imbalance compute communication", "the first rank has the first half of "
         "every text, the second one the other half, whose words look back three times as far",
         "straggler-rank input-imbalance", "balance-batches repair-straggler",
         {"balance-batches": "--order folded"}, step_ms=55),
    case("pairs-micro-steps", "pairs", f"--seq 512 --batch 4 --vocab 8192 --accumulate 2 --reduce-at every {_SLOW}",
         "communication compute host", "860 MB of gradients of the model that learns from pairs of answers reduced in "
         "both micro-steps, without peer access", "sync-every-microbatch slow-interconnect exposed-collectives",
         "no-sync enable-p2p", {"no-sync": "--reduce-at last", "enable-p2p": _FAST,
                                "compress-gradients": "--compress", "no-sync+compress-gradients":
                                "--reduce-at last --compress"}, step_ms=65),
    case("unpadded-zero", "unpadded", "--layers 3 --width 2048 --hidden 5504 --seq 512 --batch 12 --vocab 16384 --zero "
         f"{_SLOW}", "communication compute", "880 MB of gradients reduced, then the parameters that every rank has "
         "updated for all sent around one by one, without peer access", "slow-interconnect exposed-collectives "
         "fp32-gradients", "enable-p2p compress-gradients accumulate-gradients",
         {"enable-p2p": _FAST, "compress-gradients": "--compress"}, step_ms=75),
    case("latent-sharded", "latent", f"--layers 8 --seq 1024 --batch 4 --vocab 8192 --fsdp {_SLOW}", "communication "
         "compute", "320 million parameters gathered twice and reduced in fp32, without peer access",
         "fsdp-reshard fp32-gradients slow-interconnect exposed-collectives", "enable-p2p fsdp-keep-unsharded "
         "reduce-in-bf16", {"fsdp-keep-unsharded": "--no-reshard", "reduce-in-bf16": "--reduce-dtype bf16",
                            "fsdp-keep-unsharded+reduce-in-bf16": "--no-reshard --reduce-dtype bf16",
                            "enable-p2p": _FAST}, step_ms=60),
    case("listen-lengths", "listen", "--seconds 10 --batch 24 --lengths apart --workers 4", "imbalance compute",
         "the ranks hear sounds of other lengths in the same step, a quarter to the whole of ten seconds",
         "input-imbalance straggler-rank variable-shapes", "balance-batches",
         {"balance-batches": "--lengths together"}, step_ms=34, period=12),
    case("ring-link", "ring", f"--seq 8192 --batch 1 --kv-heads 16 --order folded {_SLOW}", "communication compute",
         "keys and values of all words gathered in every layer and 700 MB of gradients reduced, without peer access",
         "slow-interconnect exposed-collectives fp32-gradients", "enable-p2p compress-gradients accumulate-gradients",
         {"enable-p2p": _FAST, "compress-gradients": "--compress"}, step_ms=48),
    case("volumes-previews", "volumes", "--channels 32 --batch 2 --previews 4 --workers 4", "imbalance compute",
         "the first rank segments four more volumes in every step, to show them", "straggler-rank",
         "repair-straggler balance-batches evaluate-less-often", {"repair-straggler": "--previews 0"}, step_ms=60),
    case("split-uneven", "split", "--batch 40 --microbatches 2 --first 4 --workers 4",
         "imbalance compute communication", "eight of twelve blocks on the second rank, and two micro-batches",
         "stage-imbalance pipeline-bubble straggler-rank", "balance-stages more-microbatches repair-straggler",
         {"balance-stages": "--first 6", "more-microbatches": "--microbatches {n_microbatches:4}",
          "balance-stages+more-microbatches": "--first 6 --microbatches {n_microbatches:4}"}, step_ms=55),
    case("healthy-latent-ranks", "latent", "--seq 512 --batch 32 --vocab 8192 --widened --compile-blocks --bucket-view",
         "compute", "compiled bf16 decoder with narrow latents on two ranks, reduction behind the backward",
         step_ms=80),
    case("replay-buckets", "games", f"--layers 12 --batch 64 --bucket-mb 0.5 {_SLOW}", "communication host",
         "DDP buckets of 0.5 MB for 600 MB of gradients, without peer access", "small-ddp-buckets slow-interconnect "
         "exposed-collectives", "ddp-bucket-size enable-p2p compress-gradients",
         {"ddp-bucket-size": "--bucket-mb {bucket_cap_mb:25}", "enable-p2p": _FAST, "compress-gradients": "--compress"},
         step_ms=50),
)
_ALONE = (
    case("pairs-logits", "pairs", "--width 1024 --heads 8 --hidden 2816 --seq 512 --batch 16 --vocab 128256",
         "compute memory", "probabilities of 128256 words in fp32, twice: of the model that learns and of the frozen "
         "one", "unfused-cross-entropy logits-spike", "fused-cross-entropy torch-compile",
         {"fused-cross-entropy": "--loss fused", "torch-compile": "--compile-blocks"}, step_ms=55),
    case("contrast-views", "contrast", "--size 96 --batch 48 --channels 128 --channels-last --views full --workers 4",
         "data", "two views of every image cut, coloured and blurred by 4 workers", "input-starvation",
         "dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-workers": "--workers {num_workers:10}", "offline-preprocessing": "--views cut"}, step_ms=80,
         period=4, rebuild=True),
    case("folding-written", "folding", "--batch 4 --attention written", "memory compute", "attention along all rows "
         "and columns of pairs written out, 540 MB for every pass over its scores",
         "unfused-attention unfused-elementwise low-bandwidth-kernels layout-copies", "sdpa-attention torch-compile",
         {"sdpa-attention": "--attention sdpa", "torch-compile": "--compile-blocks",
          "sdpa-attention+torch-compile": "--attention sdpa --compile-blocks"}, step_ms=64),
    case("latent-heads", "latent", "--batch 2", "compute", "values of 128 dimensions beside keys of 192, which the "
         "fastest attention does not take", "slow-attention-backend unfused-attention", "fused-attention-backend",
         {"fused-attention-backend": "--widened", "torch-compile": "--compile-blocks"}, step_ms=75),
    case("volumes-fp32", "volumes", "--batch 2 --precision fp32 --workers 4", "compute memory", "convolutions of "
         "volumes in fp32 with TF32 off", "fp32-matmul", "tf32 bf16-autocast",
         {"tf32": "--precision tf32", "bf16-autocast": "--precision bf16"}, step_ms=100),
    case("rays-choice", "rays", "--batch 8192 --chosen drawn --workers 0", "data", "all pixels of four photographs "
         "shuffled for every batch, by the process that trains", "input-starvation main-thread-preprocessing",
         "dataloader-workers preprocess-in-workers offline-preprocessing",
         {"dataloader-workers": "--workers {num_workers:4}", "offline-preprocessing": "--chosen stored"}, step_ms=85,
         period=4, rebuild=True),
    case("codebook-distances", "codebook", "--batch 96 --workers 4", "compute memory", "distances to 8192 codes and "
         "the choice of one as a matrix, in fp32 with TF32 off and operator by operator",
         "fp32-matmul unfused-elementwise low-bandwidth-kernels bandwidth-bound", "tf32 bf16-autocast torch-compile",
         {"tf32": "--tf32", "torch-compile": "--codebook compiled", "tf32+torch-compile": "--tf32 --codebook compiled"},
         step_ms=55),
    case("listen-decode", "listen", "--batch 16 --decode 2.5 --tail 2 --workers 4", "data", "sounds whose decoding "
         "takes lognormal times (sigma 2), 4 workers with 2 batches each", "heavy-tailed-batches input-starvation",
         "dataloader-prefetch dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-prefetch": "--prefetch {prefetch_factor:8}", "dataloader-workers": "--workers {num_workers:10}"},
         step_ms=42, steps=105, period=21, rebuild=True),
    case("pairs-tf32", "pairs", "--layers 3 --seq 2048 --batch 4 --precision tf32", "compute", "pairs of long "
         "answers, all in fp32 with TF32 on", "fp32-matmul", "bf16-autocast",
         {"bf16-autocast": "--precision bf16", "torch-compile": "--compile-blocks",
          "bf16-autocast+torch-compile": "--precision bf16 --compile-blocks"}, step_ms=88),
    case("healthy-pairs", "pairs", "--seq 512 --batch 24 --vocab 8192 --compile-blocks --loss fused", "compute",
         "compiled bf16 decoder that learns from pairs of answers", step_ms=70),
    case("contrast-layout", "contrast", "--batch 144 --compact --workers 5", "compute memory", "depthwise convolutions "
         "in bf16 on contiguous images", "conv-layout layout-copies unfused-elementwise low-bandwidth-kernels",
         "channels-last torch-compile",
         {"channels-last": "--channels-last", "torch-compile": "--compile-blocks",
          "channels-last+torch-compile": "--channels-last --compile-blocks"}, step_ms=55),
    case("volumes-pageable", "volumes", "--edge 112 --channels 24 --batch 2 --workers 6 --pageable",
         "compute data memory", "blocking copies of volumes, 67 MB, from pageable memory",
         "pageable-transfers exposed-input-copy", "pin-memory compact-batches prefetch-to-device",
         {"pin-memory": "--no-pageable", "compact-batches": "--compact",
          "pin-memory+prefetch-to-device": "--no-pageable --ahead"}, step_ms=40, period=6, rebuild=True),
    case("unpadded-mask", "unpadded", "--seq 4096 --batch 4 --mask given", "compute memory", "a mask that leaves "
         "nothing out given to attention over 4096 words", "slow-attention-backend", "fused-attention-backend",
         {"fused-attention-backend": "--mask none", "torch-compile": "--compile-blocks"}, step_ms=65),
    case("replay-sums", "games", "--batch 320 --sums made --workers 1", "data", "what is still to be won summed "
         "move by move in Python for every sample, by one worker", "input-starvation",
         "dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-workers": "--workers {num_workers:5}", "dataloader-prefetch": "--prefetch 8",
          "offline-preprocessing": "--sums stored"}, step_ms=70, period=5, rebuild=True),
    case("folding-recompute", "folding", "--batch 6 --recompute", "memory compute", "every block over pairs "
         "recomputed, with most of the memory free", "recompute-overuse", "drop-recompute torch-compile",
         {"drop-recompute": "--no-recompute", "torch-compile": "--compile-blocks",
          "drop-recompute+torch-compile": "--no-recompute --compile-blocks"}, step_ms=65),
    case("attended-edges", "attended", "", "memory compute", "scores and a softmax along 800000 edges, operator by "
         "operator in fp32, 820 MB in each", "unfused-elementwise low-bandwidth-kernels bandwidth-bound",
         "torch-compile", {"torch-compile": "--compile-blocks"}, step_ms=36),
    case("towers-states", "towers", "--rows 3000000 --batch 1024 --workers 6 --optimizer foreach", "memory",
         "foreach AdamW over 770 million parameters of two tables, of which a step needs few",
         "unfused-optimizer bandwidth-bound", "fused-optimizer larger-batch accumulate-gradients 8bit-optimizer",
         {"fused-optimizer": "--optimizer fused"}, step_ms=26),
    case("healthy-replay", "games", "--batch 512 --workers 4 --compile-blocks", "compute", "compiled bf16 decoder on "
         "pieces of games", step_ms=48),
    case("unpadded-pieces", "unpadded", "--layers 3 --width 512 --heads 8 --hidden 1408 --batch 48 --pieces made "
         "--workers 1", "data", "words taken apart into pieces and packed into rows in Python, by one worker",
         "input-starvation", "dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-workers": "--workers {num_workers:4}", "offline-preprocessing": "--pieces stored"}, step_ms=58,
         period=4, rebuild=True),
    case("pairs-adapter", "pairs", "--seq 4096 --batch 2 --lora 16 --norm written", "compute memory", "narrow matrices "
         "trained beside frozen ones on long answers, with norms, positions and gates written out",
         "unfused-norm unfused-elementwise low-bandwidth-kernels", "torch-compile fused-norm",
         {"torch-compile": "--compile-blocks", "fused-norm": "--norm fused",
          "torch-compile+fused-norm": "--compile-blocks --norm fused"}, step_ms=58),
    case("volumes-store", "volumes", "--edge 64 --batch 8 --store-ms 22 --workers 3", "data", "every volume waits 22 "
         "ms for the store, 3 workers", "input-starvation", "dataloader-workers packed-dataset",
         {"dataloader-workers": "--workers {num_workers:7}", "dataloader-prefetch": "--prefetch 4"}, step_ms=60,
         period=6, rebuild=True),
    case("healthy-latent", "latent", "--seq 512 --batch 24 --vocab 8192 --widened --compile-blocks", "compute",
         "compiled bf16 decoder with narrow latents, values as wide as keys", step_ms=62),
    case("folding-crops", "folding", "--batch 6 --ragged random --tight 1.12", "memory compute host", "chains of other "
         "lengths in every step, in little more memory than the longest need",
         "allocator-retries fragmentation memory-near-limit variable-shapes", "expandable-segments bucket-lengths "
         "static-shapes smaller-batch activation-checkpointing",
         {"expandable-segments": "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
          "bucket-lengths": "--ragged bucketed"}, step_ms=45, period=10),
    case("listen-front", "listen", "--seconds 10 --batch 24 --workers 4", "memory compute", "norms of channels between "
         "convolutions over time: the moments of raw sound turned over and back in seven layers",
         "layout-copies unfused-elementwise low-bandwidth-kernels unfused-norm", "torch-compile keep-layout",
         {"torch-compile": "--compile-blocks"}, step_ms=55),
    case("replay-epochs", "games", "--batch 320 --workers 4 --epoch 10", "data compute", "epochs of 10 steps, 4 "
         "workers started anew for each", "epoch-boundary-stall", "persistent-workers",
         {"persistent-workers": "--persistent"}, steps=120, step_ms=42, period=10),
    case("forecast-variables", "forecast", "--batch 64 --precision tf32 --workers 3", "host", "40 variables each "
         "through a small network of its own", "launch-bound tiny-kernels", "cuda-graphs torch-compile",
         {"cuda-graphs": "--graphs", "torch-compile": "--compile-blocks"}, step_ms=34),
    case("contrast-parameters", "contrast", "--size 96 --batch 16 --stages 6 6 6 --channels-last --compact --workers 3 "
         "--optimizer loop", "host", "AdamW over 240 parameters of a convolutional network one by one",
         "unfused-optimizer launch-bound tiny-kernels", "fused-optimizer foreach-optimizer torch-compile cuda-graphs",
         {"fused-optimizer": "--optimizer fused", "foreach-optimizer": "--optimizer foreach",
          "torch-compile": "--compile-blocks"}, step_ms=58),
    case("healthy-unpadded", "unpadded", "--seq 256 --batch 144 --vocab 8192 --compile-blocks", "compute", "compiled "
         "bf16 encoder on full rows", step_ms=68),
)
# fmt: on

SEVENTH: Mapping[str, Case] = {
    one.id: one for one in (*(replace(one, ranks=2, steps=max(one.steps, 90)) for one in _RANKS), *_ALONE)
}
