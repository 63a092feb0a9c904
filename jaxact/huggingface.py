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
    "afmoe", "bailing_hybrid", "bamba", "bitnet", "cohere", "cohere2", "cohere2_moe", "csm", "deepseek_v2",
    "deepseek_v3", "deepseek_v32", "diffllama", "doge", "embedding_gemma2", "ernie4_5", "ernie4_5_moe", "eurobert",
    "exaone4", "exaone_moe", "gemma", "gemma2", "gemma3", "gemma4", "gemma4_unified", "glm", "glm4", "glm4_moe",
    "glm4_moe_lite", "glm4v", "glm4v_moe", "glm_moe_dsa", "glm_ocr", "granite", "granite_swa", "granitemoe",
    "granitemoe_swa", "granitemoehybrid", "granitemoeshared", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe",
    "inkling", "jamba", "kimi_k2", "kimi_linear", "laguna", "llama", "llama4", "longcat_flash", "mimo_v2_flash",
    "minimax", "minimax_m2", "ministral", "ministral3", "mistral", "mistral4", "mistral_large4", "mixtral", "mllama",
    "modernbert", "modernbert-decoder", "olmo", "olmo2", "olmo3", "olmo_hybrid", "olmoe", "phi3", "phi4_multimodal",
    "phimoe", "pixtral", "qwen2", "qwen2_5_omni", "qwen2_5_vl", "qwen2_moe", "qwen2_vl", "qwen3", "qwen3_5",
    "qwen3_5_moe", "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen3_vl", "qwen3_vl_moe", "qwen4_exp", "seed_oss",
    "smollm3", "stablelm", "t5_gemma", "t5gemma", "t5gemma2", "vaultgemma",
}  # fmt: skip
_PLAIN = {
    "apertus", "apertus1p5", "arcee", "audio-spectrogram-transformer", "bart", "beit", "bert", "biogpt", "blenderbot",
    "camembert", "clip", "clip_vision", "deit", "distilbert", "electra", "ernie", "gpt2",
    "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "hubert", "ijepa", "jais2", "m2m_100", "marian", "mbart", "mpnet",
    "nanochat", "nemotron", "nemotron_h", "opt", "pegasus", "persimmon", "phi", "qwen2_audio_encoder", "roberta",
    "siglip", "siglip2", "siglip_vision", "starcoder2", "videomae", "vit", "vit_mae", "vit_msn", "wav2vec2", "wavlm",
    "whisper", "xglm", "xlm-roberta",
}  # fmt: skip


def _plain(name: str) -> Unit:
    return Unit(catalog.get(name, "transformers"))


def _gated(name: str, **more: Any) -> Unit:
    return Unit(gated_by(catalog.get(name, "transformers")), True, **more)


_UNITS = {
    "gelu": "geglu",
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
    if name in catalog.names() and catalog.info(name).kind == "gated":
        return f
    if name not in _UNITS or not settings.keys() <= catalog.info(_UNITS[name]).parameters.keys():
        return Product(f)
    return catalog.get({"name": _UNITS[name], **settings})


def _limited(unit: str, layout: str = "gate_first", **keys: tuple[str, float]) -> Callable[[_Read, int | None], Unit]:
    """A gated unit of fixed form. Its parameters come from the configuration, by the key there, or are the default."""

    def make(read: _Read, layer: int | None) -> Unit:
        return Unit(catalog.get({"name": unit, **{p: read(*key) for p, key in keys.items()}}), True, layout)

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
        kind = kind.removesuffix(end)
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
    return float(values[layer or 0] or 0)
