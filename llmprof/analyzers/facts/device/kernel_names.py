"""What does a kernel's name say about it? Class, number format, tensor cores, direction, kind of optimizer.

Names are the fallback where no operator is linked to a kernel, and the only source for CUDA-graph replays. Patterns are
tried in order and the first match wins. They follow the names that public sources use: cuBLAS (`nvjet`, `xmma`),
CUTLASS (`tensorop`, `simt`), cuDNN (`fort_native_sdpa`, `fprop`/`dgrad`/`wgrad`), FlashAttention, Composable Kernel and
Tensile (`Cijk_`), ATen (`at::native`), inductor (`triton_poi_fused_…`), NCCL, RCCL and symmetric memory (`multimem_`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from llmprof.timeline.events import NONE, StringTable

__all__ = ["CLASSES", "COMPUTE_CLASSES", "KernelName", "NameTable", "classify", "classify_table"]

COMPUTE_CLASSES = (
    "gemm",
    "attention",
    "convolution",
    "normalization",
    "softmax",
    "cross_entropy",
    "optimizer",
    "elementwise",
    "reduction",
    "embedding",
    "index",
    "copy",
    "dropout",
    "moe",
    "quantization",
    "other",
)

CLASSES = (*COMPUTE_CLASSES, "communication", "memcpy", "memset")
"""Every class in the order of its index in a `NameTable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelName:
    """What one name tells; None where it does not tell."""

    kind: str
    """One of CLASSES; `other` when nothing matched."""
    tensor_core: bool | None = None
    """Only for matrix work: gemm, attention, convolution."""
    dtype: str | None = None
    """Number format of the inputs: fp64, fp32, tf32, bf16, fp16, fp8, int8."""
    backward: bool | None = None
    optimizer_kind: str | None = None
    """`fused`, `foreach` or `for-loop`."""


@dataclass(frozen=True, slots=True, eq=False)
class NameTable:
    """What the names of a string table tell, by name id; columns have shape (names,).

    kind         int8, index into CLASSES; NONE for names that were not asked for
    tensor_core  int8: 1 yes, 0 no, NONE unknown
    names        the full record of each classified id
    """

    kind: npt.NDArray[np.int8]
    tensor_core: npt.NDArray[np.int8]
    names: Mapping[int, KernelName]
    kinds: tuple[str, ...] = CLASSES


def _search(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# The order matters: a collective is also a "reduce_scatter", an attention kernel also a GEMM, a norm also a reduction.
# A bare `lamb` would match every C++ lambda, and `fill` every masked_fill.
_CLASSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("memcpy", _search(r"^Memcpy |copybuffer|MEMORY_COPY|^Copy(Host|Device)To")),
    ("memset", _search(r"^Memset|fillbuffer|^FillBuffer")),
    (
        "communication",
        _search(
            r"nccl|rccl|multimem_|cross_device_reduce|(one|two)_?shot|symm_mem|nvshmem|deep_?ep\b|deep_?ep[_:]|"
            r"hybrid_?ep\b|hybrid_?ep[_:]|userbuffers|lamport"
        ),
    ),
    (
        "optimizer",
        _search(
            r"multi_tensor_apply|Fused(Adam|Sgd|LAMB|Adagrad)\w*|Adam\w*Functor|distributed_adam|"
            r"kOptimizer(Static)?(8|32)bit|newton_schulz|amp_(update_scale|foreach_non_finite)|addcdiv_cuda"
        ),
    ),
    ("moe", _search(r"\bmoe|expert|routing|(un)?permute_kernel|topkGating")),
    ("quantization", _search(r"quantize|fp8_quant|cast_transpose|\bamax|block_scal")),
    (
        "attention",
        _search(
            r"flash_(fwd|bwd|attn)|flash::|FlashAttn|FlashAttention(Forward|Backward)|fmha|"
            r"cudnn_generated_fort_native_sdpa|flex_attention|AttentionKernel|\battn_(fwd|bwd)|_attn_(fwd|bwd)|"
            r"FmhaFwd|FmhaBwd|bwd_kernel_d[kq]|paged_attention|compute_dot_do_o|convert_dq_to"
        ),
    ),
    ("cross_entropy", _search(r"nll_loss|cross_entropy|LogSoftMax")),
    ("softmax", _search(r"softmax")),
    # The last two are of group norms only: ATen's source, cuda/group_norm_kernel.cu.
    (
        "normalization",
        _search(
            r"layer_?norm|rms_?norm|RowwiseMoments|GammaBeta|cudnn::bn_|(batch|group)_?norm|"
            r"ComputeInternalGradients|Compute(Backward)?FusedParams"
        ),
    ),
    (
        "convolution",
        _search(
            r"conv(?!ert)|fprop|dgrad|wgrad|implicit_gemm|ImplicitGemm|igemm_(fwd|bwd|wrw)|scudnn|nchwToNhwc|"
            r"nhwcToNchw|cask_cudnn|fft2d_[cr]2[cr]"
        ),
    ),
    (
        "gemm",
        _search(
            r"(?<!fb)gemm|nvjet|cutlass.*(tensorop|Kernel2)|matmul|\bbmm|Cijk_|splitKreduce|cublas|gemv|wgmma|"
            r"epilogue::impl::globalKernel"
        ),
    ),
    (
        "embedding",
        _search(
            r"(?<!rotary_)embedding|indexSelect|vectorized_gather|krn_partial|sum_and_scatter|"
            r"compute_grad_weight|fbgemm_gpu|bounds_check_indices|linearize_index|_embs_kernel|recat_copy"
        ),
    ),
    ("index", _search(r"scatter|gather|sort|topk|cub::|radix|index_|searchsorted|nonzero|masked_select|page_indices")),
    ("dropout", _search(r"philox|dropout|distribution_elementwise")),
    ("reduction", _search(r"reduce_kernel|_pool_(forward|backward)|scan_(inner|outer|dim)|tensor_kernel_scan")),
    ("copy", _search(r"copy_kernel|copy_async|CatArrayBatched|transpose|FillFunctor|reshape_and_cache")),
    ("elementwise", _search(r"elementwise|functor|rotary|rope\b|rope_|swiglu|geglu|silu|SubTensorOp|act_and_mul")),
)

_MATRIX = frozenset({"gemm", "attention", "convolution"})
_CUDA_CORES = _search(
    r"simt|ffma|f32f32_f32f32_f32|(volta|turing|ampere|maxwell|pascal)_[sd]gemm|gemmSN|gemv|gcgemm|scudnn|magma_"
)
_TENSOR_CORES = _search(
    r"nvjet|tensorop|[shci]?(884|1688|16816|16832)(gemm|fprop|dgrad|wgrad|cudnn|_)|s161616|[hi]mma|wgmma|warpgroup|"
    r"tensor16x8|tcgen05|bf16bf16|f16f16|tf32f32|e4m3|e5m2|mxf|mxe|flash|fmha|sdpa|Cijk.*_MI\d|xdlops|_xdl_|"
    r"igemm_\w+_gtcx"
)

_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("tf32", _search(r"tf32|xf32")),
    ("fp8", _search(r"e4m3|e5m2|float8|fp8|mxfp")),
    ("bf16", _search(r"bf16|bfloat16")),
    ("fp16", _search(r"(?<![b])f16|fp16|half|hgemm|_h(884|1688|16816)")),
    ("int8", _search(r"\bi8i8|_i(8816|16832)|igemm_int8|int8gemm")),
    # Single before double: fused optimizers take their learning rate as a double beside single-precision tensors.
    ("fp32", _search(r"f32f32|_f32_|sgemm|scudnn|\bfloat\b")),
    ("fp64", _search(r"f64|dgemm|\bdouble\b")),
)
_NVJET = _search(r"nvjet_(?:sm\d+[af]?_)?([a-z]+)_")
# The first letter of nvjet names the first input (inferred from known calls; the scheme is not documented).
_NVJET_FORMATS = {"t": "bf16", "h": "fp16", "q": "fp8", "o": "fp8", "d": "fp64", "i": "int8"}
_TENSILE = re.compile(r"Cijk_[A-Za-z]+_[A-Za-z]+_([A-Z0-9]+)")
_TENSILE_FORMATS = {"B": "bf16", "H": "fp16", "S": "fp32", "D": "fp64", "F": "fp8", "I": "int8"}
# cuDNN writes f16 for both 16-bit formats in its attention kernels.
_AMBIGUOUS = _search(r"fort_native_sdpa|cudnn::fusion::")
# CUTLASS names a TF32 GEMM by its instruction shape alone: fp32 in, 16x8x8 tensor operation.
_CUTLASS_TF32 = _search(r"tensorop_s1688(gemm|fprop|dgrad|wgrad)")

_BACKWARD = _search(r"bwd|bprop|backward|dot_do_o|convert_dq|dgrad|wgrad|grad_input|GammaBetaBackward|_wrw_|bn_bw_")
_FORWARD = _search(r"fwd|fprop|forward|bn_fw_")

_OPTIMIZERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("fused", _search(r"Fused(Adam|Sgd|LAMB|Adagrad)|Adam\w*Functor|distributed_adam|kOptimizer(Static)?(8|32)bit")),
    # Binary and unary functors alone also come from gradient clipping and from the step counters of fused optimizers.
    ("foreach", _search(r"multi_tensor_apply.*(PointwiseOp|TernaryOp|BinaryOpListAlpha)")),
    ("for-loop", _search(r"elementwise_kernel.*(addcdiv_cuda|addcmul_cuda|lerp_(scalar|tensor)_kernel)")),
)

_TRITON = re.compile(r"^triton_(poi|red|per|tem|for|mm|split_scan|unk)?_?(?:fused_)?(.*)$")
_FUSED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("cross_entropy", _search(r"log_softmax|cross_entropy")),
    ("optimizer", _search(r"addcdiv|lerp.*addcmul|addcmul.*lerp|(?=.*lerp)(?=.*sqrt)(?=.*div)")),
    ("normalization", _search(r"layer_norm|rms_norm|batch_norm|group_norm|(?=.*rsqrt)(?=.*(mean|var))")),
    ("softmax", _search(r"softmax")),
    ("cross_entropy", _search(r"nll_loss")),
    ("embedding", _search(r"embedding")),
    ("dropout", _search(r"dropout|bernoulli|inductor_random")),
    ("index", _search(r"scatter|gather|sort|topk|index_put|index_select")),
)
_MOVES_ONLY = re.compile(r"^(_|to_copy|unsafe_view|view|clone|copy|transpose|permute|expand|cat|slice|squeeze|\d|t)+$")


@lru_cache(maxsize=65536)
def classify(name: str) -> KernelName:
    """What a kernel's (or copy's) name tells about it."""
    kind = _kind(name)
    return KernelName(
        kind=kind,
        tensor_core=_tensor_core(name) if kind in _MATRIX else None,
        dtype=_dtype(name, kind),
        backward=_backward(name),
        optimizer_kind=_first(_OPTIMIZERS, name) or ("fused" if kind == "optimizer" and _inductor(name) else None),
    )


def classify_table(strings: StringTable, ids: npt.ArrayLike | None = None) -> NameTable:
    """Classify the names with these ids (all names by default): a loop over distinct names, never over events."""
    wanted = np.arange(len(strings)) if ids is None else np.unique(np.asarray(ids, dtype=np.int64))
    names = {int(i): classify(strings[int(i)]) for i in wanted}
    index = {label: place for place, label in enumerate(CLASSES)}
    kind = np.full(len(strings), NONE, dtype=np.int8)
    tensor = np.full(len(strings), NONE, dtype=np.int8)
    for i, found in names.items():
        kind[i] = index[found.kind]
        tensor[i] = NONE if found.tensor_core is None else int(found.tensor_core)
    return NameTable(kind, tensor, names)


def _first(table: tuple[tuple[str, re.Pattern[str]], ...], name: str) -> str | None:
    return next((label for label, pattern in table if pattern.search(name)), None)


def _inductor(name: str) -> bool:
    return name.startswith("triton_")


def _kind(name: str) -> str:
    if _inductor(name):
        return _fused_kind(name)
    return _first(_CLASSES, name) or "other"


def _fused_kind(name: str) -> str:
    """The class of a kernel that inductor generated, from the operators it fused."""
    match = _TRITON.match(name)
    form, operators = match.groups() if match else (None, name)
    if form in ("tem", "mm"):
        if "attention" in operators:
            return "attention"
        return "convolution" if "conv" in operators else "gemm"
    if form == "for":  # the horizontal fusion of foreach operators: a compiled optimizer
        return "optimizer"
    found = _first(_FUSED, operators)
    if found:
        return found
    if form in ("red", "per", "split_scan"):
        return "reduction"
    return "copy" if operators and _MOVES_ONLY.match(operators) else "elementwise"


def _tensor_core(name: str) -> bool | None:
    """Whether matrix units ran; None when the name does not tell, because a false "no" is the loudest wrong answer."""
    if _CUDA_CORES.search(name):
        return False
    return True if _TENSOR_CORES.search(name) else None


def _dtype(name: str, kind: str) -> str | None:
    if kind in ("memcpy", "memset") or _inductor(name) or _AMBIGUOUS.search(name):
        return None
    nvjet = _NVJET.search(name)
    if nvjet:
        # Single-precision inputs on tensor cores are TF32 only where the name says so.
        return "tf32" if "tf32" in name.lower() else _NVJET_FORMATS.get(nvjet[1][0])
    tensile = _TENSILE.search(name)
    if tensile:
        return _TENSILE_FORMATS.get(tensile[1][0])
    found = _first(_FORMATS, name)
    return "tf32" if found in (None, "fp32") and _CUTLASS_TF32.search(name) else found


def _backward(name: str) -> bool | None:
    if _BACKWARD.search(name):
        return True
    return False if _FORWARD.search(name) else None
