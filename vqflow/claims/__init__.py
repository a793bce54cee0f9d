"""Claims, each decided from a run's tables: those of the paper, and those of this project."""

from __future__ import annotations

from vqflow.claims import mnist, ours, toys
from vqflow.claims.roles import Roles
from vqflow.claims.scores import Scores
from vqflow.claims.statement import Claim


def paper_claims(scores: Scores, roles: Roles) -> list[Claim]:
    """Gives the five claims of the paper, each with its statements about a run.

    Sidheekh, Dock, Jain, Balan, Singh: "VQ-Flows: Vector Quantized Local Normalizing Flows",
    UAI 2022.

    Args:
        scores: The run's scores.
        roles: What its variants are.
    """
    makers = (toys.likelihood, toys.samples, mnist.course, mnist.ends, toys.ablation)
    return [make(scores, roles) for make in makers]


def own_claims(scores: Scores, roles: Roles) -> list[Claim]:
    """Gives what this project claims or aims at; arguments as for :func:`paper_claims`."""
    makers = (ours.plain_flows, ours.rivals, ours.ceiling, ours.confinement)
    return [make(scores, roles) for make in makers]
