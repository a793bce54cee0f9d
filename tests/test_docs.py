"""The documentation: what is generated is fresh, and what is linked exists."""

from __future__ import annotations

from vqflow.config.reference import PATH, reference_text


def test_the_page_of_all_keys_is_fresh_and_explains_each() -> None:
    text = reference_text()
    assert PATH.read_text() == text, "run `make schema`"
    assert "| None |" not in text
