"""THE JUDGE: certificate kinds and their checker. Imports core and tasks; no prover, no torch."""

from separatrix.kernel.judge import Verdict, judge, judge_file

__all__ = ["Verdict", "judge", "judge_file"]
