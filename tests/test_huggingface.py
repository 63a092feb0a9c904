"""`from_config` against transformers' own feed-forward modules, on what their own projections make of random input.

transformers and PyTorch are installed where Python is older than 3.12; elsewhere the first half of this file has no
cases. What the second half holds needs neither.
"""

import importlib
import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest

import jaxact

pytestmark = pytest.mark.quickly_compiled

HAVE_BOTH = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))

# Model's folder, configuration, module, settings, and the names of the projections into and out of the activation.
GATED = ("gate_proj", "up_proj", "down_proj")
MODULES = [
    ("llama", "LlamaConfig", "LlamaMLP", {}, GATED),
    ("llama4", "Llama4TextConfig", "Llama4TextMLP", {}, GATED),
    ("qwen2", "Qwen2Config", "Qwen2MLP", {}, GATED),
    ("qwen3", "Qwen3Config", "Qwen3MLP", {}, GATED),
    ("qwen3_next", "Qwen3NextConfig", "Qwen3NextMLP", {}, GATED),
    ("gemma", "GemmaConfig", "GemmaMLP", {}, GATED),
    ("gemma2", "Gemma2Config", "Gemma2MLP", {}, GATED),
    ("gemma3", "Gemma3TextConfig", "Gemma3MLP", {}, GATED),
    ("gemma3n", "Gemma3nTextConfig", "Gemma3nTextMLP", {"layer": 0}, GATED),
    ("gemma3n", "Gemma3nTextConfig", "Gemma3nTextMLP", {"layer": 20}, GATED),
    ("gemma4", "Gemma4TextConfig", "Gemma4TextMLP", {"layer": 0}, GATED),
    ("mistral", "MistralConfig", "MistralMLP", {}, GATED),
    ("ministral3", "Ministral3Config", "Ministral3MLP", {}, GATED),
    ("deepseek_v3", "DeepseekV3Config", "DeepseekV3MLP", {}, GATED),
    ("deepseek_v4", "DeepseekV4Config", "DeepseekV4MLP", {"swiglu_limit": 0.5}, GATED),
    ("glm", "GlmConfig", "GlmMLP", {}, ("gate_up_proj", "down_proj")),
    ("glm4_moe", "Glm4MoeConfig", "Glm4MoeMLP", {}, GATED),
    ("glm5_next", "Glm5NextTextConfig", "Glm5NextTextMLP", {"swiglu_limit": 0.5}, GATED),
    ("kimi_linear", "KimiLinearConfig", "KimiLinearMLP", {}, GATED),
    ("step3p7", "Step3p7TextConfig", "Step3p7MLP", {"layer": 0}, GATED),
    ("step3p7", "Step3p7TextConfig", "Step3p7MLP", {"layer": 1}, GATED),
    ("apertus", "ApertusConfig", "ApertusMLP", {}, ("up_proj", "down_proj")),
    ("nemotron", "NemotronConfig", "NemotronMLP", {}, ("up_proj", "down_proj")),
    ("nemotron_h", "NemotronHConfig", "NemotronHMLP", {}, ("up_proj", "down_proj")),
    ("phi", "PhiConfig", "PhiMLP", {}, ("fc1", "fc2")),
    ("phi3", "Phi3Config", "Phi3MLP", {}, ("gate_up_proj", "down_proj")),
    ("modernbert", "ModernBertConfig", "ModernBertMLP", {}, ("Wi", "Wo")),
    ("siglip", "SiglipVisionConfig", "SiglipMLP", {}, ("fc1", "fc2")),
    ("vit", "ViTConfig", "ViTMLP", {}, ("fc1", "fc2")),
    ("dinov3_vit", "DINOv3ViTConfig", "DINOv3ViTGatedMLP", {"use_gated_mlp": True}, GATED),
    ("lfm2", "Lfm2Config", "Lfm2MLP", {}, ("w1", "w3", "w2")),
    ("phi4_multimodal", "Phi4MultimodalAudioConfig", "Phi4MultimodalAudioMLP", {}, ("gate_up_proj", "down_proj")),
    ("t5", "T5Config", "T5DenseActDense", {}, ("wi", "wo")),
    ("t5", "T5Config", "T5DenseGatedActDense", {"feed_forward_proj": "gated-gelu"}, ("wi_0", "wi_1", "wo")),
    ("t5", "T5Config", "T5DenseGatedActDense", {"feed_forward_proj": "gated-silu"}, ("wi_0", "wi_1", "wo")),
    ("mt5", "MT5Config", "MT5DenseGatedActDense", {}, ("wi_0", "wi_1", "wo")),
    ("t5gemma", "T5GemmaModuleConfig", "T5GemmaMLP", {}, GATED),
]
SMALL = {"hidden_size": 16, "intermediate_size": 24, "d_model": 16, "d_ff": 24}


def seen_by(module, projections, x):
    """What the projections in give and what the one out gets, as NumPy arrays."""
    import torch

    seen = {}
    *into, out = projections
    for name in into:
        getattr(module, name).register_forward_hook(lambda _, args, y, name=name: seen.__setitem__(name, y))
    getattr(module, out).register_forward_pre_hook(lambda _, args: seen.__setitem__(out, args[0]))
    with torch.no_grad():
        module.eval()(x)
    return [seen[name].numpy() for name in into], seen[out].numpy()


@pytest.mark.filterwarnings("ignore")  # of transformers about itself
@pytest.mark.parametrize(("folder", "configuration", "name", "settings", "projections"), MODULES if HAVE_BOTH else [])
def test_units_are_transformers_own(folder, configuration, name, settings, projections):
    import torch
    import transformers

    settings = dict(settings)
    layer = settings.pop("layer", None)
    config = getattr(transformers, configuration, None) or getattr(
        importlib.import_module(f"transformers.models.{folder}.configuration_{folder}"), configuration
    )
    made = config(**settings)
    for key, value in SMALL.items():
        if isinstance(getattr(made, key, None), int):
            setattr(made, key, value)
    if folder == "gemma3n":
        made.intermediate_size = [24] * made.num_hidden_layers
    if folder == "t5gemma":
        made.dropout_rate = 0.0
    if folder == "step3p7":
        made.swiglu_limits_shared = [0.0, 0.5]
    module = getattr(importlib.import_module(f"transformers.models.{folder}.modeling_{folder}"), name)
    torch.manual_seed(0)
    module = module(made) if layer is None else module(made, layer)
    arrays, expected = seen_by(module.float(), projections, 4 * torch.randn(3, 5, 16))
    for given in (made, made.to_dict()):
        unit = jaxact.from_config(given, layer)
        got = unit(*arrays)
        # xielu's own parameters are bfloat16 there, whose 0.8 is 0.8 to 4e-3
        tolerance = 1e-2 if folder == "apertus" else 2e-5
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    assert np.abs(expected).max() > 0.1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", ["gpt_oss", "minimax_m3_vl"] if HAVE_BOTH else [])
def test_packed_experts_are_transformers_own(folder):
    import torch
    import transformers

    name, experts = {
        "gpt_oss": ("GptOssConfig", "GptOssExperts"),
        "minimax_m3_vl": ("MiniMaxM3VLTextConfig", "MiniMaxM3VLExperts"),
    }[folder]
    made = getattr(transformers, name)(hidden_size=8, intermediate_size=8, num_local_experts=2)
    module = getattr(importlib.import_module(f"transformers.models.{folder}.modeling_{folder}"), experts)(made)
    packed = 6 * torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(
        jaxact.from_config(made)(packed.numpy()), module._apply_gate(packed).numpy(), rtol=2e-5, atol=2e-5
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("caps", [(4.0, 25.0), (1.0, 2.0)] if HAVE_BOTH else [])
def test_softcapped_units_are_transformers_own(caps):
    import torch
    from transformers.models.inkling2 import configuration_inkling2, modeling_inkling2

    made = configuration_inkling2.Inkling2TextConfig()
    made.mlp_gate_softcap, made.mlp_up_softcap = caps
    gate, up = 8 * torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    wanted = modeling_inkling2.Inkling2SoftcappedSwiGLU(made)(gate, up)
    np.testing.assert_allclose(jaxact.from_config(made)(gate.numpy(), up.numpy()), wanted, rtol=2e-5, atol=1e-6)


G, U = np.random.default_rng(0).normal(0, 3, (2, 4, 8)).astype(np.float32)


def test_whisper_and_others_are_not_gated():
    for config in (
        {"model_type": "whisper", "activation_function": "gelu"},
        {"model_type": "vit", "hidden_act": "gelu"},
        {"model_type": "bert", "hidden_act": "gelu"},
    ):
        unit = jaxact.from_config(config)
        assert not unit.gated
        np.testing.assert_array_equal(unit(G), jaxact.gelu(G, approximate=False))
        with pytest.raises(TypeError, match="gelu is not gated, got two"):
            unit(G, U)


def test_a_model_of_several_parts_is_its_text_model():
    text = {"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh"}
    unit = jaxact.from_config({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_act": "relu"}})
    assert unit == jaxact.from_config(text)
    np.testing.assert_array_equal(unit(G, U), jaxact.geglu(G, U))
    omni = {"model_type": "qwen3_omni_moe", "thinker_config": {"model_type": "qwen3_omni_moe_thinker", "text_config": {
        "model_type": "qwen3_omni_moe_text", "hidden_act": "silu"}}}  # fmt: skip
    np.testing.assert_array_equal(jaxact.from_config(omni)(G, U), jaxact.swiglu(G, U))


def test_a_gate_that_has_no_unit_of_its_own():
    unit = jaxact.from_config({"model_type": "llama", "hidden_act": "mish"})
    assert unit.gated
    np.testing.assert_array_equal(unit(G, U), jaxact.mish(G) * U)


def test_layouts():
    packed = np.concatenate([G, U], -1)
    np.testing.assert_array_equal(
        jaxact.from_config({"model_type": "phi3", "hidden_act": "silu"})(packed), jaxact.swiglu(G, U)
    )
    woven = np.stack([G, U], -1).reshape(4, 16)
    unit = jaxact.from_config({"model_type": "gpt_oss", "swiglu_limit": 2.0})
    np.testing.assert_array_equal(unit(woven), jaxact.swiglu_oai(G, U, limit=2.0))
    assert unit.config == {"name": "swiglu_oai", "alpha": 1.702, "limit": 2.0}


def test_units_of_single_families():
    kimi = jaxact.from_config({"model_type": "inkling2_text", "hidden_act": "silu", "mlp_gate_softcap": 2.0})
    assert kimi.config == {"name": "situ_glu", "beta": 2.0, "linear_beta": 25.0}
    sparse = jaxact.from_config({"model_type": "minicpm", "hidden_act": "fatrelu", "hidden_act_param": 0.5})
    np.testing.assert_array_equal(sparse(G, U), np.where(G > 0.5, G, 0) * U)
    assert jaxact.from_config({"model_type": "dinov2", "hidden_act": "gelu"}).config["name"] == "gelu"
    assert jaxact.from_config({"model_type": "dinov2", "use_swiglu_ffn": True}).function is jaxact.swiglu
    assert jaxact.from_config({"model_type": "bloom"}).function is jaxact.get("gelu_new", "transformers")
    assert jaxact.from_config({"model_type": "mpt"}).config == {"name": "gelu", "approximate": False}
    assert not jaxact.from_config({"model_type": "speech_to_text", "activation_function": "relu"}).gated
    decoder = {"model_type": "t5gemma2_decoder", "hidden_activation": "gelu_pytorch_tanh"}
    assert jaxact.from_config({"model_type": "t5gemma2", "decoder": decoder}).function is jaxact.geglu
    assert jaxact.from_config({"model_type": "bitnet", "hidden_act": "relu2"}).function is jaxact.sreglu


def test_layers_that_differ():
    config = {"model_type": "gemma3n_text", "hidden_activation": "gelu_pytorch_tanh",
              "activation_sparsity_pattern": [0.95, 0.95, 0.0]}  # fmt: skip
    with pytest.raises(ValueError, match=r"activation_sparsity_pattern differs from layer to layer; say which"):
        jaxact.from_config(config)
    with pytest.raises(ValueError, match=r"expected layer in \[0, 3\), got 3; activation_sparsity_pattern has one"):
        jaxact.from_config(config, 3)
    np.testing.assert_array_equal(jaxact.from_config(config, 2)(G, U), jaxact.geglu(G, U))
    sparse = jaxact.geglu(jaxact.gaussian_topk(jnp.asarray(G), 0.95), U)
    np.testing.assert_array_equal(jaxact.from_config(config, 0)(G, U), sparse)


def test_what_is_not_known():
    with pytest.raises(
        ValueError, match=r"expected a known model with an activation, got model_type 'foo' with 'silu'"
    ):
        jaxact.from_config({"model_type": "foo", "hidden_act": "silu"})
    with pytest.raises(ValueError, match=r"got model_type 'llama' with None"):
        jaxact.from_config({"model_type": "llama"})
    with pytest.raises(ValueError, match=r"no activation is named 'silou' in transformers; did you mean silu"):
        jaxact.from_config({"model_type": "llama", "hidden_act": "silou"})
    with pytest.raises(TypeError, match=r"expected a configuration with a model_type, got dict"):
        jaxact.from_config({"hidden_act": "silu"})
