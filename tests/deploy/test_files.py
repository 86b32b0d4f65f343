"""What deploy/ says fits what Palaver is: its settings, its paths, and how long it takes to end."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from palaver.app import operations
from palaver.serve.supervisor import CLOSING_SECONDS
from palaver.settings import SETTINGS, Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = [*sorted(path for path in DEPLOY.rglob("*") if path.is_file()), ROOT / ".dockerignore"]
IMAGE = (DEPLOY / "Containerfile").read_text()
NGINX = (DEPLOY / "nginx" / "palaver.conf.template").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
KUBERNETES: dict[str, Any] = {
    path.name: yaml.safe_load(path.read_text()) for path in (DEPLOY / "kubernetes").glob("*.yaml")
}
POD = KUBERNETES["deployment.yaml"]["spec"]["template"]["spec"]
[SERVING], [MIGRATING] = POD["containers"], POD["initContainers"]
CONFIG: dict[str, str] = KUBERNETES["config.yaml"]["data"]
UNIT = (DEPLOY / "systemd" / "palaver.service").read_text()
DIRECTIVES = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE))
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "env.example").read_text(), re.MULTILINE))

OF_THE_BUILD = {"PALAVER_WEB_APP"}

# Replies get their time, and then, asked and pressed, whatever still has to be kept gets its own, twice.
AFTER_DRAINING = 2 * CLOSING_SECONDS


def to_seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def images() -> list[str]:
    named = re.findall(r"^FROM (\S+)", IMAGE, re.MULTILINE) + [service["image"] for service in SERVICES.values()]
    return [*named, SERVING["image"], MIGRATING["image"]]


def test_every_setting_that_is_named_is_one() -> None:
    named = {name for file in FILES for name in re.findall(r"\bPALAVER_[A-Z_]*[A-Z]\b", file.read_text())}
    known = {setting.env for setting in SETTINGS.values()}
    assert len(named & known) > 10
    assert named - known == OF_THE_BUILD


@pytest.mark.parametrize(
    "given",
    [SERVICES["palaver"]["environment"], CONFIG, KUBERNETES["secret.example.yaml"]["stringData"]],
    ids=["compose", "config", "secret"],
)
def test_values_are_such_as_settings_take(given: dict[str, str]) -> None:
    assert given.keys() <= {setting.env for setting in SETTINGS.values()}
    read_settings({**given, "DB_PASSWORD": "secret"})


@pytest.mark.parametrize("image", images())
def test_image_is_of_a_version_and_of_no_host(image: str) -> None:
    name, _, version = image.partition(":")
    assert re.match(r"v?\d+\.\d+", version)
    assert "." not in name.partition("/")[0]


def test_image_is_that_of_this_version() -> None:
    version = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0]
    ours = {image for image in images() if image.startswith("palaver:")}
    assert ours == {f"palaver:{version}"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_no_root_writes_nothing_of_its_own_and_is_watched(name: str) -> None:
    service = SERVICES[name]
    # The image of Palaver says it itself.
    user = service.get("user") or re.findall(r"^USER (\S+)$", IMAGE, re.MULTILINE)[0]
    assert str(user).partition(":")[0] not in ("", "0", "root")
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service or "\nHEALTHCHECK " in IMAGE
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_what_is_kept_lies_in_volumes_and_what_is_taken_in_is_there() -> None:
    sources = [volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    named = {source for source in sources if not source.startswith(".")}
    assert named == set(COMPOSE["volumes"])
    assert [source for source in sources if source not in named and not (DEPLOY / source).is_file()] == []
    assert SERVICES["palaver"]["env_file"] == [".env"]


def test_example_holds_no_secret_and_all_that_compose_asks_for() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    assert asked <= EXAMPLE.keys()
    assert {name: value for name, value in EXAMPLE.items() if value} == {"PALAVER_PUBLIC_URL": "http://localhost:8080"}
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text()


def test_everything_waits_longer_than_draining_takes() -> None:
    compose = SERVICES["palaver"]
    drain = float(compose["environment"]["PALAVER_DRAIN_SECONDS"])
    assert to_seconds(compose["stop_grace_period"]) >= drain + AFTER_DRAINING
    assert to_seconds(SERVICES["nginx"]["stop_grace_period"]) >= to_seconds(compose["stop_grace_period"])
    assert float(DIRECTIVES["TimeoutStopSec"]) >= Settings().drain_seconds + AFTER_DRAINING
    program, pause = SERVING["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    needed = float(pause) + float(CONFIG["PALAVER_DRAIN_SECONDS"]) + AFTER_DRAINING
    assert POD["terminationGracePeriodSeconds"] >= needed


def test_probes_ask_paths_that_are_open_to_all_and_mean_what_they_say() -> None:
    open_to_all = {
        operation.path for operation in operations() if operation.method == "GET" and operation.who == "open"
    }
    probes = {name: SERVING[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    # One that asks the database would end all pods when it is away.
    assert paths == {"startup": "/api/v1/", "readiness": "/ready", "liveness": "/api/v1/"}
    asked = set(paths.values()) | {"/ready"}
    assert asked <= open_to_all
    assert "'GET', '/ready'" in IMAGE
    # A database that does not answer within a second makes it unready, and is not to be taken for silence.
    assert all(probe["timeoutSeconds"] > 1 for probe in probes.values())
    [port] = SERVING["ports"]
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {port["name"]}


def test_all_speak_of_the_same_port() -> None:
    [port] = re.findall(r"^EXPOSE (\d+)$", IMAGE, re.MULTILINE)
    assert f"PALAVER_PORT={port} " in IMAGE
    assert SERVING["ports"] == [{"name": "http", "containerPort": int(port)}]
    [inside] = KUBERNETES["service.yaml"]["spec"]["ports"]
    assert inside["targetPort"] == "http"
    [rule] = KUBERNETES["ingress.yaml"]["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "palaver", "port": {"name": inside["name"]}}
    assert SERVICES["nginx"]["environment"]["NGINX_UPSTREAM"] == f"palaver:{port}"
    listens = SERVICES["nginx"]["environment"]["NGINX_LISTEN"]
    assert SERVICES["nginx"]["ports"] == [f"127.0.0.1:${{HTTP_PORT:-8080}}:{listens}"]


def test_pods_are_no_root_and_cannot_become_it() -> None:
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    for container in (SERVING, MIGRATING):
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"]
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}
        written = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert written == {"/tmp", "/var/lib/palaver"}


def test_update_takes_nobody_away_before_another_serves() -> None:
    spec = KUBERNETES["deployment.yaml"]["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert MIGRATING["command"] == ["palaver", "migrate"]
    assert (MIGRATING["image"], MIGRATING["envFrom"]) == (SERVING["image"], SERVING["envFrom"])


def test_manifests_mean_the_same_pods() -> None:
    label = {"app.kubernetes.io/name": "palaver"}
    spec = KUBERNETES["deployment.yaml"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == label
    assert KUBERNETES["service.yaml"]["spec"]["selector"] == label
    assert KUBERNETES["disruption.yaml"]["spec"]["selector"]["matchLabels"] == label
    scaler = KUBERNETES["autoscaler.yaml"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "palaver"}
    # The autoscaler's word is the only one.
    assert "replicas" not in spec
    assert scaler["minReplicas"] >= 2
    names = {name for name in KUBERNETES if name not in ("kustomization.yaml", "secret.example.yaml")}
    assert set(KUBERNETES["kustomization.yaml"]["resources"]) == names


def test_as_many_pods_as_there_may_be_find_connections() -> None:
    most = KUBERNETES["autoscaler.yaml"]["spec"]["maxReplicas"] + 1
    assert most * int(CONFIG["PALAVER_WORKERS"]) * int(CONFIG["PALAVER_DATABASE_CONNECTIONS"]) < 100


def test_proxies_let_the_largest_document_and_a_long_silence_pass() -> None:
    default = Settings()
    annotations = KUBERNETES["ingress.yaml"]["metadata"]["annotations"]
    told = {name.partition("/")[2]: value for name, value in annotations.items()}
    assert told["proxy-buffering"] == "off"
    assert "proxy_buffering off;" in NGINX
    sizes = [told["proxy-body-size"], *re.findall(r"client_max_body_size (\w+);", NGINX)]
    assert [int(size.removesuffix("m")) > default.knowledge_document_megabytes for size in sizes] == [True, True]
    patience = [told["proxy-read-timeout"], *re.findall(r"proxy_read_timeout (\w+);", NGINX)]
    silence = max(default.heartbeat_seconds, default.ping_seconds)
    assert [to_seconds(seconds) > 2 * silence for seconds in patience] == [True, True]


def test_unit_is_no_root_and_rolls_on_reload() -> None:
    assert DIRECTIVES["User"] == "palaver"
    assert DIRECTIVES["ExecReload"] == "/bin/kill -HUP $MAINPID"
    # It does not speak systemd's protocol.
    assert DIRECTIVES["Type"] == "exec"
    # The supervisor alone is told, and what is left at the end is killed with it.
    assert DIRECTIVES["KillMode"] == "mixed"
    assert f"PALAVER_DATA_DIR=/var/lib/{DIRECTIVES['StateDirectory']}" == DIRECTIVES["Environment"]
    hardened = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes"}
    assert hardened.items() <= DIRECTIVES.items()
    assert DIRECTIVES["CapabilityBoundingSet"] == ""
    sections = re.findall(r"^\[(\w+)\]$", UNIT, re.MULTILINE)
    assert sections == ["Unit", "Service", "Install"]
    lines = [line for line in UNIT.splitlines() if line and not re.match(r"#|\[\w+\]$|[A-Z]\w+=", line)]
    assert lines == []


def test_prometheus_and_grafana_take_in_what_docs_have() -> None:
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    mounts = {
        volume.split(":")[1]: volume.split(":")[0]
        for name in ("prometheus", "grafana")
        for volume in SERVICES[name]["volumes"]
    }
    [rules] = prometheus["rule_files"]
    assert mounts[f"/etc/prometheus/{rules}"] == "../docs/alerts.yml"
    [job] = prometheus["scrape_configs"]
    assert job["job_name"] == "palaver"
    [[asked]] = [sd["names"] for sd in job["dns_sd_configs"]]
    assert asked in SERVICES
    [provider] = yaml.safe_load((DEPLOY / "grafana" / "dashboards.yaml").read_text())["providers"]
    assert mounts[f"{provider['options']['path']}/palaver.json"] == "../docs/grafana.json"
    [source] = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_alerts_are_rules_as_prometheus_reads_them() -> None:
    [group] = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text())["groups"]
    assert group["name"] == "palaver"
    for rule in group["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["annotations"]["summary"]
