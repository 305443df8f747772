"""What is deployed would run: systemd likes the unit, the manifests build and contain the pod, every setting named exists and loads."""

import configparser
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

import refreshd
from refreshd.settings import Mode, Settings, load_settings
from refreshd.settings.model import SECRETS
from tests.support.commands import environment
from tests.support.documents import KNOWN_NAMES, ROOT, unknown_names

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "refreshd.service"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc")
GRACE_SECONDS = Settings.model_fields["grace_seconds"].default
LAST_WORDS_SECONDS = 10
MOST_EXPOSURE = "12"
"""Tenths: 1.2. A unit without any of these words has 9.6."""

Manifest = dict[str, Any]


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 # systemd's and Kubernetes' own tools
        [str(word) for word in command], capture_output=True, text=True, check=False
    )


def needs(command: str, package: str) -> str:
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"{command} not found: apt-get install {package}")
    return found


def secrets_in(directory: Path) -> Path:
    """Every secret as a file of its own name."""
    for name in SECRETS - {"source_database_url", "database_direct_url", "operators"}:
        text = "postgresql://refreshd@db/app" if name == "database_url" else f"a {name}"
        (directory / name).write_text(f"{text}\n", encoding="utf-8")
    return directory


def loaded(env: Mapping[str, str], config: Path | None = None) -> Settings:
    with patch.dict("os.environ", environment(env), clear=True):
        return load_settings(require_flinks=True, config=config)


# All files --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_setting_that_is_named_exists(path: Path) -> None:
    assert unknown_names(path.read_text(encoding="utf-8")) == set()


def test_a_setting_that_does_not_exist_is_found() -> None:
    assert unknown_names("REFRESHD_RATE=30 and $REFRESHD_RATE_PER_MINUTE") == {"REFRESHD_RATE"}
    assert unknown_names("REFRESHD_RATE_PER_MINUTE_FILE") == {"REFRESHD_RATE_PER_MINUTE_FILE"}


# systemd ----------------------------------------------------------------------------------------------------------------------------


class Unit(configparser.RawConfigParser):
    """A unit file: keys keep their case, and those that repeat come as lines of one value."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(text: str) -> Unit:
    merged: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            merged[section] = {}
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            merged[section][key] = "\n".join(filter(None, (merged[section].get(key), value)))
    parser = Unit()
    parser.read_dict(merged)
    return parser


def verified(text: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """systemd's opinion of a unit whose program exists, which that of the file does not on a machine of tests."""
    analyze = needs("systemd-analyze", "systemd")
    path = directory / UNIT.name
    path.write_text(text.replace("/opt/refreshd/bin/refreshd", shutil.which("true") or "/bin/true"), encoding="utf-8")
    return run(analyze, "verify", "--recursive-errors=no", path)


def test_systemd_understands_every_word_of_the_unit(tmp_path: Path) -> None:
    result = verified(UNIT.read_text(encoding="utf-8"), tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong"), [("RestartSec=5", "RestartSecs=5"), ("ProtectSystem=strict", "ProtectSystem=strickt")]
)
def test_systemd_would_find_a_mistyped_word(tmp_path: Path, right: str, wrong: str) -> None:
    assert verified(UNIT.read_text(encoding="utf-8").replace(right, wrong), tmp_path).returncode == 1


def exposure(text: str, directory: Path) -> int:
    analyze = needs("systemd-analyze", "systemd")
    path = directory / UNIT.name
    path.write_text(text, encoding="utf-8")
    return run(analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", path).returncode


def test_the_unit_exposes_next_to_nothing(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert exposure(text, tmp_path) == 0
    assert exposure(re.sub(r"^SystemCallFilter=.*\n", "", text, flags=re.MULTILINE), tmp_path) == 1


def test_the_unit_promises_nothing_that_the_daemon_does_not_do() -> None:
    service = unit(UNIT.read_text(encoding="utf-8"))["Service"]
    assert service["Type"] == "exec"
    assert "WatchdogSec" not in service
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert float(service["TimeoutStopSec"]) >= GRACE_SECONDS + LAST_WORDS_SECONDS


def test_what_the_unit_hands_over_makes_complete_settings(tmp_path: Path) -> None:
    service = unit(UNIT.read_text(encoding="utf-8"))["Service"]
    given = dict(line.split(":", 1) for line in service["LoadCredential"].splitlines())
    assert given.keys() == SECRETS - {"source_database_url", "database_direct_url", "operators"}
    assert all(Path(path).name == name for name, path in given.items())
    config = DEPLOY / "systemd" / Path(service["Environment"].removeprefix("REFRESHD_CONFIG=")).name
    settings = loaded({"CREDENTIALS_DIRECTORY": str(secrets_in(tmp_path))}, config)
    assert settings.mode is Mode.ENFORCE
    assert settings.flinks_api_secret is not None
    assert settings.flinks_api_secret.get_secret_value() == "a flinks_api_secret"


# Kubernetes -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    """What `kubectl apply --kustomize` would send, by kind."""
    kubectl = needs("kubectl", "kubernetes-client")
    built = run(kubectl, "kustomize", DEPLOY / "kubernetes")
    assert built.returncode == 0, built.stderr
    found = [each for each in yaml.safe_load_all(built.stdout) if each]
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


@pytest.fixture
def pod(manifests: dict[str, Manifest]) -> Manifest:
    template: Manifest = manifests["Deployment"]["spec"]["template"]
    return template


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from pod["spec"]["initContainers"]
    yield from pod["spec"]["containers"]


def test_one_leads_and_one_stands_by_whatever_is_drained_or_rolled_out(manifests: dict[str, Manifest]) -> None:
    deployment = manifests["Deployment"]["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert manifests["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


def test_everything_selects_the_pods_and_nothing_else(manifests: dict[str, Manifest], pod: Manifest) -> None:
    labels = pod["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "refreshd"}
    assert manifests["Deployment"]["spec"]["selector"] == {"matchLabels": labels}
    assert manifests["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": labels}
    assert manifests["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": labels}
    assert manifests["Service"]["spec"]["selector"] == labels


def test_the_pod_is_what_the_restricted_profile_asks_for(manifests: dict[str, Manifest], pod: Manifest) -> None:
    assert manifests["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    context = pod["spec"]["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert {volume.keys() - {"name"} == {"secret"} for volume in pod["spec"]["volumes"]} == {True}
    for container in containers(pod):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_the_probes_ask_what_the_daemon_answers(manifests: dict[str, Manifest], pod: Manifest) -> None:
    (container,) = pod["spec"]["containers"]
    assert container.keys() >= {"startupProbe", "livenessProbe", "readinessProbe"}
    assert not [key for key in container if "robe" in key and key not in PROBES]
    assert {key: container[key]["httpGet"]["path"] for key in PROBES} == PROBES
    (port,) = container["ports"]
    assert {container[key]["httpGet"]["port"] for key in PROBES} == {port["name"]}
    assert settings_of(manifests)["REFRESHD_LISTEN"].endswith(f":{port['containerPort']}")
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]


PROBES = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_calls_in_flight_may_end_before_the_pod_is_killed(pod: Manifest) -> None:
    assert pod["spec"]["terminationGracePeriodSeconds"] >= GRACE_SECONDS + LAST_WORDS_SECONDS


def settings_of(manifests: dict[str, Manifest]) -> dict[str, str]:
    data: dict[str, str] = manifests["ConfigMap"]["data"]
    return data


def test_every_container_gets_the_settings_and_the_secrets_as_files(
    manifests: dict[str, Manifest], pod: Manifest
) -> None:
    config = manifests["ConfigMap"]["metadata"]["name"]
    for container in containers(pod):
        assert container["envFrom"] == [{"configMapRef": {"name": config}}]
        (mount,) = container["volumeMounts"]
        assert mount["readOnly"] is True
        for each in container["env"]:
            assert each["name"] in KNOWN_NAMES
            assert each["value"].startswith(f"{mount['mountPath']}/")
    assert not [name for name in settings_of(manifests) if name.removeprefix("REFRESHD_").lower() in SECRETS]


def test_the_environment_of_the_pod_makes_complete_settings(
    manifests: dict[str, Manifest], pod: Manifest, tmp_path: Path
) -> None:
    (container,) = pod["spec"]["containers"]
    directory = secrets_in(tmp_path)
    files = {each["name"]: str(directory / Path(each["value"]).name) for each in container["env"]}
    settings = loaded({**settings_of(manifests), **files})
    assert settings.database_url is not None
    assert settings.listen.host == "0.0.0.0"  # noqa: S104 # its pod's own network


def test_only_monitoring_comes_in_and_the_metadata_address_is_out_of_reach(manifests: dict[str, Manifest]) -> None:
    policy = manifests["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (coming_in,) = policy["ingress"]
    assert coming_in["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    blocks = [way["ipBlock"] for rule in policy["egress"] for way in rule["to"] if "ipBlock" in way]
    assert [block["except"] for block in blocks] == [["169.254.169.254/32"]]


def test_the_image_is_of_this_version(pod: Manifest) -> None:
    assert {container["image"].rpartition(":")[2] for container in containers(pod)} == {refreshd.__version__}


# Image ------------------------------------------------------------------------------------------------------------------------------


def instructions(text: str) -> list[tuple[str, str]]:
    """Keyword and rest, comments left out and continued lines joined."""
    lines = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    words = (line.split(None, 1) for line in re.sub(r"\\\n", " ", lines).splitlines())
    return [(keyword, rest) for keyword, rest in words]


def test_the_image_runs_the_daemon_as_nobody_and_stops_it_gently() -> None:
    steps = instructions(DOCKERFILE)
    last = steps[max(index for index, (keyword, _) in enumerate(steps) if keyword == "FROM") :]
    by_keyword = dict(last)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", by_keyword["USER"])
    assert by_keyword["ENTRYPOINT"] == '["refreshd"]'
    assert by_keyword["CMD"] == '["run"]'
    assert by_keyword["STOPSIGNAL"] == "SIGTERM"
    assert "/livez" in by_keyword["HEALTHCHECK"]
    assert f'version="{refreshd.__version__}"' in by_keyword["LABEL"]
    assert "RUN" not in by_keyword, "nothing is installed in the last stage, so no tool stays in it"


def test_the_image_is_built_from_locked_requirements_alone() -> None:
    installs = [part for keyword, rest in instructions(DOCKERFILE) if keyword == "RUN" for part in rest.split("&&")]
    installs = [part for part in installs if "pip install" in part]
    assert installs
    assert [part for part in installs if "--require-hashes" not in part and "--no-index" not in part] == []
    assert ":latest" not in DOCKERFILE


def test_what_the_image_copies_is_there_and_is_let_through() -> None:
    copied = [rest.split()[:-1] for keyword, rest in instructions(DOCKERFILE) if keyword == "COPY"]
    sources = {word for words in copied if not words[0].startswith("--from") for word in words}
    ignore = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert sources == {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert all((ROOT / source).exists() for source in sources)
