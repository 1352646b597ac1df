"""From where on do kernels take too long, and what do their fixes save? Limits of the rules on compute."""

from __future__ import annotations

from llmprof.analyzers.facts.faster import (
    channels_last,
    faster_attention,
    faster_kernels,
    fused_loss,
    misaligned_products,
)
from llmprof.analyzers.rules.thresholds.record import ML_ENGINEERING, OWN, TRACELENS, XPROF, Threshold, factor, share

LIGER = "Liger-Kernel (Hsu and others, arXiv 2410.10989)"
FLASH3 = "FlashAttention-3 (Shah and others, arXiv 2407.08608)"
MEGATRON_GUIDE = "Megatron-Bridge performance guide (NVIDIA-NeMo/Megatron-Bridge)"
DATASHEETS = "NVIDIA A100, H100 and B200 datasheets"

# All rules that look at operators

SHAPED_SHARE = Threshold(
    name="shaped-share",
    value=0.5,
    unit="share of kernel time",
    source=OWN,
    reason="With the shapes of less than half of the work what is not seen may outweigh what is.",
)
KERNEL_GAIN = share("kernel-gain", 0.02, TRACELENS, "TraceLens drops fusions that save less than 2 % of the time.")

# fp32-matmul

FP32_GEMM = share("fp32-gemm", 0.01, OWN, "Matrix products on CUDA cores run an order of magnitude below tensor cores.")
TF32_GEMM = share(
    "tf32-gemm", 0.05, OWN, "TF32 has half the peak of bf16 and twice its traffic: worth less, so a higher mark."
)
FORMAT_FASTER = factor(
    "format-faster",
    0.82,
    ML_ENGINEERING,
    "At best: 71 to 87 % of the peak were measured on NVIDIA devices; the old format at the lower, the new one at the "
    "upper end.",
)
FORMAT_EXPECTED = factor(
    "format-expected",
    1.1,
    ML_ENGINEERING,
    "About 0.8 of the bf16 peak is achievable; that fp32 on CUDA cores reaches 0.9 of its own is assumed, which also "
    "stands for the casts that autocast adds.",
)
FORMAT_SLOWER = factor(
    "format-slower",
    1.67,
    TRACELENS,
    "At worst: the old format at its peak, the new one at 60 %, below which TraceLens calls a kernel inefficient.",
)
FP32_TO_TENSOR_CORES = factor(
    "fp32-to-tensor-cores",
    0.25,
    "NVIDIA A10 and L40S datasheets",
    "For a device whose peaks are not known: the smallest step up among data-centre GPUs since Ampere (A10, L40S).",
)
TF32_TO_BF16 = factor("tf32-to-bf16", 0.5, DATASHEETS, "bf16 has twice the rate of TF32.")
ATTENTION_EXPECTED = factor(
    "attention-expected",
    2.0,
    TRACELENS,
    "TraceLens expects fused attention at 0.4-0.6 of the peak for 2k tokens: half of it.",
)
ATTENTION_SLOWER = factor(
    "attention-slower", 3.3, TRACELENS, "TraceLens expects 0.2-0.4 of the peak for 1k tokens: three tenths of it."
)
HALVED_TRAFFIC = factor(
    "halved-traffic",
    0.5,
    "PyTorch AMP documentation",
    "bf16 tensors are half as long; but norms and losses stay in fp32.",
)

# slow-attention-backend

ATTENTION_SHARE = share("attention-share", 0.05, OWN, "Attention that takes less is not worth another backend.")
HOPPER_ATTENTION = factor(
    "hopper-attention",
    faster_attention.HOPPER_SPEEDUP,
    FLASH3,
    "The middle of what is reported over FlashAttention-2 for kernels written for the H100: 1.5 to 2, backward 1.75.",
)
HOPPER_ATTENTION_HIGH = factor(
    "hopper-attention-high", faster_attention.HOPPER_SPEEDUP_HIGH, FLASH3, "The upper end of the same range."
)

# unfused-elementwise

FUSION_LOW = factor("fusion-low", 0.5, OWN, "An assumption: graph breaks may leave half of the model as it is.")

# unfused-cross-entropy

LOSS_PASSES = Threshold(
    name="loss-passes",
    value=fused_loss.LOSS_PASSES,
    unit="passes over the logits",
    source=OWN,
    reason="A compiled loss takes as long as so many passes over the logits: recorded on H200s, 5.3 and 5.6.",
)
LOSS_PASSES_LEAST = Threshold(
    name="loss-passes-least",
    value=fused_loss.LOSS_PASSES_LEAST,
    unit="passes over the logits",
    source=LIGER,
    reason="A fused cross-entropy reads the logits twice (online softmax) and writes their gradient in place.",
)
LOSS_LOW = factor(
    "loss-low",
    fused_loss.LOSS_LOW,
    OWN,
    "An assumption: a chunked loss works on pieces too small for full bandwidth.",
)

# unfused-norm

NORM_LOW = factor(
    "norm-low", faster_kernels.NORM_LOW, TRACELENS, "TraceLens closes 75 % of a kernel's gap at the least."
)

# misaligned-matmul

MISALIGNED_LOW = factor(
    "misaligned-low",
    misaligned_products.LEAST,
    TRACELENS,
    "TraceLens closes 75 % of a kernel's gap at the least.",
)

# recompute-overuse

RECOMPUTE_SEEN = share("recompute-seen", 0.03, OWN, "Recomputing a cheap operator or two is good practice.")
RECOMPUTE_REST = factor(
    "recompute-low", 0.8, OWN, "An assumption: keeping activations costs the allocator and the caches a little."
)
RECOMPUTE_MORE = factor(
    "recompute-high", 1.25, OWN, "An assumption: the gaps between these kernels and the casts for them go as well."
)
RECOMPUTE_PIECE = factor(
    "recompute-piece", 0.2, OWN, "Room for less than a fifth of the activations is not worth a change."
)

# layout-copies

COPY_SHARE = share("copies", 0.05, OWN, "Some casts and copies are part of every mixed-precision step.")
COPY_AVOIDABLE = factor(
    "copies-avoidable",
    faster_kernels.COPY_AVOIDABLE,
    OWN,
    "An assumption: half of the copies are needed by what follows.",
)

# low-bandwidth-kernels

LOW_BANDWIDTH = factor("low-bandwidth", 0.5, TRACELENS, "TraceLens expects 70 % of the bandwidth and flags below 50 %.")
LOW_BANDWIDTH_BYTES = Threshold(
    name="low-bandwidth-bytes",
    value=2**22,
    unit="bytes per call",
    source=OWN,
    reason="Less is over in a few microseconds, of which starting the kernel is a large part.",
)

# bandwidth-bound

MEMORY_LIMITED = Threshold(
    name="memory-limited",
    value=0.5,
    unit="share of kernel time",
    source=XPROF,
    reason="XProf calls work memory-bound by the larger of the two shares; half is where they cross.",
)

# fp8-opportunity

LINEAR_SHARE = share("linear-share", 0.5, OWN, "With less of the step in linear layers fp8 wins little.")
LINEAR_EFFICIENCY = factor(
    "linear-efficiency",
    0.6,
    TRACELENS,
    "Products that reach less have nearer gains: TraceLens' mark for a good kernel.",
)
FP8_SPEEDUP = factor(
    "fp8-speedup",
    faster_kernels.FP8_SPEEDUP,
    MEGATRON_GUIDE,
    "Linear layers are about 1.6 times as fast in fp8; whole runs gain 1.2 to 1.5 times where they are large.",
)

# conv-layout

CONVERSIONS = share("layout-conversions", 0.02, OWN, "Conversions between NCHW and NHWC around tensor-core kernels.")
LAYOUT_NORM = factor(
    "layout-norm", channels_last.LAYOUT_NORM, TRACELENS, "TraceLens closes 75 % of a kernel's gap at the least."
)
LAYOUT_NORM_LOW = factor(
    "layout-norm-low",
    channels_last.LAYOUT_NORM_LOW,
    OWN,
    "An assumption: some operators have no channels_last kernel and convert back and forth.",
)
CONVOLUTION_SHARE = share("convolution-share", 0.10, OWN, "With less time in convolutions their choice hardly counts.")
BENCHMARK_HIGH = factor(
    "cudnn-benchmark-high", 0.15, OWN, "An assumption: what another algorithm may save of convolution time, at most."
)

# low-mfu

LOW_MFU = Threshold(
    name="low-mfu",
    value=0.30,
    unit="model FLOP utilisation",
    source="Megatron-LM (NVIDIA/Megatron-LM, README)",
    reason="Published training runs reach 0.41 to 0.56 on A100; far below it other things count.",
)
BUSY = share("busy", 0.85, OWN, "With the device idle for longer, its arithmetic is not what the step lacks.")
