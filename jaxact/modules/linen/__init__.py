"""The Linen modules; `jaxact.linen` is the name to import them by."""
