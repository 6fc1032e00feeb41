"""What can go wrong, in two families: look again later (`Retryable`), or somebody must change something (`Fatal`)."""


class SerinusError(Exception):
    """The root of every error that Serinus raises on purpose; its text is meant for a person."""


class Retryable(SerinusError):
    """The same call may succeed later without anybody's help: a server away, a slow answer, a lost race."""


class Fatal(SerinusError):
    """The same call will fail again: an input, a file or a setting has to change first."""


class Unavailable(Retryable):
    """A system that Serinus leans on (Prometheus, MLflow, the runner, the router) could not be asked."""


class Conflict(Retryable):
    """Somebody else wrote the ledger in between; read it again and decide again."""


class Forbidden(Fatal):
    """A system that Serinus leans on says that we may not do this; somebody has to give us the right."""


class SpecError(Fatal):
    """The ModelLoop file is not valid; `problems` has one sentence per mistake, each naming its key."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataError(Fatal):
    """The data cannot be used as the spec says: a missing column, an unreadable file, no rows in the window."""


class GateFailed(Fatal):
    """A gate of the pipeline said no; `gate` names it and `reasons` has one sentence per finding."""

    def __init__(self, gate: str, reasons: list[str]) -> None:
        self.gate = gate
        self.reasons = reasons
        super().__init__(f"{gate} failed: " + "; ".join(reasons))


class ArtifactError(Fatal):
    """A model directory is not what its manifest says, or holds a type that nobody allowed."""


class InvalidInput(Fatal):
    """A caller's rows do not fit the model's contract; `field` names the culprit (empty when it is the body)."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)
