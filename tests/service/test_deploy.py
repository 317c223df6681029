"""The deployment files and their page: they parse, load, and name what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from etl.config import Config, load_config
from etl.version import __version__
from etl.web.metrics import _GAUGES, Metrics
from tests.conftest import unavailable
from tests.docs.instructions import comments

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "operations.md").read_text()


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def load(text: str, secrets: str, folder: Path, **environ: str) -> Config:
    """The configuration, with its secret files where the test may write."""
    for name in re.findall(rf"{secrets}/([\w-]+)", text):
        value = "postgresql://etl@db/etl" if "url" in name else "secret-of-the-test"
        (folder / name).write_text(value)
    path = folder / "bifrost-etl.yaml"
    path.write_text(text.replace(secrets, str(folder)))
    return load_config(path, environ)


def metric_names() -> set[str]:
    names = {f"bifrost_etl_{name}" for name in _GAUGES}
    for family in Metrics().registry.collect():
        suffixes = ("_bucket", "_count", "_sum") if family.type == "histogram" else ("_total",)
        names |= {family.name + suffix for suffix in suffixes}
    return names | {"bifrost_etl_breaker_open", "bifrost_etl_database_up"}


def rules() -> list[dict[str, str]]:
    return [rule for group in documents("alerts.yml")[0]["groups"] for rule in group["rules"]]


def test_alerts_name_metrics_that_exist():
    named = {name for rule in rules() for name in re.findall(r"bifrost_etl_\w+", rule["expr"])}
    assert named and named <= metric_names()


def test_every_alert_and_metric_is_explained():
    for rule in rules():
        assert f"| `{rule['alert']}` |" in PAGE
    short = {
        re.sub(r"_(bucket|count|sum)$", "", name).removeprefix("bifrost_etl_") for name in metric_names()
    }
    assert {name for name in short if f"`{name}" not in PAGE} == set()
    explained = set(re.findall(r"^\| `(\w+)", PAGE, re.M)) - {rule["alert"] for rule in rules()}
    assert explained <= short


def test_compose(tmp_path: Path):
    [compose] = documents("compose.yaml")
    service, database = compose["services"]["etl"], compose["services"]["database"]
    for used in service["secrets"] + database["secrets"]:
        assert used in compose["secrets"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    text = (DEPLOY / "bifrost-etl.yaml").read_text()
    config = load(text, "/run/secrets", tmp_path, BIFROST_BASE_URL="http://gateway.example")
    assert config.database.reveal() == "postgresql://etl:secret-of-the-test@database/etl"
    assert f":{config.service.port}" in service["ports"][0]
    assert int(service["stop_grace_period"].removesuffix("s")) > config.service.shutdown_timeout
    mounted = {item.split(":")[1] for item in service["volumes"]}
    upgrade = compose["services"]["upgrade"]
    assert upgrade["command"] == ["db", "upgrade"] and upgrade["image"] == service["image"]
    assert service["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}
    assert service["image"] == f"bifrost-etl:{__version__}"
    assert service["command"] == ["run"] and service["environment"]["BIFROST_ETL_CONFIG"] in mounted


def test_dockerfile_copies_and_installs_what_exists():
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied = [
        word
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    for name in copied:
        assert (ROOT / name).exists() and f"!{name}" in ignored, name
    extras = re.search(r"'\.\[([\w,]+)\]'", "\n".join(lines))
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras is not None and set(extras[1].split(",")) <= set(known)
    probe = next(line for line in lines if "HEALTHCHECK" in line)
    assert "/healthz" in probe and f":{Config().service.port}/" in probe


def test_cronjob(tmp_path: Path):
    settings, job = documents("cronjob.yaml")
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    config = load(settings["data"]["bifrost-etl.yaml"], "/var/run/secrets/bifrost-etl", tmp_path)
    assert config.sources[0].api_key is not None
    assert container["args"] == ["run", "--once", "--json"]
    assert configured(container).startswith(container["volumeMounts"][0]["mountPath"])
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] >= 600
    assert spec["terminationGracePeriodSeconds"] > config.service.shutdown_timeout
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}


def configured(container: dict[str, Any]) -> str:
    """The configuration file that `exec` finds as well as the main process."""
    return {item["name"]: item["value"] for item in container["env"]}["BIFROST_ETL_CONFIG"]


def test_deployment(tmp_path: Path):
    settings, service, deployment = documents("deployment.yaml")
    template = deployment["spec"]["template"]
    spec = template["spec"]
    [container] = spec["containers"]
    config = load(settings["data"]["bifrost-etl.yaml"], "/var/run/secrets/bifrost-etl", tmp_path)
    config.choose()
    assert config.service.host == "0.0.0.0" and config.service.token is not None
    assert container["args"] == ["run"]
    assert configured(container) == "/etc/bifrost-etl/bifrost-etl.yaml"
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    [port] = container["ports"]
    assert port["containerPort"] == config.service.port == service["spec"]["ports"][0]["port"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert spec["terminationGracePeriodSeconds"] > config.service.shutdown_timeout
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}


@pytest.mark.parametrize("name", ["cronjob.yaml", "deployment.yaml"])
def test_tables_are_brought_up_before_a_new_image_runs(name: str):
    """The image is named by a version: with `latest` nobody knows what runs, and nodes keep the old one."""
    workload = documents(name)[-1]["spec"]
    spec = workload.get("jobTemplate", {}).get("spec", workload)["template"]["spec"]
    [upgrade], [container] = spec["initContainers"], spec["containers"]
    assert upgrade["args"] == ["db", "upgrade"]
    for key in ("image", "env", "volumeMounts", "securityContext"):
        assert upgrade[key] == container[key]
    assert container["image"] == f"bifrost-etl:{__version__}"
    built = [line for line in comments(f"deploy/{name}").text.splitlines() if line.startswith("docker build")]
    assert built == [f"docker build -f deploy/Dockerfile -t {container['image']} ."]


def test_prometheus_asks_the_service_that_the_files_start():
    [scrape] = documents("prometheus.yml")
    assert [(DEPLOY / name).is_file() for name in scrape["rule_files"]] == [True]
    [job] = scrape["scrape_configs"]
    assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{Config().service.port}"]
    [monitor] = documents("servicemonitor.yaml")
    _, service, deployment = documents("deployment.yaml")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"] and endpoint["path"] == "/metrics"
    token = endpoint["authorization"]["credentials"]
    mounted = {
        volume.get("secret", {}).get("secretName")
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
    }
    assert token["name"] in mounted
    assert f"/{token['key']}" in documents("deployment.yaml")[0]["data"]["bifrost-etl.yaml"]


def test_crontab(tmp_path: Path):
    """The line runs with the variables of the file and no others, as cron does."""
    lines = (DEPLOY / "crontab").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    [line] = [line for line in lines if line.startswith("*")]
    *_, user, command = line.split(None, 6)
    assert (
        f"useradd --system --home-dir /var/lib/bifrost-etl --create-home {user}"
        in comments("deploy/crontab").text
    )
    for folder in ("var/lib/bifrost-etl", "opt/bifrost-etl/bin"):
        (tmp_path / folder).mkdir(parents=True)
    program = tmp_path / "opt/bifrost-etl/bin/bifrost-etl"
    program.write_text('#!/bin/sh\necho "$BIFROST_ETL_CONFIG $BIFROST_API_KEY_FILE $DATABASE_URL $*" >&2\n')
    program.chmod(0o755)
    path = environ["PATH"].replace("/opt/", f"{tmp_path}/opt/")
    done = subprocess.run(
        [environ["SHELL"], "-c", command.replace("/var/", f"{tmp_path}/var/")],
        env={**environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    unit = (DEPLOY / "bifrost-etl.service").read_text()
    config, key, url, *arguments = done.stderr.split()
    assert arguments == ["run", "--once"] and f"LoadCredential=api_key:{key}" in unit
    assert f"=BIFROST_ETL_CONFIG={config}\n" in unit and f"=DATABASE_URL={url}\n" in unit


def test_systemd_unit(tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        unavailable("systemd-analyze is not installed (Debian: apt-get install systemd)")
    program = tmp_path / "bifrost-etl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "bifrost-etl.service"
    text = (DEPLOY / "bifrost-etl.service").read_text()
    assert "/opt/bifrost-etl/bin/bifrost-etl" in text
    unit.write_text(text.replace("/opt/bifrost-etl/bin/bifrost-etl", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    limit = re.search(r"TimeoutStopSec=(\d+)", text)
    assert limit is not None and int(limit[1]) > Config().service.shutdown_timeout
