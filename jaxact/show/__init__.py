"""The catalog to look at: `jaxact list` and `jaxact show`, and what a page of the site says of a function."""
