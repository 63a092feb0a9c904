"""When to use a function and when not: a line or two for each, beside what its facts say by themselves."""

from collections.abc import Mapping

USE: Mapping[str, tuple[str, str]] = {
    "relu": (
        "As a first choice in networks with normalisation or residuals, and wherever memory or time count most: its "
        "backward pass needs only the output that the next layer keeps anyway.",
        "Where units die, which `flow` says, or where f'' is needed, which is 0.",
    ),
    "leaky_relu": (
        "In place of relu where units die. In examples/dead_relu.py the same weights have 69 dead units of 256 with "
        "relu and none with leaky_relu.",
        "Where another library's default slope is meant: 0.01 here and in PyTorch, 0.2 in Keras.",
    ),
    "prelu": (
        "Where the slope on the left should be learned; `jaxact.nnx.PReLU` holds it.",
        "With weight decay on its slope, which pulls it towards relu.",
    ),
    "rrelu": (
        "To regularise small networks: the slope is drawn for each entry in training.",
        "Where a step has to be deterministic without a key.",
    ),
    "relu6": (
        "In models for phones and fixed point, whose range has to be small.",
        "In deep plain networks: it is flat on both sides.",
    ),
    "relu2": (
        "In feed-forward blocks of transformers (Primer, Nemotron).",
        "Where activations are large in float16: squares over 65,504 overflow.",
    ),
    "star_relu": (
        "In MetaFormer blocks: it has mean 0 and variance 1 for standard normal inputs.",
        "Elsewhere without its learned scale and bias.",
    ),
    "thresholded_relu": (
        "To be equal to Keras's relu with its three parameters.",
        "In new models: relu or leaky_relu is simpler.",
    ),
    "threshold": ("To be equal to PyTorch's function of that name.", "As a hidden activation: it jumps."),
    "identity": (
        "Where an API asks for an activation and you want none.",
        "Between two linear layers, which then are one; `flow.lint` says so.",
    ),
    "elu": (
        "In networks without normalisation that should have a mean near 0.",
        "Where the left side saturates for most entries.",
    ),
    "celu": (
        "As elu, with a slope that is continuous for every alpha.",
        "Where elu with alpha 1 does: both are then the same.",
    ),
    "selu": (
        "In deep plain networks with LeCun's weights and no normalisation: 95.3% ± 0.3% with 16 plain layers in "
        "examples/initialisation.py.",
        "With He's weights (81.6% ± 3.5% there), or with plain dropout in place of `alpha_dropout`.",
    ),
    "exponential": (
        "As a positive output, of a rate or a scale.",
        "As a hidden activation: it overflows float32 from 88.7.",
    ),
    "xielu": (
        "In feed-forward blocks of large language models (Apertus).",
        "In bfloat16 training with a large learning rate for its parameters: both sides grow.",
    ),
    "gelu": (
        "In transformers and MLP-Mixers. Know which form the weights were trained with: the tanh form is the default "
        "here and in JAX, the exact one in PyTorch, Keras and Hugging Face's `gelu`.",
        "On devices without fast tanh or erf where relu does as well.",
    ),
    "gelu_10": ("To be equal to Hugging Face's gelu_10 in a quantised model.", "In new models."),
    "quick_gelu": ("To be equal to OpenAI's CLIP and its kin.", "In new models."),
    "silu": (
        "In convolutional networks (EfficientNet) and as the gate of swiglu.",
        "Where a stack has no normalisation: its slope at 0 is 1/2, so use `propagation.init_for`.",
    ),
    "hard_silu": ("In models for phones (MobileNetV3) and fixed point.", "Where f'' counts: it jumps at ±3."),
    "mish": (
        "In detectors of the YOLO family.",
        "Where time counts: 301 µs for 2²⁰ entries in float32 on a CPU, and silu's 259.",
    ),
    "golu": ("To try a smooth gate that is not symmetric.", "Where a published baseline has to be matched."),
    "sigmoid": (
        "As the output of a binary classifier at evaluation (train on logits), and as a gate.",
        "In hidden layers without BatchNorm: with 16 plain layers it reaches 19.6% at best of four initialisations; "
        "with BatchNorm it reached 97.0% ± 1.2%, in examples/batch_norm.py.",
    ),
    "log_sigmoid": (
        "For the loss of a binary classifier: -log_sigmoid(logit) keeps small losses.",
        "As a hidden activation.",
    ),
    "tanh": (
        "In recurrent networks, in physics-informed networks, and in shallow plain ones.",
        "In a plain stack of 12 layers and more, which `flow.lint` warns of.",
    ),
    "soft_sign": ("As tanh, with tails that fade slower.", "In 16 bits where differences far from 0 count."),
    "laplace": ("To be equal to Mega's attention.", "As a general hidden activation."),
    "soft_cap": (
        "For logits of attention or of the output, as Gemma 2 has it (cap 30 or 50).",
        "As a hidden activation.",
    ),
    "hard_sigmoid": (
        "As sigmoid in fixed point; as PyTorch's and JAX's, with slope 1/6.",
        "With old Keras weights, whose slope was 1/5.",
    ),
    "sparse_sigmoid": ("Beside sparse_plus, whose derivative it is.", "As a general hidden activation."),
    "hard_tanh": (
        "As tanh in fixed point, or to clip with a known slope.",
        "In deep plain networks: it is flat on both sides.",
    ),
    "sine": (
        "In implicit representations (SIREN), with `propagation.siren_init`.",
        "With any other initialisation: its frequency is 30.",
    ),
    "snake": (
        "In audio models, whose signals are periodic.",
        "Where inputs are large: a fast oscillation has slopes up to 2.",
    ),
    "snake_beta": (
        "As snake, where the size of the oscillation is learned too (BigVGAN).",
        "With beta near 0, by which it divides.",
    ),
    "dyt": (
        "In place of a normalisation layer; `jaxact.nnx.DyT` holds alpha, gamma and beta.",
        "As a hidden activation: it belongs where the normalisation stood.",
    ),
    "derf": (
        "In place of a normalisation layer, as dyt; `jaxact.nnx.Derf` holds what it learns.",
        "As a hidden activation: it belongs where the normalisation stood.",
    ),
    "poly_norm": (
        "In feed-forward blocks whose activation has its normalisation in it; `jaxact.nnx.PolyNorm` holds the weights.",
        "On rows whose mean is what matters: each power is divided by its own size.",
    ),
    "rational": (
        "Where the shape of the activation is to be learned; `jaxact.nnx.Rational` starts near leaky_relu or gelu.",
        "With weight decay on its coefficients, which pulls it towards 0.",
    ),
    "hard_shrink": ("In sparse coding.", "In hidden layers of a plain network: small entries have no slope."),
    "soft_shrink": (
        "In sparse coding: it is the proximal map of the 1-norm.",
        "In hidden layers of a plain network: small entries have no slope.",
    ),
    "tanh_shrink": ("In sparse coding.", "At the start of training: its slope at 0 is 0."),
    "softplus": (
        "As a positive output, of a variance or a rate.",
        "As a hidden activation in deep plain networks: its mean is far from 0.",
    ),
    "squareplus": ("As softplus without exponentials.", "Where the left tail has to fade exponentially."),
    "sparse_plus": ("As softplus that is exactly 0 on the left.", "Where units should never be dead."),
    "sqrt_softplus": ("In the router of DeepSeek-V4 and its kin.", "As a hidden activation."),
    "glu": (
        "Where PyTorch's function is meant: the second half is the gate.",
        "Where gate and value are two arrays: `sigmoid_gate` takes them apart.",
    ),
    "swiglu": (
        "In feed-forward blocks of transformers (Llama and most that followed).",
        "At the same hidden width as a plain one: it has three matrices, so take two thirds.",
    ),
    "geglu": ("In feed-forward blocks (T5 1.1, Gemma).", "Without looking up which form of GELU the weights had."),
    "reglu": ("As swiglu, where exact zeros are wanted.", "Where units die."),
    "bilinear": (
        "As a baseline for the other gated units.",
        "In float16 without normalisation: it grows as the square.",
    ),
    "swiglu_clamped": (
        "To be equal to DeepSeek's and its kin, whose limit tames outliers.",
        "In new models without outliers.",
    ),
    "swiglu_step": (
        "To be equal to models that cut silu's output, and not its input.",
        "In new models without outliers.",
    ),
    "swiglu_oai": ("To be equal to gpt-oss.", "Where the value has no 1 added: swiglu_clamped."),
    "sigmoid_gate": (
        "For a gate of two arrays, as on the output of attention.",
        "Where PyTorch's glu of one array is meant.",
    ),
    "sreglu": (
        "To be equal to TransformerEngine's function of that name.",
        "In float16, where the product overflows soon.",
    ),
    "qgeglu": ("To be equal to TransformerEngine's function of that name.", "In new models."),
    "dreglu": ("Where both halves should be sparse (TurboSparse).", "Where units die: each has two ways to."),
    "fatreglu": (
        "To skip the columns of a feed-forward layer whose gate is small.",
        "Where the threshold is not learned with the weights: it jumps.",
    ),
    "situ_glu": ("To be equal to Kimi K3, which bounds both factors.", "In new models without outliers."),
    "softmax": (
        "For attention, and for probabilities at evaluation.",
        "Before a cross-entropy that takes logits (`flow.lint` calls it softmax twice), or in `-log(softmax(x))`: "
        "`log_softmax` gives the loss and its gradient.",
    ),
    "log_softmax": (
        "For every loss of a classifier, with a temperature too.",
        "Where probabilities are wanted: exp of it loses digits that softmax has.",
    ),
    "ssmax": (
        "For attention over contexts longer than those trained on: its sharpness grows with the length n.",
        "Where a checkpoint was trained with softmax.",
    ),
    "softmin": ("For weights by distance.", "Where a temperature is wanted: softmax(-x, temperature=t)."),
    "gumbel_softmax": ("To sample a category with a gradient.", "Without a key of its own for each call."),
    "sparsemax": ("For attention or a router with exact zeros.", "In a loss: -log of an exact 0 is inf."),
    "entmax15": (
        "Between softmax and sparsemax, with exact zeros as well.",
        "In a loss: -log of an exact 0 is inf.",
    ),
    "entmax": (
        "As entmax15, where alpha is learned.",
        "At alpha 1.5 or 2, for which there are entmax15 and sparsemax.",
    ),
    "softpick": ("For attention without a sink.", "Where rows have to sum to 1."),
    "gaussian_topk": ("To be equal to Gemma 3n's sparse feed-forward layers.", "On rows that are far from normal."),
}
"""Name -> when to use it, and when not."""
