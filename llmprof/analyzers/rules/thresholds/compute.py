"""From where on do kernels take too long, and what do their fixes save? Limits of the rules on compute."""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds.record import OWN, TRACELENS, factor, share

# fp32-matmul

FP32_GEMM = share("fp32-gemm", 0.01, OWN, "Matrix products on CUDA cores run an order of magnitude below tensor cores.")
TF32_GEMM = share(
    "tf32-gemm", 0.05, OWN, "TF32 has half the peak of bf16 and twice its traffic: worth less, so a higher mark."
)
FORMAT_FASTER = factor(
    "format-faster", 0.75, OWN, "An assumption, at best: the new format comes closer to its peak than the old one."
)
FORMAT_EXPECTED = factor(
    "format-expected",
    1.1,
    OWN,
    "Achievable bf16 is about 0.8 of the peak (stas00/ml-engineering); fp32 on CUDA cores is assumed at 0.9.",
)
FORMAT_SLOWER = factor(
    "format-slower", 1.6, OWN, "An assumption, at worst: small or odd shapes that memory or launch tails limit."
)
FP32_TO_TENSOR_CORES = factor(
    "fp32-to-tensor-cores",
    0.25,
    "NVIDIA A10 and L40S datasheets",
    "For a device whose peaks are not known: the smallest step up among data-centre GPUs since Ampere (A10, L40S).",
)
TF32_TO_BF16 = factor("tf32-to-bf16", 0.5, "NVIDIA A100, H100 and B200 datasheets", "bf16 has twice the rate of TF32.")
ATTENTION_EXPECTED = factor(
    "attention-expected",
    2.0,
    TRACELENS,
    "TraceLens expects fused attention at 0.4-0.6 of the peak for 2k tokens: half of it.",
)
ATTENTION_SLOWER = factor("attention-slower", 3.0, TRACELENS, "TraceLens expects 0.2-0.4 of the peak for 1k tokens.")
HALVED_TRAFFIC = factor(
    "halved-traffic",
    0.5,
    "PyTorch AMP documentation",
    "bf16 tensors are half as long; but norms and losses stay in fp32.",
)
