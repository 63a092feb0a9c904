"""The activation of a model's feed-forward layers, read from its Hugging Face configuration."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jax import Array
from jax.typing import ArrayLike

from jaxact.core import catalog
from jaxact.core.catalog import Function
from jaxact.functions.gated import split
from jaxact.functions.sparse import gaussian_topk


@dataclasses.dataclass(frozen=True)
class Product:
    """f(gate) * value: a gated unit for a function for which jaxact has no unit of its own."""

    f: Function
    """The function of the gate."""

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says about f."""
        return catalog.config(self.f)

    def __call__(self, gate: ArrayLike, value: ArrayLike) -> Array:
        """Evaluate it."""
        return self.f(gate) * value


@dataclasses.dataclass(frozen=True)
class Unit:
    """The function between the projections of a feed-forward layer: an activation, or a gated unit.

    Call a plain activation as `unit(x)`. Call a gated unit as `unit(gate, value)`, or as `unit(packed)` with the array
    of a projection that makes both.
    """

    function: Function
    """The function of x, or of gate and value."""
    gated: bool = False
    """Whether it takes gate and value."""
    layout: str | None = None
    """How gate and value are packed if one projection makes both, as for `jaxact.split`."""
    sparsity: float = 0.0
    """The share of the gate that `jaxact.gaussian_topk` first sets to 0 (Gemma 3n)."""

    @property
    def config(self) -> dict[str, Any]:
        """What `jaxact.config` says about the function."""
        return catalog.config(self.function)

    def __call__(self, x: ArrayLike, value: ArrayLike | None = None) -> Array:
        """Evaluate it."""
        if not self.gated:
            if value is not None:
                raise TypeError(f"jaxact.Unit: expected one array, since {self.config['name']} is not gated, got two")
            return self.function(x)
        gate, value = split(x, self.layout or "gate_first") if value is None else (x, value)
        if self.sparsity:
            gate = gaussian_topk(gate, self.sparsity)
        return self.function(gate, value)


_Read = Callable[..., Any]

_KEYS = ("hidden_activation", "hidden_act", "activation_function", "mlp_hidden_act", "activation")

_GATED = {
    "afmoe", "aimv2", "aimv2_vision", "aria", "axk1", "bailing_hybrid", "bamba", "beam", "bitnet",
    "blt_global_transformer", "blt_local_decoder", "blt_local_encoder", "blt_patcher", "chameleon", "cohere", "cohere2",
    "cohere2_moe", "cohere_compass", "csm", "csm_depth_decoder", "cwm", "deepseek_ocr2", "deepseek_ocr2_encoder",
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "dia_decoder", "dia_encoder", "diffllama", "diffusion_gemma", "doge",
    "dots1", "dots3_note", "dots3_note_audio_encoder", "dots3_note_vision_encoder", "embedding_gemma2", "emu3",
    "ernie4_5", "ernie4_5_moe", "ernie4_5_vl_moe", "eurobert", "exaone4", "exaone4_5_vision", "exaone_moe", "falcon_h1",
    "flex_olmo", "flint", "gemma", "gemma2", "gemma3", "gemma4", "gemma4_unified", "gemma4_vision", "glm", "glm4",
    "glm4_moe", "glm4_moe_lite", "glm4v", "glm4v_moe", "glm4v_moe_vision", "glm4v_vision", "glm_image", "glm_moe_dsa",
    "glm_ocr", "glm_ocr_vision", "granite", "granite4_vision", "granite_docling", "granite_swa", "granitemoe",
    "granitemoe_swa", "granitemoehybrid", "granitemoeshared", "gte", "helium", "higgs_audio_v2", "hrm_text",
    "hunyuan_v1_dense", "hunyuan_v1_moe", "hunyuan_vl", "hy_v3", "hy_v4_vl", "hyperclovax", "inkling", "jamba",
    "jetmoe", "kimi_k2", "kimi_linear", "kolibri1", "kyutai_speech_to_text", "laguna", "lara_mini", "llama", "llama4",
    "longcat_flash", "mellum", "mimo_v2_flash", "minicpm3", "minimax", "minimax_m2", "ministral", "ministral3",
    "mistral", "mistral4", "mistral_large4", "mixtral", "mllama", "modernbert", "modernbert-decoder", "molmo2", "moshi",
    "moshi_depth", "muse_glimmer", "muse_glimmer_assistant", "muse_spark", "nomic_bert", "olmo", "olmo2", "olmo3",
    "olmo_hybrid", "olmoe", "ovis2_vision", "paddleocr_vl", "pe_audio_encoder", "pe_audio_video_encoder",
    "pe_video_encoder", "phi3", "phi4_multimodal", "phimoe", "pixtral", "qwen2", "qwen2_5_omni", "qwen2_5_omni_talker",
    "qwen2_5_omni_vision_encoder", "qwen2_5_vl", "qwen2_5_vl_vision", "qwen2_moe", "qwen2_vl", "qwen3", "qwen3_5",
    "qwen3_5_moe", "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen3_omni_moe_talker", "qwen3_vl", "qwen3_vl_moe",
    "qwen4_exp", "recurrent_gemma", "seed_oss", "smollm3", "solar_open", "stablelm", "t5_gemma", "t5gemma", "t5gemma2",
    "t5gemma2_decoder", "vaultgemma", "voxtral_realtime", "voxtral_realtime_encoder", "youtu", "zamba", "zamba2",
}  # fmt: skip
_PLAIN = {
    "albert", "align", "altclip", "altclip_vision", "apertus", "apertus1p5", "arcee", "audio-spectrogram-transformer",
    "audioflamingo3_encoder", "autoformer", "bart", "beit", "bert", "bert-generation", "big_bird", "bigbird_pegasus",
    "biogpt", "blenderbot", "blenderbot-small", "blip", "blip_2_qformer", "blip_2_vision", "blip_vision", "bridgetower",
    "bros", "camembert", "canine", "chinese_clip", "chinese_clip_vision", "clap", "clap_audio", "clip", "clip_vision",
    "clipseg", "clipseg_vision", "codegen", "cohere_asr", "cohere_compass_vision", "conditional_detr", "convbert",
    "cosmos3_edge", "cosmos3_edge_vision", "deberta", "deberta-v2", "decision_transformer", "deepseek_ocr2_sam_vision",
    "deformable_detr", "deit", "detr", "dinat", "distilbert", "dpr", "dpt", "electra", "ernie",
    "ernie4_5_vl_moe_vision", "falcon", "flava", "flava_image", "flava_multimodal", "florence_vision", "fnet",
    "gemma4_audio", "git", "git_vision", "glm_image_vision", "glmasr_encoder", "got_ocr2_vision", "gpt2", "gpt_bigcode",
    "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gptj", "granite_docling_vision", "granite_speech5_encoder", "groupvit",
    "groupvit_vision", "hiera", "hubert", "hunyuan_vl_vision", "hy_v4_vl_vision", "idefics2_vision", "idefics3_vision",
    "ijepa", "imagegpt", "informer", "inkling2_vision", "instructblip_qformer", "instructblip_vision",
    "internvl_vision", "jais2", "janus_vision", "jina_embeddings_v3", "kimi_k25_vision", "kosmos_2_vision",
    "lasr_encoder", "layoutlm", "layoutlmv2", "layoutlmv3", "led", "lilt", "llama4_vision", "longformer", "luke",
    "lxmert", "m2m_100", "marian", "markuplm", "mbart", "megatron-bert", "metaclip_2", "metaclip_2_vision", "mimi",
    "minicpm_ocr_vision", "minicpmv4_6_vision", "minicpmv4_7_vision", "minimax_m3_vl_vision", "mlcd", "mlcd_vision",
    "mllama_vision", "mobilebert", "molmo2_vision", "mpnet", "mra", "muse_glimmer_vision", "muse_spark_audio",
    "muse_spark_vision", "musicgen_decoder", "musicgen_melody_decoder", "mvp", "nanochat", "nemotron",
    "nemotron_asr_streaming_encoder", "nemotron_h", "neomme", "neucodec", "nystromformer", "omniasr_audio", "opt",
    "owlv2", "owlv2_vision", "owlvit", "owlvit_vision", "paddleocr_vl_vision", "parakeet_encoder", "pegasus",
    "pegasus_x", "persimmon", "phi", "phi4_multimodal_vision", "pixio", "plbart", "qianfan_ocr_vision",
    "qwen2_5_omni_audio_encoder", "qwen2_audio_encoder", "qwen2_vl_vision", "qwen3_5_moe_vision", "qwen3_5_vision",
    "qwen3_asr_encoder", "qwen3_omni_moe_audio_encoder", "qwen3_omni_moe_vision_encoder", "qwen3_vl_moe_vision",
    "qwen3_vl_vision", "qwen4_exp_vision", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "sew",
    "sew-d", "siglip", "siglip2", "siglip2_vision", "siglip_vision", "smolvlm_vision", "speech_to_text", "speecht5",
    "splinter", "starcoder2", "step3p5_vision", "swin", "swin2sr", "swinv2", "tapas", "time_series_transformer",
    "timesfm2_5", "timesformer", "tipsv2", "trocr", "tvp", "unispeech", "unispeech-sat", "video_llama_3_vision",
    "videomae", "videoprism", "videoprism_vision", "vilt", "visual_bert", "vit", "vit_mae", "vit_msn",
    "vitpose_backbone", "vivit", "vjepa2", "voxtral_encoder", "wav2vec2", "wav2vec2-bert", "wav2vec2-conformer",
    "wavlm", "whisper", "xclip", "xclip_vision", "xcodec2", "xglm", "xlm-roberta", "xlm-roberta-xl", "xmod", "yolos",
    "yoso",
}  # fmt: skip


def _plain(name: str) -> Unit:
    return Unit(catalog.get(name, "transformers"))


def _gated(name: str, **more: Any) -> Unit:
    return Unit(gated_by(catalog.get(name, "transformers")), True, **more)


_UNITS = {
    "gelu": "geglu",
    "glu": "sigmoid_gate",
    "identity": "bilinear",
    "quick_gelu": "qgeglu",
    "relu": "reglu",
    "relu2": "sreglu",
    "sigmoid": "sigmoid_gate",
    "silu": "swiglu",
}
"""The gated unit for each function, with the same parameters."""


def gated_by(f: Function) -> Function:
    """The gated unit whose gate's activation is f, or f itself if it is a gated unit."""
    try:
        settings = catalog.config(f)
    except (TypeError, ValueError):  # f is not in the catalog, or a parameter is an array
        return Product(f)
    name = settings.pop("name")
    if name in catalog.names() and catalog.info(name).kind == "gated" and name not in _UNITS:
        return f
    if name not in _UNITS or not settings.keys() <= catalog.info(_UNITS[name]).parameters.keys():
        return Product(f)
    return catalog.get({"name": _UNITS[name], **settings})


def _limited(unit: str, layout: str = "gate_first", **keys: tuple[str, float]) -> Callable[[_Read, int | None], Unit]:
    """A gated unit of fixed form. Its parameters come from the configuration, by the key there, or are the default."""

    def make(read: _Read, layer: int | None) -> Unit:
        return Unit(catalog.get({"name": unit, **{p: read(*key) for p, key in keys.items()}}), True, layout)

    return make


def _gated_if(key: str, act: str | None = None) -> Callable[[_Read, int | None], Unit]:
    """A layer that the key makes a gated one, with the configuration's activation or that of the code."""

    def make(read: _Read, layer: int | None) -> Unit:
        named = read("hidden_act", "gelu")
        return _gated(act or named, layout="gate_first") if read(key, False) else _plain(named)

    return make


def _t5(read: _Read, layer: int | None) -> Unit:
    projection = read("feed_forward_proj", "relu")
    if not projection.startswith("gated-"):
        return _plain(projection)
    act = projection.removeprefix("gated-")
    return _gated("gelu_new" if act == "gelu" else act, layout="gate_first")  # T5 1.1's gelu is the tanh form


def _gemma3n(read: _Read, layer: int | None) -> Unit:
    sparsity = _of_layer("activation_sparsity_pattern", read("activation_sparsity_pattern", None) or 0.0, layer)
    return _gated(read("hidden_activation", "gelu_pytorch_tanh"), layout="gate_first", sparsity=sparsity)


def _minicpm(read: _Read, layer: int | None) -> Unit:
    act = read("hidden_act", "silu")
    if act != "fatrelu":
        return _gated(act, layout="gate_first")
    return Unit(catalog.get({"name": "fatreglu", "threshold": read("hidden_act_param", 0.0)}), True, "gate_first")


def _step(read: _Read, layer: int | None) -> Unit:
    limit = _of_layer("swiglu_limits_shared", read("swiglu_limits_shared", None) or 0.0, layer)
    if not limit:
        return _gated(read("hidden_act", "silu"), layout="gate_first")
    return Unit(catalog.get({"name": "swiglu_step", "limit": limit}), True, "gate_first")


_OTHERS: Mapping[str, Callable[[_Read, int | None], Unit]] = {
    **dict.fromkeys(("t5", "mt5", "umt5", "longt5", "switch_transformers", "pop2piano", "udop"), _t5),
    **dict.fromkeys(
        ("deepseek_v4", "glm5_next", "glm5_next_vision", "hy_v4"),
        _limited("swiglu_clamped", limit=("swiglu_limit", 10.0)),
    ),
    "gpt_oss": _limited("swiglu_oai", "interleaved", alpha=("swiglu_alpha", 1.702), limit=("swiglu_limit", 7.0)),
    "minimax_m3_vl": _limited("swiglu_oai", alpha=("swiglu_alpha", 1.702), limit=("swiglu_limit", 7.0)),
    **dict.fromkeys(
        ("inkling2", "inkling2_loop"),
        _limited("situ_glu", beta=("mlp_gate_softcap", 4.0), linear_beta=("mlp_up_softcap", 25.0)),
    ),
    "bloom": lambda read, layer: _plain("gelu_new"),
    "mpt": lambda read, layer: _plain("gelu"),
    **dict.fromkeys(("lfm2", "lfm2_moe"), lambda read, layer: _gated("silu", layout="gate_first")),
    **dict.fromkeys(("dinov2", "dinov2_with_registers"), _gated_if("use_swiglu_ffn", "silu")),
    **dict.fromkeys(("dinov3_vit", "sapiens2"), _gated_if("use_gated_mlp")),
    "phi4_multimodal_audio": lambda read, layer: _gated(read("activation", "swish"), layout="gate_last"),
    "minicpm": _minicpm,
    "gemma3n": _gemma3n,
    "step3p5": _step,
}
"""Model type -> the function that reads its configuration."""


def from_config(config: Any, layer: int | None = None) -> Unit:
    """Read the activation of a model's feed-forward layers from its Hugging Face configuration.

    Which function an activation string means, whether it is gated, how gate and value are packed and where they are
    clamped depends on the model's code more than on its configuration. jaxact knows it for the families of Llama, Qwen,
    Gemma, Mistral, gpt-oss, DeepSeek, GLM, Kimi, Apertus, Nemotron, Phi, ModernBERT, Whisper, ViT, T5 and others.

    Args:
      config: a `transformers` configuration, or the dictionary of its config.json. If a model has several parts, the
        text model is read; for another part, give that part's configuration.
      layer: which layer, for a model whose layers differ (Gemma 3n's sparsity, Step 3's limits).

    Returns:
      A `Unit` with its `function`, whether it is `gated`, and the `layout` of a fused projection. Apertus learns the
      parameters of its xielu, as `jaxact.nnx.XIELU` does; here they have their start values.

    Raises:
      TypeError: config is not a configuration.
      ValueError: the model type or its activation is not known, or the layers differ and `layer` is missing.

    Reference: transformers 5.24, the modules of each model.

    >>> unit = from_config({"model_type": "gpt_oss", "hidden_act": "silu", "swiglu_limit": 7.0})
    >>> unit.gated, unit.layout, unit.config["name"]
    (True, 'interleaved', 'swiglu_oai')
    """

    def read(key: str, default: Any = None) -> Any:
        value = config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)
        return default if value is None else value

    kind = read("model_type")
    if not isinstance(kind, str):
        raise TypeError(
            f"jaxact.from_config: expected a configuration with a model_type, got {type(config).__name__}; load it "
            "with transformers.AutoConfig, or give the dictionary of its config.json"
        )
    for part in ("text_config", "thinker_config", "decoder"):
        if isinstance(inner := read(part), Mapping) or hasattr(inner, "model_type"):
            return from_config(inner, layer)
    for end in ("_model", "_text", "_module"):
        kind = kind if kind in _GATED | _PLAIN else kind.removesuffix(end)
    if kind in _OTHERS:
        return _OTHERS[kind](read, layer)
    act = next((value for key in _KEYS if isinstance(value := read(key), str)), None)
    if act is None or kind not in _GATED | _PLAIN:
        raise ValueError(
            f"jaxact.from_config: expected a known model with an activation, got model_type {read('model_type')!r} "
            f'with {act!r}; see in its code whether it is gated, and use jaxact.get(..., source="transformers")'
        )
    return _gated(act, layout="gate_first") if kind in _GATED else _plain(act)


def _of_layer(key: str, values: Any, layer: int | None) -> float:
    """One number of a list that has one for each layer."""
    if not isinstance(values, list | tuple):
        return float(values)
    if layer is None and len(set(values)) > 1:
        raise ValueError(
            f"jaxact.from_config: {key} differs from layer to layer; say which layer, with layer=0 for the first"
        )
    if layer is not None and layer not in range(len(values)):
        raise ValueError(
            f"jaxact.from_config: expected layer in [0, {len(values)}), got {layer!r}; {key} has one value per layer"
        )
    return float(values[layer or 0] or 0)
