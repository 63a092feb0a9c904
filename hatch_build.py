"""The project's URLs in a distribution: those of the repository whose workflow builds it. None is committed here."""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Urls(MetadataHookInterface):
    """Set `project.urls` from what GitHub tells every workflow."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the URLs, where there are any."""
        server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
        if server and name:
            page = f"{server}/{name}"
            changelog = f"{page}/blob/HEAD/CHANGELOG.md"
            metadata["urls"] = {"Repository": page, "Issues": f"{page}/issues", "Changelog": changelog}
