"""What the inference engines vLLM and SGLang call the functions of the other files."""

import math

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
_UNCAPPED = {"beta": 1.0, "linear_beta": math.inf}
"""SGLang's defaults of SituAndMul; a model's configuration has others."""

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
        "geglu": ("geglu", {"approximate": False}),
        "gelu_and_mul": ("geglu", {"approximate": False}),
        "gelu_no_mul": ("gelu", {"approximate": False}),
        "gelu_tanh": ("geglu", {"approximate": True}),
        "gelu_tanh_no_mul": ("gelu", {"approximate": True}),
        "mul_and_silu": ("swiglu", {}),
        "relu2_no_mul": ("relu2", {}),
        "silu_and_mul_with_clamp": ("swiglu_clamped", {}),
        "silu_no_mul": ("silu", {}),
        "situ": ("situ_glu", {}),  # its betas have no defaults there; these are Kimi K3's
        "situ_and_mul": ("situ_glu", {}),
        "swigluoai": ("swiglu_oai", {}),
        "swigluoai_and_mul": ("swiglu_oai", {}),
        "swigluoai_uninterleave": ("swiglu_oai", {}),
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
        "gelu_and_mul": ("geglu", {"approximate": True}),  # SGLang's default is the tanh form, vLLM's the exact one
        "situ": ("situ_glu", _UNCAPPED),
        "situ_and_mul": ("situ_glu", _UNCAPPED),
    },
)
