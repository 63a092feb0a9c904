"""The errors of a run."""


def invalid(expected: str, got: object, advice: str) -> ValueError:
    """Make the one error that is raised for bad input: what was expected, what came, and what to do."""
    got = got if isinstance(got, str) else repr(got)
    return ValueError(f"jaxact.compare: expected {expected}, got {got}; {advice}")


class ProcessLost(RuntimeError):
    """A run over several processes can't go on, because one of them ended."""
