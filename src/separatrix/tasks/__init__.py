"""WHAT is computed: one file a task, registered by name."""

from separatrix.core.registry import Registry
from separatrix.core.task import Task, read_parameters

registry: Registry[type[Task]] = Registry("task")


def make_task(name: str, parameters: dict[str, object] | None = None) -> Task:
    """The task `name` with the given parameters (JSON values or strings); raises InputError."""
    return read_parameters(registry.get(name), parameters or {})


from separatrix.tasks import index_lookup, match2, sparse_averaging  # noqa: E402, F401  (they register themselves)
