"""Products in which each point has its own chart's matrix."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqflow.per_chart import per_chart

EXACT = {"rtol": 0, "atol": 1e-9}


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 300),
    charts=st.integers(1, 20),
    rows=st.sampled_from([2, 3, 30]),
    columns=st.sampled_from([1, 5, 40]),
    seed=st.integers(0, 99),
)
def test_per_chart_is_its_definition(
    n: int, charts: int, rows: int, columns: int, seed: int
) -> None:
    torch.manual_seed(seed)
    x = torch.randn(n, rows, dtype=torch.float64, requires_grad=True)
    matrices = torch.randn(charts, rows, columns, dtype=torch.float64, requires_grad=True)
    chosen = torch.randint(charts, (n,)) if charts > 1 else torch.zeros(n, dtype=torch.long)
    chosen = chosen // 2  # leaves charts without points
    product = per_chart(x, matrices, chosen)
    expected = (x[:, None] @ matrices[chosen])[:, 0]
    torch.testing.assert_close(product, expected, **EXACT)
    weight = torch.randn(n, columns, dtype=torch.float64)
    own = torch.autograd.grad((product * weight).sum(), [x, matrices])
    theirs = torch.autograd.grad((expected * weight).sum(), [x, matrices])
    for first, second in zip(own, theirs, strict=True):
        torch.testing.assert_close(first, second, **EXACT)
