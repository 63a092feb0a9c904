"""How right the activations are on the device at hand: oracles, the error unit, and what they say of each function."""
