"""Which planted cases are of other families than all before, each with several fixes that are measured?

Diffusion, selective state spaces, encoder-decoders with learned distances, distillation, speech, graphs, clouds of
points, masked autoencoders, attention in windows, two towers of tables, retrieval among the passages of all ranks,
experts that live on different ranks, sliced and split models, equations, a policy that plays. Written without sight of
any prediction for them. Sizes and `step_ms` follow from counted operations and bytes, with the rates in table.py, so
that most steps are limited by the device, the link or the loader, before and after the fix.

A case without `ranks=2` runs on one GPU alone (`run.py --sixth --ranks 1`). The most informative cases come first.
"""

from __future__ import annotations

from collections.abc import Mapping

from case import Case, case, on_two_ranks

__all__ = ["SIXTH"]

# fmt: off
_SLOW = "NCCL_P2P_DISABLE=1"
_FAST = "NCCL_P2P_DISABLE="

_RANKS = (
    case("scan-micro-steps", "scan", "--layers 3 --width 2048 --states 4 --seq 512 --batch 2 --vocab 8192 "
         f"--accumulate 3 --reduce-at every {_SLOW}", "communication compute", "600 MB of gradients of a state-space "
         "model reduced in each of 3 micro-steps, without peer access", "sync-every-microbatch slow-interconnect",
         "no-sync enable-p2p", {"no-sync": "--reduce-at last", "enable-p2p": _FAST,
                                "compress-gradients": "--compress"}, step_ms=80),
    case("retrieval-flat", "retrieval", f"--batch 48 --reduce flat {_SLOW}", "communication compute", "all gradients "
         "of two text encoders joined and reduced by hand after the backward, 860 MB without peer access",
         "exposed-collectives slow-interconnect fp32-gradients grad-sync-per-parameter",
         "wrap-ddp enable-p2p compress-gradients accumulate-gradients",
         {"wrap-ddp": "--reduce ddp", "enable-p2p": _FAST, "compress-gradients": "--compress"}, step_ms=65),
    case("encdec-shards", "encdec", "--layers 4 --batch 16 --workers 3 --shards apart", "imbalance compute",
         "the second rank's shard holds texts twice as long as the first one's", "straggler-rank input-imbalance",
         "balance-batches repair-straggler", {"balance-batches": "--shards mixed"}, step_ms=55, period=4),
    case("encdec-sharded", "encdec", "--layers 3 --width 1536 --hidden 4096 --seq 512 --batch 6 --fsdp --accumulate 2 "
         f"--reduce-at every {_SLOW}", "communication compute", "300 million parameters gathered twice and reduced in "
         "fp32 in both micro-steps, without peer access",
         "fsdp-reshard fp32-gradients sync-every-microbatch slow-interconnect",
         "no-sync fsdp-keep-unsharded reduce-in-bf16 enable-p2p",
         {"fsdp-keep-unsharded": "--no-reshard", "reduce-in-bf16": "--reduce-dtype bf16",
          "no-sync": "--reduce-at last"}, step_ms=90),
    case("experts-hot", "routed", "--hidden 8192 --batch 6 --share 0.8", "imbalance compute communication",
         "the router sends four fifths of the tokens to the experts of the first rank",
         "straggler-rank input-imbalance exposed-collectives", "balance-batches repair-straggler",
         {"balance-batches": "--share 0.5"}, step_ms=48),
    case("denoise-one-bucket", "diffusion", f"--depth 4 --width 2048 --batch 20 --bucket-mb 4000 {_SLOW}",
         "communication compute", "DDP buckets as large as the model: 1.2 GB reduced after the backward, without peer "
         "access", "exposed-collectives slow-interconnect fp32-gradients",
         "ddp-bucket-size enable-p2p compress-gradients accumulate-gradients",
         {"ddp-bucket-size": "--bucket-mb {bucket_cap_mb:25}", "enable-p2p": _FAST,
          "compress-gradients": "--compress"}, step_ms=65),
    case("split-bubble", "split", "--batch 40 --microbatches 1 --workers 4", "imbalance communication compute",
         "a network split by hand over two ranks, of which one waits while the other computes", "pipeline-bubble",
         "more-microbatches", {"more-microbatches": "--microbatches {n_microbatches:4}"}, step_ms=65),
    case("towers-micro-steps", "towers", "--batch 512 --workers 5 --accumulate 4 --reduce-at every", "communication "
         "memory", "2 GB of dense gradients of two tables reduced over NVLink in each of 4 micro-steps",
         "sync-every-microbatch fp32-gradients exposed-collectives",
         "no-sync compress-gradients accumulate-gradients larger-batch ddp-bucket-view",
         {"no-sync": "--reduce-at last", "compress-gradients": "--compress", "ddp-bucket-view": "--bucket-view"},
         step_ms=55),
    case("sliced-link", "sliced", f"--batch 8 {_SLOW}", "communication compute", "sums of hidden states between "
         "slices of every layer, four a layer, without peer access", "slow-interconnect exposed-collectives",
         "enable-p2p", {"enable-p2p": _FAST}, step_ms=60),
    case("healthy-denoise-ranks", "diffusion", "--batch 56 --compile-blocks --bucket-view", "compute", "compiled bf16 "
         "diffusion transformer on two ranks, reduction behind the backward", step_ms=70),
    case("experts-exchange", "routed", f"--hidden 1024 --copies 4 --batch 8 {_SLOW}", "communication compute",
         "every token sent to four experts and back in every layer, half of them elsewhere, without peer access",
         "slow-interconnect exposed-collectives", "enable-p2p", {"enable-p2p": _FAST}, step_ms=75),
    case("split-stages", "split", "--batch 40 --microbatches 4 --first 8 --workers 4",
         "imbalance compute communication", "eight of twelve blocks on the first rank", "stage-imbalance "
         "pipeline-bubble straggler-rank", "balance-stages more-microbatches repair-straggler",
         {"balance-stages": "--first 6", "more-microbatches": "--microbatches {n_microbatches:8}"}, step_ms=50),
    case("healthy-retrieval-ranks", "retrieval", "--batch 128 --compile-blocks --bucket-view", "compute",
         "compiled bf16 dual encoder on two ranks, reduction behind the backward", step_ms=75),
)
_ALONE = (
    case("denoise-fp32", "diffusion", "--depth 4 --width 2048 --batch 12 --precision fp32", "compute", "a diffusion "
         "transformer in fp32 with TF32 off", "fp32-matmul", "bf16-autocast tf32",
         {"tf32": "--precision tf32", "bf16-autocast": "--precision bf16"}, step_ms=80),
    case("speech-features", "speech", "--batch 40 --features made --workers 3", "data", "log-mel features of "
         "waveforms made by 3 workers", "input-starvation",
         "dataloader-workers offline-preprocessing packed-dataset",
         {"dataloader-workers": "--workers {num_workers:6}", "offline-preprocessing": "--features stored"},
         step_ms=75, period=6, rebuild=True),
    case("encdec-distances", "encdec", "--batch 12 --attention written", "compute memory", "attention with a learned "
         "bias for every distance written out, 1024 words", "unfused-attention", "sdpa-attention",
         {"sdpa-attention": "--attention sdpa", "torch-compile": "--compile default"}, step_ms=50),
    case("graph-messages", "graph", "--net gated --whole --width 128 --most-edges 1300000", "memory compute",
         "messages along 1.3 million edges computed operator by operator in fp32",
         "unfused-elementwise low-bandwidth-kernels bandwidth-bound layout-copies", "torch-compile",
         {"torch-compile": "--compile default"}, step_ms=45),
    case("distill-vocabulary", "distill", "--layers 3 --width 768 --teacher-layers 4 --teacher-width 1024 --batch 24 "
         "--vocab 30522", "compute memory", "distillation over 30522 words: odd products, logits passed over in fp32",
         "misaligned-matmul unfused-cross-entropy", "pad-vocabulary fused-cross-entropy",
         {"pad-vocabulary": "--vocab 30528", "fused-cross-entropy": "--loss fused",
          "pad-vocabulary+fused-cross-entropy": "--vocab 30528 --loss fused"}, step_ms=50),
    case("speech-cold-store", "speech", "--batch 48 --workers 4 --store-ms 0.4 --cold 3 --cold-ms 500", "data",
         "three samples in 21 batches come from a cold store and take 500 ms, 4 workers with 2 batches each",
         "heavy-tailed-batches input-starvation", "dataloader-prefetch dataloader-workers packed-dataset",
         {"dataloader-prefetch": "--prefetch {prefetch_factor:8}", "dataloader-workers": "--workers {num_workers:7}"},
         step_ms=62, steps=105, period=21, rebuild=True),
    case("window-attention", "window", "--batch 64 --attention written --workers 5", "memory compute", "attention in "
         "windows of 64 patches written out, with a bias for every pair",
         "unfused-attention layout-copies unfused-elementwise low-bandwidth-kernels", "sdpa-attention torch-compile",
         {"sdpa-attention": "--attention sdpa", "torch-compile": "--compile default"}, step_ms=50),
    case("healthy-denoise", "diffusion", "--batch 56 --compile-blocks", "compute", "compiled bf16 diffusion "
         "transformer", step_ms=70),
    case("equations-fp32", "physics", "--batch 65536 --precision fp32", "compute memory", "derivatives of a network, "
         "derived again, in fp32 with TF32 off", "fp32-matmul", "tf32 bf16-autocast",
         {"tf32": "--precision tf32", "bf16-autocast": "--precision bf16"}, step_ms=65),
    case("graph-sampling", "graph", "--batch 2048 --most-nodes 180000 --most-edges 215000 --width 768 --layers 3 "
         "--workers 2", "data", "neighbourhoods sampled with numpy by 2 workers", "input-starvation",
         "dataloader-workers offline-preprocessing",
         {"dataloader-workers": "--workers {num_workers:5}", "dataloader-prefetch": "--prefetch 8"}, step_ms=50,
         period=4, rebuild=True),
    case("graph-sampling-wide", "graph", "--batch 2048 --most-nodes 130000 --most-edges 215000 --width 1024 --layers 3 "
         "--workers 2", "data", "neighbourhoods sampled with numpy by 2 workers", "input-starvation",
         "dataloader-workers offline-preprocessing",
         {"dataloader-workers": "--workers {num_workers:5}", "dataloader-prefetch": "--prefetch 8"}, step_ms=50,
         period=4, rebuild=True),
    case("scan-written", "scan", "--layers 3 --batch 4", "memory compute", "selective scans of 16 states a "
         "channel written operator by operator, 540 MB a layer in each of them",
         "unfused-elementwise low-bandwidth-kernels bandwidth-bound", "torch-compile",
         {"torch-compile": "--compile default"}, step_ms=60),
    case("distill-teacher", "distill", "--batch 12 --teacher fp32", "compute", "the frozen teacher computes in fp32 "
         "with TF32 off, the student in bf16", "fp32-matmul", "bf16-autocast tf32",
         {"bf16-autocast": "--teacher bf16", "tf32": "--teacher tf32"}, step_ms=80),
    case("satellite-blocking", "masked", "--bands 6 --batch 80 --width 1536 --depth 12 --workers 6 --blocking",
         "compute data", "images of 6 bands, 96 MB, copied while the host waits",
         "exposed-input-copy host-sync", "prefetch-to-device pin-memory compact-batches",
         {"prefetch-to-device": "--ahead", "compact-batches": "--compact"}, step_ms=42, period=6, rebuild=True),
    case("denoise-recompute", "diffusion", "--batch 36 --recompute --average", "compute", "every block recomputed, "
         "with most of the memory free", "recompute-overuse", "drop-recompute",
         {"drop-recompute": "--no-recompute", "torch-compile": "--compile default"}, step_ms=68),
    case("towers-collate", "towers", "--rows 3000000 --size 256 --batch 1536 --workers 0", "data",
         "lists of what users have seen made and joined in Python by the process that trains",
         "input-starvation main-thread-preprocessing", "dataloader-workers preprocess-in-workers",
         {"dataloader-workers": "--workers {num_workers:5}"}, step_ms=70, period=5, rebuild=True),
    case("speech-lattice", "speech", "--batch 32 --layers 4 --words 100 --vocab 2048", "memory compute", "2048 scores "
         "at each of 640000 pairs of a frame and a word, in fp32", "unfused-cross-entropy", "fused-cross-entropy",
         {"fused-cross-entropy": "--loss fused"}, step_ms=55),
    case("points-pageable", "points", "--batch 16 --points 100000 --features 10 --widths 128 256 384 --workers 6 "
         "--pageable", "data compute memory", "blocking copies of dense clouds, 64 MB, from pageable memory",
         "pageable-transfers", "pin-memory", {"pin-memory": "--no-pageable", "compact-batches": "--compact"},
         step_ms=35, period=6, rebuild=True),
    case("healthy-speech", "speech", "--batch 64 --channels 64 --compile-blocks --workers 4", "compute", "compiled "
         "bf16 speech encoder on stored features", step_ms=55),
    case("denoise-layout", "diffusion", "--net unet --size 64 --batch 40", "compute memory", "a U-Net with group "
         "norms in bf16 on contiguous images", "conv-layout unfused-norm layout-copies", "channels-last torch-compile",
         {"channels-last": "--channels-last", "torch-compile": "--compile default"}, step_ms=48),
    case("points-one-worker", "points", "--batch 20 --raw 20000 --thin --widths 768 1024 1536 2048 --workers 1",
         "data", "clouds turned, shaken and thinned by a single worker", "input-starvation",
         "dataloader-workers offline-preprocessing", {"dataloader-workers": "--workers {num_workers:5}",
                                                      "offline-preprocessing": "--no-thin"}, step_ms=80, period=5,
         rebuild=True),
    case("satellite-tidy", "masked", "--bands 6 --batch 64 --width 1536 --depth 12 --workers 6 --compact --collect "
         "--flush-cache", "host", "a full garbage collection and empty_cache() in every step of a masked autoencoder",
         "python-gc cache-flush", "gc-policy stop-cache-flush",
         {"gc-policy": "--no-collect", "stop-cache-flush": "--no-flush-cache",
          "gc-policy+stop-cache-flush": "--no-collect --no-flush-cache"}, step_ms=100),
    case("points-epochs", "points", "--batch 24 --raw 10000 --thin --workers 4 --epoch 12", "data", "epochs of 12 "
         "steps, 4 workers started anew for each", "epoch-boundary-stall", "persistent-workers",
         {"persistent-workers": "--persistent"}, steps=120, period=12, step_ms=40),
    case("healthy-satellite", "masked", "--bands 6 --batch 80 --width 1536 --depth 12 --workers 6 --compact "
         "--compile-blocks", "compute", "compiled bf16 masked autoencoder on images of one byte a value", step_ms=35),
    case("equations-graphs", "physics", "--batch 1024 --fields 3 --dimensions 3 --width 128 --precision tf32", "host",
         "derivatives of three fields of a small network, one after the other", "launch-bound tiny-kernels",
         "cuda-graphs torch-compile", {"cuda-graphs": "--graphs"}, step_ms=25),
    case("speech-ragged", "speech", "--batch 32 --ragged random --tight 1.12", "memory compute host", "sounds of other "
         "lengths in every step, in little more memory than the longest need",
         "allocator-retries fragmentation memory-near-limit variable-shapes", "expandable-segments bucket-lengths "
         "static-shapes smaller-batch activation-checkpointing",
         {"expandable-segments": "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
          "bucket-lengths": "--ragged bucketed"}, step_ms=35, period=10),
    case("healthy-distill", "distill", "--layers 6 --width 1536 --teacher-width 2048 --head-size 128 --batch 16 "
         "--compile-blocks --loss fused", "compute", "a compiled student and teacher in bf16", step_ms=52),
    case("policy-moves", "policy", "--batch 256 --workers 1", "host", "256 worlds moved one by one in plain Python "
         "between the moves of a policy", "python-overhead host-sync launch-bound",
         "hoist-python remove-sync cuda-graphs torch-compile",
         {"hoist-python": "--worlds arrays", "hoist-python+remove-sync": "--worlds tensors"}, step_ms=32),
)
# fmt: on

SIXTH: Mapping[str, Case] = {one.id: one for one in (*on_two_ranks(_RANKS), *_ALONE)}
