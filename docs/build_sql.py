"""Writes docs/sql.md from the models, the views and the questions: python docs/build_sql.py"""

from pathlib import Path

from etl.analytics.catalogue import markdown

if __name__ == "__main__":
    (Path(__file__).parent / "sql.md").write_text(markdown(), encoding="utf-8")
