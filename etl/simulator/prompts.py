"""Prompts as people write them: long and short, with quotes, markup, newlines and every script."""

from functools import cache

SUBJECTS = (
    "A red fox",
    "Two old fishermen",
    "A paper boat",
    "An astronaut in a yellow raincoat",
    "Eine Katze mit Brille",
    "日本の古い電車",
    "A café owner named Zoë",
    "The last robot on Earth 🤖",
    "A chef <close-up>",
    "Wild horses & their foals",
    'A street musician known as "Blue"',
    "امرأة تمشي",
)
ACTIONS = (
    "runs through fresh snow",
    "drifts slowly past the camera",
    "opens a door that was not there before",
    "dances in the rain, puddles reflecting neon",
    "watches the tide come in",
    "paints a mural at night",
    "learns to fly\nand falls, and tries again",
    "repairs a watch (macro, shallow focus)",
    "waits for a train that never comes",
)
PLACES = (
    "on the Oregon coast",
    "in a Kyoto alley, at dawn",
    "under the northern lights",
    "in a 1970s living room",
    "at C:\\studio\\set_4",
    "on the roof of the world",
    "inside a snow globe",
)
STYLES = (
    "35mm film, grain, warm light.",
    "Handheld, documentary.",
    "Stop motion, felt and wool; soft key light from the left; no text on screen.",
    "Slow dolly-in, 24 fps, anamorphic flare, colour graded teal & orange, ambient sound only.",
    "",
    "Hyper-real, 120 fps slow motion, every droplet visible. Keep the framing centred the whole time "
    "and let the last second hold still so that it can loop.",
)


VARIETY = len(SUBJECTS) * len(ACTIONS) * len(PLACES) * len(STYLES)


@cache
def _write_cached(number: int) -> str:
    number, subject = divmod(number, len(SUBJECTS))
    number, action = divmod(number, len(ACTIONS))
    style, place = divmod(number, len(PLACES))
    return f"{SUBJECTS[subject]} {ACTIONS[action]} {PLACES[place]}. {STYLES[style]}".rstrip()


def write_prompt(drawn: int) -> str:
    """One prompt from a drawn number."""
    return _write_cached(drawn % VARIETY)
