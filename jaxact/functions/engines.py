"""What the inference engines vLLM and SGLang call the functions of the other files."""

from jaxact.core.catalog import elsewhere

__all__: list[str] = []

_GELUS = {
    "gelu": ("gelu", {"approximate": False}),
    "gelu_new": ("gelu", {"approximate": True}),
    "gelu_pytorch_tanh": ("gelu", {"approximate": True}),
}
_UNITS = {
    "gelu_tanh_and_mul": ("geglu", {"approximate": True}),
    "silu_and_mul": ("swiglu", {}),
}

elsewhere(
    "vllm",
    {
        **_GELUS,
        **_UNITS,
        "gelu_fast": ("gelu", {"approximate": True}),
        "quick_gelu": ("quick_gelu", {}),
        "relu": ("relu", {}),
        "relu2": ("relu2", {}),
        "sigmoid": ("sigmoid", {}),
        "silu": ("silu", {}),
        "tanh": ("tanh", {}),
        "xielu": ("xielu", {}),
        "fatrelu_and_mul": ("fatreglu", {"threshold": 0.0}),
        "gelu_and_mul": ("geglu", {"approximate": False}),
        "mul_and_silu": ("swiglu", {}),
        "silu_and_mul_with_clamp": ("swiglu_clamped", {}),
        "swigluoai": ("swiglu_oai", {}),
        "swigluoai_and_mul": ("swiglu_oai", {}),
        "swiglustep": ("swiglu_step", {}),
        "swiglustep_and_mul": ("swiglu_step", {}),
    },
)
elsewhere(
    "sglang",
    {
        **_GELUS,
        **_UNITS,
        "quick_gelu": ("quick_gelu", {}),
        "relu2": ("relu2", {}),
        "silu": ("silu", {}),
        "xielu": ("xielu", {}),
        "gelu_and_mul": ("geglu", {"approximate": True}),  # its GeluAndMul has the tanh form by default, vLLM's not
        "situ": ("situ_glu", {}),
        "situ_and_mul": ("situ_glu", {}),
    },
)
