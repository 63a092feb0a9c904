"""Options of XLA for large programs of which a test looks at something else than the last bits of numbers."""

import jax

# JAX 0.10 has XLA's older code generator too, which needs half the time; later releases do not.
QUICKLY = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11) else {}
