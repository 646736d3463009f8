"""What checks of labelled cells share: whether task and model fit each other, and the groups of cells in order."""

from __future__ import annotations

from collections.abc import Iterator

from separatrix.core.arch import Arch, Table
from separatrix.core.domain import CellGroup, Labels, PointerSets, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.task import Task


def fitting_domain(task: Task, n: int, arch: Arch, check: str) -> Sequence:
    """The domain, once it is one of symbols and one length that the model knows, with as many labels as it has outputs.

    check: the kind's name, for the sentence. RejectedError or UnknownError otherwise.
    """
    domain, outputs = task.domain(n), task.outputs()
    if isinstance(arch.first, Table) and domain.vocabulary != arch.first.vocabulary:
        raise RejectedError(f"the model knows {arch.first.vocabulary} tokens, the task {domain.vocabulary}")
    if domain.reals is not None or domain.lengths:
        raise UnknownError(f"the {check} check needs a domain of symbols and one length")
    if any(isinstance(alphabet, PointerSets) for alphabet in domain.alphabets):
        raise UnknownError(f"the {check} check needs one symbol a token")
    if not isinstance(outputs, Labels) or outputs.k != arch.readout.outputs:
        raise RejectedError(f"the model has {arch.readout.outputs} outputs, the task {outputs}")
    return domain


def groups(task: Task, n: int) -> Iterator[CellGroup]:
    """All groups of all queries, in the order of the certificate."""
    for query in task.queries(n):
        given = task.cells(n, query)
        if given is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        count = 0
        for group in given:
            count += len(group)
            if group.query != query:
                raise RejectedError(f"the task gave cells of another query for query {query}")
            if len(group):
                yield group
        if not count:
            raise RejectedError(f"task {task.name} has no cells at position {query}, of which nothing is proved")
