"""The Equinox modules; `jaxact.equinox` is the name to import them by."""
