"""The views for analysts, in every dialect."""
