from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmprof.analyzers.facts.device.kernel_names import CLASSES, classify, classify_table
from llmprof.timeline.events import NONE, Kind, StringTable

ATEN = "void at::native::"
ANONYMOUS = "void at::native::(anonymous namespace)::"

KINDS = {
    "nvjet_sm90_tst_128x256_64x4_2x1_v_bz_coopA_NTN": "gemm",
    "void cutlass::Kernel2<cutlass_80_simt_sgemm_128x256_8x4_nt_align1>(cutlass_80_simt_sgemm::Params)": "gemm",
    "Cijk_Ailk_Bjlk_BBS_BH_Bias_HAS_SAV_UserArgs_MT64x32x64_MI16x16x1_SN": "gemm",
    "void cublasLt::splitKreduce_kernel<32, 16, int, float, __nv_bfloat16, float>": "gemm",
    "cudnn_generated_fort_native_sdpa_sm90_flash_bprop_wgmma_f16_knob_26_64x64x64": "attention",
    "void pytorch_flash::flash_fwd_kernel<pytorch_flash::Flash_fwd_kernel_traits<64, 128>>": "attention",
    "void cudnn::fusion::compute_dot_do_o_specialized<true, 64>(void const*)": "attention",
    "_attn_fwd": "attention",
    "sm80_xmma_dgrad_implicit_gemm_tf32f32_tf32f32_f32_nhwckrsc_nhwc": "convolution",
    "igemm_wrw_gtcx3_nhwc_bf16_bx0_ex1_bt64x64x64_wt32x32x8": "convolution",
    ANONYMOUS + "vectorized_layer_norm_kernel<float, float, false>(int, float)": "normalization",
    "void vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8>(c10::BFloat16*)": "normalization",
    ANONYMOUS + "cunn_SoftMaxForward<8, c10::BFloat16, float, LogSoftMaxForwardEpilogue>": "cross_entropy",
    ANONYMOUS + "cunn_SoftMaxForward<8, c10::BFloat16, float, SoftMaxForwardEpilogue>": "softmax",
    ATEN + "elementwise_kernel<128, 2, gpu_kernel_impl<BinaryFunctor<MulFunctor>>::{lambda(int)#1}>": "elementwise",
    ATEN + "vectorized_elementwise_kernel<4, masked_fill_kernel(TensorIterator&)::{lambda()#1}>": "elementwise",
    "void vllm::rotary_embedding_kernel<c10::BFloat16, true>(long const*)": "elementwise",
    ATEN + "vectorized_elementwise_kernel<4, FillFunctor<float>, std::array<char*, 1ul> >": "copy",
    ATEN + "unrolled_elementwise_kernel<direct_copy_kernel_cuda(TensorIteratorBase&)>": "copy",
    ATEN + "reduce_kernel<512, 1, ReduceOp<float, MeanOps<float, float, float, float>>>": "reduction",
    ANONYMOUS + "embedding_backward_feature_kernel<float, float, long>(long const*)": "embedding",
    "void fbgemm_gpu::permute_2D_data_kernel<false, int, int>(int, int, int)": "embedding",
    ATEN + "index_elementwise_kernel<128, 4, gpu_index_kernel<index_kernel_impl>>": "index",
    ANONYMOUS + "fused_dropout_kernel_vec<float, float, unsigned int, 1, 4, bool>": "dropout",
    "void moe::dev::routing::routingIndicesHistogramKernel<KernelParams>": "moe",
    "void tensorrt_llm::kernels::quantize_with_block_size<2, __nv_bfloat16, 32, true>": "quantization",
    "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)": "communication",
    "ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)": "communication",
    "void (anonymous namespace)::multimem_all_reduce_kernel<c10::BFloat16, 16>(c10::BFloat16*)": "communication",
    "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 8>": "communication",
    "Memcpy HtoD (Pageable -> Device)": "memcpy",
    "__amd_rocclr_copyBuffer": "memcpy",
    "Memset (Device)": "memset",
    "some_kernel_that_nobody_knows": "other",
    "triton_per_fused__to_copy_native_layer_norm_backward_view_4": "normalization",
    "triton_red_fused__to_copy_add_mean_mul_pow_rsqrt_3": "normalization",
    "triton_per_fused__log_softmax__to_copy_nll_loss_forward_sub_view_16": "cross_entropy",
    "triton_poi_fused_mul_silu_2": "elementwise",
    "triton_poi_fused_convolution_relu_7": "elementwise",
    "triton_poi_fused__to_copy_1": "copy",
    "triton_red_fused_sum_0": "reduction",
    "triton_tem_fused_addmm_12": "gemm",
    "triton_tem_fused_flex_attention_3": "attention",
    "triton_for_fused_0": "optimizer",
    "triton__0d1d2d3d": "elementwise",
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_class_of_known_kernels(name: str, kind: str) -> None:
    assert classify(name).kind == kind


GEMMS = {
    # name: (tensor cores, format)
    "nvjet_tst_144x128_64x6_2x1_v_bz_bias_TNN": (True, "bf16"),
    "nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_NTN": (True, "fp16"),
    "nvjet_sm90_qqtst_128x256_128x4_2x1_v_bz_coopA_TNT": (True, "fp8"),
    "nvjet_sm90_sss_tf32_128x256_64x4_2x1_v_bz_coopA_TNT": (True, "tf32"),
    "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1": (True, "bf16"),
    "sm90_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize128x256x32_warpgroupsize2x1x1": (True, "tf32"),
    "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize128x128x8_stage3_warpsize2x2x1_ffma": (False, "fp32"),
    "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_64x64_64x6_tn_align8>": (True, "bf16"),
    "void cutlass::Kernel2<cutlass_75_wmma_tensorop_bf16_s161616gemm_bf16_32x32_32x1_nn_align1>": (True, "bf16"),
    "void cutlass::Kernel<cutlass_80_tensorop_s1688gemm_256x64_16x4_nn_align4>": (True, "tf32"),
    "void cutlass::Kernel2<cutlass_80_simt_sgemm_128x256_8x4_nt_align1>": (False, "fp32"),
    "ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_nn": (True, "bf16"),
    "ampere_fp16_s16816gemm_fp16_128x128_ldg8_f2f_tn": (True, "fp16"),
    "volta_fp16_s884gemm_fp16_64x64_ldg8_f2f_tn": (True, "fp16"),
    "volta_sgemm_128x64_nn": (False, "fp32"),
    "ampere_sgemm_32x32_sliced1x4_tn": (False, "fp32"),
    "std::enable_if<!(false), void>::type internal::gemvx::kernel<int, int, __nv_bfloat16, float>": (False, "bf16"),
    "bmm_MxE4m3_MxE2m1MxE4m3_Fp32_t128x16x256u2_s3_et128x16": (True, "fp8"),
    "Cijk_Ailk_Bljk_HHS_BH_MT32x32x64_MI16x16x16x1_SN": (True, "fp16"),
    "Cijk_Ailk_Bljk_SB_MT32x32x64_SN": (None, "fp32"),
    "triton_tem_fused_addmm_12": (None, None),
}


@pytest.mark.parametrize(("name", "expected"), GEMMS.items())
def test_units_and_format_of_matrix_kernels(name: str, expected: tuple[bool | None, str | None]) -> None:
    found = classify(name)
    assert (found.kind, found.tensor_core, found.dtype) == ("gemm", *expected)


def test_cudnn_attention_does_not_tell_which_16_bit_format_it_read() -> None:
    found = classify("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x64")
    assert (found.tensor_core, found.dtype, found.backward) == (True, None, False)


OPTIMIZERS = {
    "multi_tensor_apply_kernel<FusedOptimizerTensorListMetadata<4>, FusedAdamMathFunctor<float, 4, ADAMW>>": "fused",
    "void multi_tensor_apply_kernel<TensorListMetadata<4>, AdamFunctor<float>, float, float, adamMode_t>": "fused",
    "multi_tensor_apply_kernel<TensorListMetadata<3>, PointwiseOpListFunctor<float, 3>, std::divides>": "foreach",
    "multi_tensor_apply_kernel<TensorListMetadata<2>, BinaryOpListAlphaFunctor<float, 2, 2, 0>>": "foreach",
    # What a fused optimizer does to its step counters, and gradient clipping to the gradients:
    "multi_tensor_apply_kernel<TensorListMetadata<1>, BinaryOpScalarFunctor<float, 1, 1, 0>, std::plus>": None,
    "multi_tensor_apply_kernel<TensorListMetadata<1>, LpNormFunctor<float, NormType::L2>>": None,
}


@pytest.mark.parametrize(("name", "kind"), OPTIMIZERS.items())
def test_kind_of_optimizer(name: str, kind: str | None) -> None:
    found = classify(ANONYMOUS + name)
    assert (found.kind, found.optimizer_kind) == ("optimizer", kind)


def test_table_leaves_out_names_that_were_not_asked_for() -> None:
    strings = StringTable(["aten::mm", "volta_sgemm_128x64_nn"])
    table = classify_table(strings, np.array([1, 1]))
    assert table.kind.tolist() == [NONE, CLASSES.index("gemm")]
    assert table.tensor_core.tolist() == [NONE, 0]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["h200", "kineto_public"])
def test_nearly_all_device_time_of_real_recordings_has_a_class(recordings: Path, recorded, folder: str) -> None:
    unknown = {}
    for path in sorted((recordings / folder).glob("*.json.gz")):
        events = recorded(f"{folder}/{path.name.removesuffix('.json.gz')}").events
        rows = events.rows(Kind.KERNEL)
        table = classify_table(events.strings, events.name[rows])
        other = rows[table.kind[events.name[rows]] == CLASSES.index("other")]
        unknown[path.name] = events.dur[other].sum() / events.dur[rows].sum()
    assert unknown
    assert {name: share for name, share in unknown.items() if share > 0.03} == {}
