"""Views of the catalog: `jaxact list`, `jaxact show`, and the facts and curves of the site's pages."""
