"""Is a source's upstream gone for good? The evidence, for a person to judge: nobody retires by this alone."""

from __future__ import annotations

import re
from datetime import timedelta

from etl.analytics.status import CoverageGap, SourceStatus
from etl.words import count_noun

#: So many runs in a row have to fail in one of these ways.
GONE_AFTER = 3
#: An empty list has to stay so for so long.
EMPTY_FOR = timedelta(hours=1)
#: Gaps of the gateway's log say nothing of the list.
_OF_THE_LOG = "the gateway's log"
#: A web server's page: base_url is wrong, or a proxy answers.
_PAGE = re.compile(r"<(!doctype|html|head|body)\b|: a web page\b", re.IGNORECASE)
#: How errors say it, by their class; a class alone may mean a wrong setting. None: the class is enough.
_SAID: dict[str, re.Pattern[str] | None] = {
    "NotFound": None,
    "Unsupported": re.compile(r"is not supported by|failed to get config for provider"),
    "BadRequest": re.compile(
        r"\bretired\b|\bdeprecated\b|\bdiscontinued\b|\bsunset\b|no longer (available|supported)",
        re.IGNORECASE,
    ),
}


def retirement_evidence(status: SourceStatus) -> str | None:
    """What speaks for it that the upstream of a source, once read whole, is gone; None: nothing does."""
    if status.retired_at is not None or status.complete_at is None:
        return None
    run = status.last_run
    if run is not None and run.status == "failed":
        message = run.error_message or ""
        if status.failures < GONE_AFTER or not _says_so(run.error_class or "", message):
            return None
        return (
            f"the last {status.failures} runs failed, the newest with {run.error_class}: {message}; "
            f"the list was last read at {status.complete_at:%Y-%m-%d %H:%M} UTC"
        )
    gap = next((gap for gap in status.open_gaps if _is_empty_list(gap)), None)
    if gap is None:
        return None
    return (
        f"the list has been empty since {gap.detected_at:%Y-%m-%d %H:%M} UTC, after it had shown "
        f"{count_noun(status.jobs, 'job')}"
    )


def _says_so(error_class: str, message: str) -> bool:
    if error_class not in _SAID or _PAGE.search(message):
        return False
    pattern = _SAID[error_class]
    return pattern is None or pattern.search(message) is not None


def _is_empty_list(gap: CoverageGap) -> bool:
    """Nothing is listed, neither the newest known job nor one behind it, and that each time it was asked."""
    lasted = (gap.probed_at or gap.detected_at) - gap.detected_at
    known = gap.last_known_job_id
    of_the_list = known is not None and not known.startswith(_OF_THE_LOG)
    nothing = gap.kind == "window" and gap.oldest_listed_job_id is None and of_the_list
    return nothing and lasted >= EMPTY_FOR
