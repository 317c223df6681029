"""Seeded worlds: one number draws a gateway, its lies and its life; the product mirrors it; the verdict knows
what was sent."""
