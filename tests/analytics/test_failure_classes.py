"""A failure's class is the same in the mirror's views and in dbt's marts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.schema.views.job_facts import FAILURE_CLASSES, failure_class

MACROS = Path(__file__).parents[2] / "dbt" / "macros" / "jobs.sql"


def test_dbt_looks_for_the_same_words_in_the_same_order():
    """dbt cannot import Python: its macro holds the words once more."""
    (words,) = re.findall(r"set classes = (\{.*?\}) -%\}", MACROS.read_text(), re.S)
    found = {name: tuple(each) for name, each in ast.literal_eval(words).items()}
    assert list(found.items()) == list(FAILURE_CLASSES.items())


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("moderation_blocked", None, "moderation"),
        ("rejected", "Flagged by our SAFETY system", "moderation"),
        ("billing_hard_limit_reached", "", "quota"),
        (None, "Rate limit reached", "quota"),
        ("request_expired", "the deadline passed", "timeout"),
        ("invalid_prompt", "internal", "invalid_input"),
        ("input_image_rejected", "The reference image is too large.", "invalid_input"),
        ("input_image_rejected", "It shows what our safety system refuses.", "moderation"),
        ("video_generation_failed", None, "provider_fault"),
        ("x", "the cat sat on the mat", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_class_by_hand(code, message, expected):
    with sa.create_engine("sqlite://").connect() as conn:
        job = "(SELECT :code AS error_code, :message AS error_message) j"
        query = sa.text(f"SELECT {failure_class()} FROM {job}")
        assert conn.execute(query, {"code": code, "message": message}).scalar_one() == expected
