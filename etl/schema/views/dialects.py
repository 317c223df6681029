"""The little SQL that differs between SQLite, PostgreSQL and MariaDB/MySQL: time, rounding, joining text.

Every method takes SQL and gives SQL. Results are equal on all of them: lengths of time are rounded to
milliseconds, money to millionths, days and hours are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

_BLANK = "' '"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Snippets for one family: sqlite, postgresql or mysql. `now` is the database's clock, or a parameter."""

    family: str
    now: str

    def seconds(self, start: str, end: str) -> str:
        """Seconds from `start` to `end`, UtcDateTime columns, to the millisecond, halves away from zero."""
        # strftime() rounds to milliseconds, so it gets whole seconds. The exact way takes thrice as long, and
        # most instants are whole seconds.
        whole = f"strftime('%s', substr({end}, 1, 19)) - strftime('%s', substr({start}, 1, 19))"
        micro = f"(({whole}) * 1000000 + substr({end}, 21, 6) - substr({start}, 21, 6))"
        rounded = f"CASE WHEN {micro} < 0 THEN ({micro} - 500) / 1000 ELSE ({micro} + 500) / 1000 END"
        return self._pick(
            f"CASE WHEN substr({end}, 20) = substr({start}, 20)"
            f" THEN ROUND((julianday({end}) - julianday({start})) * 86400) ELSE ({rounded}) / 1e3 END",
            f"CAST(ROUND(CAST(EXTRACT(EPOCH FROM ({end} - {start})) AS numeric), 3) AS double precision)",
            f"ROUND(TIMESTAMPDIFF(MICROSECOND, {start}, {end}) / 1000.0) / 1e3",
        )

    def later(self, moment: str, seconds: str) -> str:
        """`moment` plus a number of seconds."""
        return self._pick(
            f"(strftime('%Y-%m-%d %H:%M:%f', {moment}, ({seconds}) || ' seconds') || '000')",
            f"({moment} + ({seconds}) * INTERVAL '1 second')",
            f"TIMESTAMPADD(MICROSECOND, ROUND(({seconds}) * 1e6), {moment})",
        )

    def shifted(self, moment: str, seconds: int) -> str:
        """`moment` plus whole seconds, exact to the microsecond."""
        whole = f"strftime('%Y-%m-%d %H:%M:%S', substr({moment}, 1, 19), '{seconds} seconds')"
        other = self.later(moment, str(seconds)) if self.family != "sqlite" else ""
        return self._pick(f"({whole} || substr({moment}, 20))", other, other)

    def week(self, day: str) -> str:
        """The Monday of a day's week."""
        return self._pick(
            f"date({day}, 'weekday 0', '-6 days')",
            f"CAST(date_trunc('week', {day}) AS date)",
            f"DATE_SUB({day}, INTERVAL WEEKDAY({day}) DAY)",
        )

    def month(self, day: str) -> str:
        """The first of a day's month."""
        return self._pick(
            f"date({day}, 'start of month')",
            f"CAST(date_trunc('month', {day}) AS date)",
            f"DATE_SUB({day}, INTERVAL DAY({day}) - 1 DAY)",
        )

    def day(self, moment: str) -> str:
        """The UTC day: a date, on SQLite its text."""
        return self._pick(
            f"substr({moment}, 1, 10)", f"CAST({moment} AT TIME ZONE 'UTC' AS date)", f"DATE({moment})"
        )

    def instant(self, moment: datetime) -> str:
        """A constant of our own making."""
        text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return self._pick(f"'{text}'", f"TIMESTAMPTZ '{text}+00'", f"TIMESTAMP '{text}'")

    def midnight(self, day: str) -> str:
        """The instant at which a `day` begins."""
        return self._pick(
            f"({day} || ' 00:00:00.000000')",
            f"(CAST({day} AS timestamp) AT TIME ZONE 'UTC')",
            f"CAST({day} AS DATETIME(6))",
        )

    def day_after(self, day: str, days: int) -> str:
        """So many days later; before, if there are fewer than none."""
        return self._pick(
            f"date({day}, '{days:+} days')", f"({day} + {days})", f"DATE_ADD({day}, INTERVAL {days} DAY)"
        )

    def hour_of_day(self, day: str, hour: str) -> str:
        """The instant at which this hour (0 to 23) of a UTC `day` begins."""
        return self._pick(
            f"({day} || printf(' %02d:00:00.000000', {hour}))",
            f"((CAST({day} AS timestamp) + {hour} * INTERVAL '1 hour') AT TIME ZONE 'UTC')",
            f"TIMESTAMPADD(HOUR, {hour}, CAST({day} AS DATETIME(6)))",
        )

    def clock(self, moment: str) -> str:
        """The UTC time of day."""
        return self._pick(
            f"substr({moment}, 12, 8)", f"CAST({moment} AT TIME ZONE 'UTC' AS time)", f"TIME({moment})"
        )

    def time_of_day(self, seconds: int) -> str:
        """A constant to compare with `clock`: so many seconds after midnight."""
        hours, rest = divmod(seconds, 3600)
        text = f"'{hours:02}:{rest // 60:02}:{rest % 60:02}'"
        return self._pick(text, f"TIME {text}", f"TIME {text}")

    def hour(self, moment: str) -> str:
        """The UTC hour, 0 to 23."""
        return self._pick(
            f"CAST(substr({moment}, 12, 2) AS INTEGER)",
            f"CAST(EXTRACT(HOUR FROM {moment} AT TIME ZONE 'UTC') AS integer)",
            f"HOUR({moment})",
        )

    def hours(self, moment: str) -> str:
        """The UTC hour with its day, as text: 2026-01-31 14."""
        return self._pick(
            f"substr({moment}, 1, 13)",
            f"substr(CAST({moment} AT TIME ZONE 'UTC' AS text), 1, 13)",
            f"SUBSTR({moment}, 1, 13)",
        )

    def minutes(self, moment: str) -> str:
        """The UTC minute with its day, as text: 2026-01-31 14:05. All zones have the same minutes."""
        return self._pick(
            f"substr({moment}, 1, 16)",
            f"substr(CAST({moment} AT TIME ZONE 'UTC' AS text), 1, 16)",
            f"SUBSTR({moment}, 1, 16)",
        )

    def hour_past(self, moment: str, past: int) -> str:
        """The start of its hour, of hours that begin so long before UTC's (s), as text: 2026-01-31 14:30."""
        moved, rest = self.shifted(moment, past), "substr('00:00:00', 3)"
        return self._pick(
            f"strftime('%Y-%m-%d %H:%M', substr({moved}, 1, 13) || {rest}, '{-past} seconds')",
            f"substr(CAST(date_trunc('hour', {moved} AT TIME ZONE 'UTC') - {past} * INTERVAL '1 second'"
            " AS text), 1, 16)",
            f"SUBSTR(DATE_SUB(CAST(CONCAT(SUBSTR({moved}, 1, 13), {rest}) AS DATETIME),"
            f" INTERVAL {past} SECOND), 1, 16)",
        )

    def matches(self, text: str, pattern: str) -> str:
        """A `*` in the pattern stands for any text, everything else for itself, case and accents included."""
        literal = f"REPLACE(REPLACE(REPLACE({pattern}, '!', '!!'), '%', '!%'), '_', '!_')"
        like = f"{text} LIKE REPLACE({literal}, '*', '%') ESCAPE '!'"
        glob = f"{text} GLOB REPLACE(REPLACE({pattern}, '[', '[[]'), '?', '[?]')"
        return self._pick(glob, like, like)

    def characters(self, text: str) -> str:
        """How many there are."""
        return f"{self._pick('LENGTH', 'LENGTH', 'CHAR_LENGTH')}({text})"

    def money(self, amount: str) -> str:
        """An amount to the millionth: exact, but for SQLite, which knows no decimals; see `sum_of_money`."""
        return self._pick(
            f"ROUND({amount}, 6)", f"CAST({amount} AS numeric(20, 6))", f"CAST({amount} AS DECIMAL(20, 6))"
        )

    def cost(self, seconds: str, price: str) -> str:
        """seconds (to the millisecond) x price, to the millionth, halves upwards."""
        return self._pick(
            f"((CAST(ROUND({seconds} * 1000) AS INTEGER) * {self._millionths(price)} + 500) / 1000 / 1e6)",
            f"ROUND(ROUND(CAST({seconds} AS numeric), 3) * {price}, 6)",
            f"ROUND(CAST({seconds} AS DECIMAL(20, 3)) * {price}, 6)",
        )

    def times(self, amount: str, number: str) -> str:
        """An amount so many times."""
        exact = f"{amount} * ({number})"
        return self._pick(f"({self._millionths(amount)} * ({number}) / 1e6)", exact, exact)

    def sum_of_money(self, amount: str, times: str = "1") -> str:
        """The sum of amounts that each count several times; exact, on SQLite by whole millionths."""
        exact = f"SUM({amount} * {times})"
        return self._pick(f"(SUM({self._millionths(amount)} * {times}) / 1e6)", exact, exact)

    def amounts(self, currency: str, amount: str) -> str:
        """A list of amounts with their currencies, as text: EUR 4.2, USD 0.1."""
        digits = self._pick(f"printf('%.6f', {amount})", f"CAST({amount} AS text)", f"CAST({amount} AS CHAR)")
        trimmed = self._pick(
            f"rtrim(rtrim({digits}, '0'), '.')",
            f"rtrim(rtrim({digits}, '0'), '.')",
            f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {digits}))",
        )
        one = f"CASE WHEN {amount} IS NOT NULL THEN {self.joined(currency, _BLANK, trimmed)} END"
        return self._pick(
            f"GROUP_CONCAT({one}, ', ')",
            f"STRING_AGG({one}, ', ' ORDER BY {currency})",
            f"GROUP_CONCAT({one} ORDER BY {currency} SEPARATOR ', ')",
        )

    @staticmethod
    def _millionths(amount: str) -> str:
        return f"CAST(ROUND(({amount}) * 1000000) AS INTEGER)"

    def unset(self, flag: str) -> str:
        """A flag is false, said as the partial indexes say it."""
        return self._pick(f"{flag} = 0", f"NOT {flag}", f"{flag} = 0")

    def joined(self, *parts: str) -> str:
        """Texts and numbers one after the other."""
        return f"CONCAT({', '.join(parts)})" if self.family == "mysql" else f"({' || '.join(parts)})"

    def latest(self, one: str, other: str) -> str:
        """The later of two instants that are there."""
        return f"{self._pick('max', 'GREATEST', 'GREATEST')}({one}, {other})"

    def rounded(self, number: str, digits: int) -> str:
        """A double."""
        return self._pick(
            f"ROUND({number}, {digits})",
            f"CAST(ROUND(CAST({number} AS numeric), {digits}) AS double precision)",
            f"ROUND(CAST({number} AS double), {digits})",
        )

    def share(self, part: str, whole: str) -> str:
        """A part of a whole, as a double with all its digits: whoever shows it rounds it, once."""
        return self._pick(
            f"{part} * 1.0 / NULLIF({whole}, 0)",
            f"CAST({part} AS double precision) / NULLIF(CAST({whole} AS double precision), 0)",
            f"CAST({part} AS double) / NULLIF({whole}, 0)",
        )

    def whole(self, number: str) -> str:
        """An integer: PostgreSQL and MariaDB sum integers to decimals."""
        return self._pick(
            f"CAST({number} AS INTEGER)", f"CAST({number} AS bigint)", f"CAST({number} AS SIGNED)"
        )

    def _pick(self, sqlite: str, postgresql: str, mysql: str) -> str:
        return {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}[self.family]


_NOW = {
    "sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')",
    "postgresql": "now()",
    "mysql": "UTC_TIMESTAMP(6)",
}


def nearest_rank(share: int, value: str, until: str = "until", n: str = "n") -> str:
    """The least value that `share` of 100 do not exceed; `until` counts those up to a row, `n` all."""
    return f"MIN(CASE WHEN {until} * 100 >= {n} * {share} THEN {value} END)"


def make_dialect(name: str, now: str | None = None) -> Dialect:
    """The snippets for SQLAlchemy's dialect `name`. `now` (SQL) replaces the database's clock."""
    family = "mysql" if name == "mariadb" else name
    return Dialect(family, now or _NOW[family])
