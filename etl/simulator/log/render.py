"""A row of the log as JSON, by version: what a search shows, and what only the row itself tells."""

import json
from datetime import UTC, datetime
from typing import Any

from etl.simulator.decoding import as_listed, as_single
from etl.simulator.job_lives import GOOGLE
from etl.simulator.log.owners import number_of
from etl.simulator.log.rows import LogEntry
from etl.simulator.versions import Version
from etl.simulator.wire import extra_fields
from etl.simulator.world import World

BELONGS = ("user", "team", "customer", "business_unit")
TOLD_BY_GOOGLE = ("id", "created_at", "model", "object", "seconds", "status")
#: What stands behind the job itself in a row that is read by its id.
LAST = ("video_generation_input", "video_debug", "virtual_key", "selected_key")
NEVER = "0001-01-01T00:00:00Z"


class Renderer:
    """world: the one that the row is about. hidden: content is not logged."""

    def __init__(self, world: World, hidden: bool) -> None:
        self._world, self._hidden = world, hidden

    @property
    def _version(self) -> Version:
        return self._world.version

    def summary(self, row: LogEntry) -> dict[str, Any]:
        """As a search lists it."""
        modern = self._version >= (2, 0)
        when = nanosecond_time(row)
        shown: dict[str, Any] = {"id": row.id, "parent_request_id": row.parent, "timestamp": when}
        shown.update(object=row.object, provider=row.provider, model=row.model)
        shown.update(number_of_retries=row.retries, fallback_index=row.fallback)
        shown.update(self._keys(row))
        if modern:
            shown.update(user_agent="python-requests/2", app="Other")
        if row.latency is not None and (modern or not row.error):
            shown["latency"] = row.latency
        if row.cost is not None:
            shown["cost"] = row.cost
        shown.update(status=row.status, stream=False)
        if modern and row.prompt and not self._hidden:
            shown["content_summary"] = row.prompt
        shown.update(raw_request="", raw_response="")
        shown.update(is_large_payload_request=False, is_large_payload_response=False)
        if modern:
            shown["content_hidden"] = self._hidden
        shown["created_at"] = when
        if row.prompt is not None and not self._hidden:
            shown["video_generation_input"] = {"prompt": row.prompt}
        if self._version >= (2, 1) and (debug := self._video_debug(row)):
            shown["video_debug"] = debug
        return {**shown, **self._nested_keys(row)}

    def detail(self, row: LogEntry) -> dict[str, Any]:
        """As it is read by its own id."""
        shown = self.summary(row)
        more: dict[str, Any] = {name: shown.pop(name) for name in LAST if name in shown}
        modern = self._version >= (2, 0)
        if modern and row.owner and row.model:
            note = f"Skipping load balancing for model {row.model}: provider {row.provider} already set"
            shown["routing_engine_logs"] = f"[{int(row.timestamp * 1000)}] [governance] - {note}\n"
        if row.params and not self._hidden:
            shown["params"] = row.params
        if row.error:
            shown["error_details"] = {**row.error, "extra_fields": self._extra_of_error(row)}
        if "video_generation_input" in more:
            shown["video_generation_input"] = more.pop("video_generation_input")
        if modern and not self._hidden and row.status == "success":
            shown.update(self._outputs(row))
        if self._version >= (1, 5):
            shown["attempt_trail"] = list(self._attempts(row))
        return {**shown, **more}

    def _extra_of_error(self, row: LogEntry) -> dict[str, Any]:
        assert row.error is not None
        found: dict[str, Any] = {"provider": row.provider, **self._models(row), "request_type": row.object}
        if self._version >= (2, 0):
            named = {"model": row.model} if row.model else {}
            routing = {"provider": row.provider, **named, "key": next(iter(self._world.accounts))}
            return {"routing_info": routing, **found, "latency": row.latency}
        if "status_code" in row.error:
            found["raw_response"] = {"error": {"param": None, **row.error.get("error", {})}}
        return found

    def _models(self, row: LogEntry) -> dict[str, str]:
        """The model asked for, and what it resolved to, where the request names one."""
        return (
            dict.fromkeys(("original_model_requested", "resolved_model_used"), row.model) if row.model else {}
        )

    def _keys(self, row: LogEntry) -> dict[str, Any]:
        owner = row.owner
        name = owner.virtual_key if owner else None
        found: dict[str, Any] = {
            "selected_key_id": f"{row.key}-id" if row.key else "",
            "selected_key_name": row.key,
            "virtual_key_id": f"vk-{name}" if name else None,
            "virtual_key_name": name,
            "routing_rule_id": None,
            "routing_rule_name": None,
        }
        if self._version < (1, 5):
            return found
        found.update(selected_prompt_name=None, selected_prompt_version=None, selected_prompt_id=None)
        for kind in BELONGS:
            found[f"{kind}_id"], found[f"{kind}_name"] = owner.named(kind) if owner else (None, None)
        return found

    def _nested_keys(self, row: LogEntry) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if row.owner:
            name = row.owner.virtual_key
            found["virtual_key"] = {
                "id": f"vk-{name}",
                "name": name,
                "value": "",
                "is_active": True,
                "provider_configs": None,
                "mcp_configs": None,
                "calendar_aligned": False,
                "config_hash": "",
                "created_at": NEVER,
                "updated_at": NEVER,
            }
        if row.key:
            value = (
                {"value": ""} if self._version >= (2, 0) else {"value": "", "env_var": "", "from_env": False}
            )
            found["selected_key"] = {
                "id": f"{row.key}-id",
                "name": row.key,
                "value": value,
                "models": ["*"],
                "blacklisted_models": [],
                "weight": 1,
            }
        return found

    def _video_debug(self, row: LogEntry) -> dict[str, Any]:
        """The job's id and state, and on the settler's row how its cost came about."""
        if row.job is None or row.error:
            return {}
        known = {} if self._hidden else {"video_id": row.job}
        settled = row.settlement
        if settled is None:
            made = row.object in ("video_generation", "video_remix")
            return {**known, "status": "queued"} if made else known
        accounting: dict[str, Any] = {"seconds": settled.seconds, "size": settled.size}
        accounting.update(output_count=settled.outputs, request_type=settled.request_type)
        if row.cost is None:
            accounting["incomplete"] = True
        told = {"settled_by_request_id": settled.settled_by} if settled.settled_by else {}
        return {**known, "status": settled.status, "accounting": accounting, **told}

    def _attempts(self, row: LogEntry) -> list[dict[str, Any]]:
        turned = {"triggered_rotation": False} if self._version >= (2, 0) else {}
        names = [row.key or next(iter(self._world.accounts))] * (row.retries + 1)
        trail = [{"attempt": n, "key_id": f"{k}-id", "key_name": k, **turned} for n, k in enumerate(names)]
        for attempt in trail[: None if row.error else -1]:
            attempt["fail_reason"] = "invalid_request_error" if row.error else "server_error"
        return trail

    def _outputs(self, row: LogEntry) -> dict[str, Any]:
        if row.ask is not None:
            return {"video_list_output": self._page(row)}
        if row.job is None or row.settlement or row.object == "video_delete":
            return {}
        name = "video_retrieve_output" if row.object == "video_retrieve" else "video_generation_output"
        job = self._job(row)
        return {name: {**job, "extra_fields": self._extra(row)}} if job else {}

    def _job(self, row: LogEntry) -> dict[str, Any]:
        body = self._world.raw(str(row.job), None, row.answered)
        if body is None:  # made before it was put into this world
            return {"id": row.job, "created_at": int(row.answered), "object": "video", "status": "queued"}
        try:
            job = as_single(body)
        except ValueError:
            return {}
        if row.provider in GOOGLE:
            told = ("id", "object", "status") if row.object == "video_retrieve" else TOLD_BY_GOOGLE
            return {name: job[name] for name in told if name in job} | {"created_at": int(row.answered)}
        return job

    def _page(self, row: LogEntry) -> dict[str, Any]:
        """What was listed then: the world is the same for whoever looks at the same moment."""
        ask, world = row.ask, self._world
        assert ask is not None
        account = ask.account if len(world.accounts) > 1 else None
        found = world.page(account=account, after=ask.after, order=ask.order, limit=ask.limit, now=ask.now)
        edges = {"first_id": found.ids[0], "last_id": found.ids[-1]} if found.ids else {}
        items = [as_listed(item) for item in found.items]
        more = {"has_more": found.more, "extra_fields": self._extra(row)}
        return {"object": "list", "data": items, **edges, **more}

    def _extra(self, row: LogEntry) -> dict[str, Any]:
        fields = extra_fields(row.object, row.provider, (row.latency or 0) / 1000, self._version, row.key)
        if row.model:
            fields["routing_info"]["model"] = row.model
        return {**fields, **self._models(row)}


def nanosecond_time(row: LogEntry) -> str:
    """The row's time as Go writes it."""
    whole = datetime.fromtimestamp(int(row.timestamp), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    micros = int(row.timestamp % 1 * 1e6)
    return f"{whole}.{micros:06d}{number_of(row.id) % 1000:03d}".rstrip("0").rstrip(".") + "Z"


def error_of(body: bytes) -> dict[str, Any] | None:
    """An error's body, for the log; None when it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {"error": {"message": "no JSON"}}
    return found if isinstance(found, dict) else None
