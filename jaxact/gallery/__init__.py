"""The catalog to look at: `jaxact list`, `jaxact show` and `jaxact gallery`. All of it is made from the rows."""
