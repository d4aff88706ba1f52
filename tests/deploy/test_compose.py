"""docker-compose.yml and the Dockerfile against the code. Nothing here needs Docker, and nothing is started."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.specifiers import SpecifierSet
from typer.main import get_command

from api import health
from domain.access import SCOPES
from runtime import api_process, consume_process, recommender_process, worker_process
from runtime.cli import app
from runtime.ports import is_loopback
from runtime.settings import Settings
from runtime.settings_page import describe_settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
DOCKERIGNORE = ROOT / ".dockerignore"
PYPROJECT = ROOT / "pyproject.toml"

API_PORT = Settings.model_fields["port"].default
RECOMMENDER_PORT = Settings.model_fields["recommender_port"].default
METRICS_PORT = Settings.model_fields["worker_metrics_port"].default
CONSUMER_METRICS_PORT = Settings.model_fields["consumer_metrics_port"].default

# What the servers' images listen on cannot be read anywhere here.
LISTENS = {
    "scylladb": {9042},
    "postgres": {5432},
    "temporal": {7233},
    "temporal-ui": {8080},
    "api": {API_PORT},
    "recommender": {RECOMMENDER_PORT},
    "worker": {METRICS_PORT},
    "consume": {CONSUMER_METRICS_PORT},
    "kafka": {9092, 9093},
    "prometheus": {9090},
    "grafana": {3000},
}
LOOPBACK = {"127.0.0.1", "localhost"}

Service = dict[str, Any]


def compose() -> dict[str, Any]:
    document = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(document, dict)
    return document


def services() -> dict[str, Service]:
    found = compose()["services"]
    assert isinstance(found, dict)
    return found


def one_shot(service: Service) -> bool:
    return bool(service["restart"] == "no")


def ours() -> dict[str, Service]:
    """The services that run our image."""
    return {name: service for name, service in services().items() if "build" in service}


def command(service: Service) -> list[str]:
    words = service.get("command", [])
    return shlex.split(words) if isinstance(words, str) else [str(word) for word in words]


def health_check(service: Service) -> str:
    return " ".join(service.get("healthcheck", {}).get("test", []))


def filled_in(value: str) -> str:
    """The value as Compose has it where none of the variables is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    for name, service in services().items():
        yield name, {key: filled_in(value) for key, value in service.get("environment", {}).items()}


def addresses() -> Iterator[tuple[str, str, int]]:
    """Who names whom: service, host and port of every address in an environment."""
    for name, environment in environments():
        if url := environment.get("FOOTFALL_POSTGRES_URL"):
            parts = urlsplit(url)
            yield name, str(parts.hostname), parts.port or 5432
        if address := environment.get("TEMPORAL_ADDRESS"):
            host, _, port = address.rpartition(":")
            yield name, host, int(port)
        for host in filter(None, environment.get("SCYLLA_CONTACT_POINTS", "").split(",")):
            yield name, host, int(environment["SCYLLA_PORT"])
        if name == "consume":
            host, _, port = environment["FOOTFALL_KAFKA_BOOTSTRAP"].rpartition(":")
            yield name, host, int(port)
        if host := environment.get("POSTGRES_SEEDS", ""):
            yield name, host, int(environment["DB_PORT"])


def seconds(duration: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", duration))


def project() -> dict[str, Any]:
    return tomllib.loads(PYPROJECT.read_text())


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments; continued lines are one."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def copies() -> list[tuple[list[str], str]]:
    """Sources in the repository, and destination, of every COPY."""
    arguments = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from=")]
    return [(words[:-1], words[-1]) for words in arguments]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the build; the last pattern wins that matches it or its folders."""
    parts = [PurePosixPath(path), *PurePosixPath(path).parents][:-1]
    result = False
    for line in DOCKERIGNORE.read_text().splitlines():
        pattern = line.strip().removeprefix("!").strip("/")
        if not pattern or pattern.startswith("#"):
            continue
        anywhere = pattern.removeprefix("**/")
        if any(
            fnmatch(str(part), pattern) or (anywhere != pattern and fnmatch(part.name, anywhere)) for part in parts
        ):
            result = not line.strip().startswith("!")
    return result


# docker-compose.yml


def test_the_services_of_the_design_are_there() -> None:
    assert set(services()) == {
        *("scylladb", "postgres", "redis", "temporal", "temporal-ui"),
        *("migrate", "api", "worker", "recommender"),
        *("prometheus", "grafana"),
        *("consume", "kafka"),
    }


def test_every_image_has_a_tag_and_none_is_latest() -> None:
    for name, service in services().items():
        tag = re.fullmatch(r"[a-z0-9./-]+:([A-Za-z0-9_.-]+)", service["image"])
        assert tag is not None, f"{name}: {service['image']} has no tag"
        assert tag[1].removeprefix("v")[0].isdigit(), f"{name}: {service['image']} is no fixed version"


def test_our_image_has_our_version() -> None:
    for name, service in ours().items():
        assert service["image"] == f"footfall:{project()['project']['version']}", name


def test_every_service_says_when_it_is_restarted() -> None:
    for name, service in services().items():
        assert service.get("restart") in {"no", "always", "on-failure", "unless-stopped"}, name


def test_only_migrate_runs_once() -> None:
    assert [name for name, service in services().items() if one_shot(service)] == ["migrate"]


def test_every_running_service_has_a_health_check() -> None:
    for name, service in services().items():
        if one_shot(service):
            continue
        check = service.get("healthcheck")
        assert check is not None, f"{name} has no health check"
        assert check["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert {"interval", "timeout", "retries", "start_period"} <= set(check), name


def test_health_checks_ask_what_listens() -> None:
    for name, service in services().items():
        for host, port in re.findall(r"([\w.-]+):(\d+)\b", health_check(service)):
            assert host in LOOPBACK | {name}, f"{name} asks {host}"
            assert int(port) in LISTENS[name], f"{name} asks port {port}"


def test_the_api_is_asked_whether_it_is_ready() -> None:
    path = f":{API_PORT}/health/ready"
    assert path in health_check(services()["api"])
    assert "/health/ready" in {getattr(route, "path", None) for route in health.router.routes}


def test_the_api_is_published_on_its_usual_port() -> None:
    published = [port.rsplit(":", 2)[-2:] for port in services()["api"]["ports"]]
    assert published == [[str(API_PORT), str(API_PORT)]]


def test_published_ports_are_of_this_machine_and_lead_to_what_listens() -> None:
    for name, service in services().items():
        for port in service.get("ports", []):
            address, _, inside = port.rsplit(":", 2)
            assert address == "127.0.0.1", f"{name}: {port} is open to everybody"
            assert int(inside) in LISTENS[name], f"{name}: nothing listens on {inside}"


def test_variables_of_ours_are_settings() -> None:
    known = {one.variable for one in describe_settings()}
    for name, service in ours().items():
        unknown = set(service["environment"]) - known
        assert not unknown, f"{name}: {sorted(unknown)}"


def test_our_environment_is_valid_and_says_what_it_should() -> None:
    for name, environment in environments():
        if name not in ours():
            continue
        with pytest.MonkeyPatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(key, value)
            settings = Settings()
        assert settings.scylla_enabled, name
        assert (settings.host, settings.port) == ("0.0.0.0", API_PORT), name
        assert settings.scylla_replication_factor == 1, f"{name}: there is one node"


def test_our_services_share_one_environment() -> None:
    assert len({tuple(sorted(service["environment"].items())) for service in ours().values()}) == 1


def test_values_are_text() -> None:
    """Compose refuses a bare true, and a bare number is read as YAML reads it."""
    for name, service in services().items():
        for key, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{name}: {key} needs quotes"


def test_addresses_lead_to_a_service_that_listens_there() -> None:
    found = list(addresses())
    assert {user for user, _, _ in found} == {"temporal", "temporal-ui", *ours()}
    for user, host, port in found:
        assert host in services(), f"{user}: there is no service {host}"
        assert port in LISTENS[host], f"{user}: {host} does not listen on {port}"


def test_what_is_addressed_is_waited_for() -> None:
    for user, host, _ in addresses():
        assert host in services()[user]["depends_on"], f"{user} does not wait for {host}"


def test_everybody_uses_the_credentials_that_postgres_has() -> None:
    has = services()["postgres"]["environment"]
    user, password, database = (has[f"POSTGRES_{key}"] for key in ("USER", "PASSWORD", "DB"))
    for name, service in ours().items():
        url = service["environment"]["FOOTFALL_POSTGRES_URL"]
        assert url == f"postgresql://{user}:{password}@postgres:5432/{database}", name
    temporal = services()["temporal"]["environment"]
    assert (temporal["POSTGRES_USER"], temporal["POSTGRES_PWD"]) == (user, password)
    assert len({temporal["DBNAME"], temporal["VISIBILITY_DBNAME"], database}) == 3


def test_credentials_can_be_set_from_outside() -> None:
    for name, service in services().items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"(USER|USERNAME|PASSWORD|PWD|SECRET)$", key):
                assert re.fullmatch(r"\$\{\w+:-\w+\}", value), f"{name}: {key}"


def test_the_file_says_to_change_the_credentials_and_that_nothing_starts_it() -> None:
    top = COMPOSE.read_text().partition("\nname:")[0]
    assert "CHANGE THE CREDENTIALS" in top
    assert "does not start it" in top


def test_the_file_says_how_the_key_is_made_without_which_the_api_does_not_start() -> None:
    lines = [line.removeprefix("#").strip() for line in COMPOSE.read_text().partition("\nname:")[0].splitlines()]
    start = [line.removeprefix("docker compose ") for line in lines if line.startswith("docker compose ")][:3]
    (make_key,) = (line.removeprefix("run --rm migrate ") for line in start if "keys create" in line)
    assert start == ["run --build --rm migrate", f"run --rm migrate {make_key}", "up --wait"]
    group, name, *arguments = make_key.split()
    create = get_command(app).commands[group].commands[name]  # type: ignore[attr-defined]
    context = create.make_context(name, list(arguments))
    assert set(context.params["scope"]) == set(SCOPES)
    assert not is_loopback(ours()["api"]["environment"]["FOOTFALL_HOST"])


def test_dependencies_exist_and_can_come_true() -> None:
    for name, service in services().items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services(), f"{name} waits for {needed}, which is not there"
            expected = "service_completed_successfully" if one_shot(services()[needed]) else "service_healthy"
            assert how == {"condition": expected}, f"{name} waits for {needed}"


def test_dependencies_have_no_circle() -> None:
    left = {name: set(service.get("depends_on", {})) for name, service in services().items()}
    while ready := {name for name, needed in left.items() if not needed & set(left)}:
        left = {name: needed for name, needed in left.items() if name not in ready}
    assert not left


def test_api_and_worker_wait_for_the_migrations() -> None:
    for name in ("api", "worker", "recommender"):
        assert "migrate" in services()[name]["depends_on"], name


def test_commands_of_ours_are_commands_of_footfall() -> None:
    known = {one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands}
    for name, service in ours().items():
        assert command(service) == [name], name
        assert name in known


def test_processes_may_finish_before_they_are_killed() -> None:
    bounds = {"api": api_process._SHUTDOWN_S + api_process._END_S, "worker": worker_process._END_S}
    bounds["consume"] = consume_process._END_S
    bounds["recommender"] = float(recommender_process._SHUTDOWN_S)
    for name, bound_s in bounds.items():
        assert seconds(services()[name]["stop_grace_period"]) > bound_s, name


def test_every_named_volume_is_declared_and_used() -> None:
    used = {volume.partition(":")[0] for service in services().values() for volume in service.get("volumes", [])}
    assert {one for one in used if not one.startswith("./")} == set(compose()["volumes"])


def test_files_of_ours_that_services_read_are_there_and_stay_as_they_are() -> None:
    for name, service in services().items():
        for volume in service.get("volumes", []):
            source, _, target = volume.partition(":")
            if source.startswith("./"):
                assert (ROOT / source).exists(), f"{name}: {source}"
                assert target.endswith(":ro"), f"{name}: {source}"


def test_prometheus_asks_every_process_of_ours_where_it_listens_and_by_the_alerts_names() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    (of_consumers,) = jobs.pop("footfall-consume")["dns_sd_configs"]  # they are not always there
    assert of_consumers == {"names": ["consume"], "type": "A", "port": CONSUMER_METRICS_PORT}
    targets = {name: job["static_configs"][0]["targets"] for name, job in jobs.items()}
    assert targets == {
        f"footfall-{name}": [f"{name}:{port}"] for name in ("api", "worker", "recommender") for port in LISTENS[name]
    }
    for service in ours().values():
        environment = service["environment"]
        assert environment["FOOTFALL_WORKER_METRICS_HOST"] == "0.0.0.0"
        assert environment["FOOTFALL_WORKER_METRICS_PORT"] == str(METRICS_PORT)
        assert environment["FOOTFALL_CONSUMER_METRICS_HOST"] == "0.0.0.0"
        assert environment["FOOTFALL_CONSUMER_METRICS_PORT"] == str(CONSUMER_METRICS_PORT)


def test_the_consumer_and_its_broker_are_started_for_who_asks_for_them() -> None:
    for name in ("consume", "kafka"):
        assert services()[name]["profiles"] == ["kafka"], name
    listens = {urlsplit(one).port for one in services()["kafka"]["environment"]["KAFKA_LISTENERS"].split(",")}
    assert listens == LISTENS["kafka"]
    assert services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"


def test_prometheus_and_grafana_are_started_for_who_asks_for_them() -> None:
    for name in ("prometheus", "grafana"):
        assert services()[name]["profiles"] == ["observability"], name
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    assert provisioned["datasources"][0]["url"] == "http://prometheus:9090"


def test_what_keeps_data_has_its_volume_where_its_image_keeps_data() -> None:
    targets = {
        name: [one.partition(":")[2] for one in service.get("volumes", [])] for name, service in services().items()
    }
    assert int(services()["postgres"]["image"].partition(":")[2].partition(".")[0]) >= 18  # was …/data before
    assert targets["postgres"] == ["/var/lib/postgresql"]
    assert targets["scylladb"] == ["/var/lib/scylla"]
    assert targets["redis"] == ["/data"]
    assert targets["kafka"] == [services()["kafka"]["environment"]["KAFKA_LOG_DIRS"]]


def test_who_trains_models_and_who_loads_them_share_a_folder_that_our_user_may_write() -> None:
    folder = ours()["worker"]["environment"]["FOOTFALL_MODELS_URL"]
    for name in ("worker", "recommender"):
        assert ours()[name]["volumes"] == [f"models:{folder}"], name
    assert f"install --directory --owner footfall {folder}" in DOCKERFILE.read_text()


def test_the_api_asks_the_recommender_and_does_not_wait_for_it() -> None:
    for name, service in ours().items():
        url = urlsplit(service["environment"]["FOOTFALL_RECOMMENDER_URL"])
        assert url.port in LISTENS[str(url.hostname)], name
        assert str(url.hostname) == "recommender"
        assert "recommender" not in service["depends_on"], name


def test_redis_is_started_for_who_asks_for_it_and_keeps_what_it_is_told() -> None:
    redis = services()["redis"]
    assert redis["profiles"] == ["redis"]
    assert {"--appendonly", "noeviction"} <= set(redis["command"])
    assert filled_in(ours()["api"]["environment"]["FOOTFALL_REDIS_URL"]) == ""


def test_our_image_is_built_from_the_dockerfile() -> None:
    for name, service in ours().items():
        build = service["build"]
        assert (COMPOSE.parent / build["context"] / build["dockerfile"]).is_file(), name
        assert build["context"] == ".", f"{name}: the Dockerfile copies from the root of the repository"


# deploy/Dockerfile


def test_the_base_images_are_a_fixed_python_that_the_project_supports() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert len(set(bases)) == 1, "an environment moves to an image with the same Python only"
    version = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-[a-z]+", bases[0])
    assert version is not None, bases[0]
    assert version[1] in SpecifierSet(project()["project"]["requires-python"])


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    for sources, _ in copies():
        for source in sources:
            path = ROOT / source
            assert path.exists(), source
            files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
            wanted = [one for one in files if "__pycache__" not in one.parts]
            assert wanted, f"{source} is empty"
            out = [str(one.relative_to(ROOT)) for one in wanted if ignored(str(one.relative_to(ROOT)))]
            assert not out, f".dockerignore keeps out {out}"


def test_secrets_and_data_are_kept_out_of_the_build() -> None:
    for path in (".env", ".git/config", ".footfall/footfall.json", ".venv/bin/python", "api/__pycache__/a.pyc"):
        assert ignored(path), path


def test_every_package_is_copied_to_its_place() -> None:
    copied = {source for sources, target in copies() for source in sources if source == target}
    packages = project()["tool"]["setuptools"]["packages"]
    assert {package.partition(".")[0] for package in packages} <= copied


def test_what_the_project_is_built_from_is_copied() -> None:
    copied = {source for sources, _ in copies() for source in sources}
    metadata = project()["project"]
    assert {"pyproject.toml", metadata["readme"], *metadata["license-files"]} <= copied


def test_everything_installed_is_locked() -> None:
    runs = " && ".join(rest for word, rest in instructions() if word == "RUN")
    installs = [one.strip() for one in runs.split("&&") if re.search(r"\bpip\b.* install\b", one)]
    assert installs
    for one in installs:
        assert "--require-hashes" in one or "--no-deps wheels/" in one, one
    assert "--no-deps --no-build-isolation" in runs
    assert any("-r requirements.txt" in one for one in installs)


def test_the_build_tool_is_in_the_lock_file_that_it_is_taken_from() -> None:
    wanted = project()["build-system"]["requires"]
    assert [re.split(r"[<>=]", one)[0] for one in wanted] == ["setuptools"]
    locked = re.search(r"^setuptools==(\S+) \\$", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert locked is not None
    assert locked[1] in SpecifierSet(wanted[0].removeprefix("setuptools"))


def test_nothing_runs_as_root() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users
    assert users[-1] not in {"0", "root"}


def test_the_image_runs_footfall_and_leaves_health_to_compose() -> None:
    words = dict(instructions())
    assert words["ENTRYPOINT"] == '["footfall"]'
    assert "footfall" in project()["project"]["scripts"]
    assert "HEALTHCHECK" not in words
    assert "CMD" not in words


def test_the_image_exposes_the_ports_of_its_processes() -> None:
    assert dict(instructions())["EXPOSE"] == f"{API_PORT} {RECOMMENDER_PORT} {METRICS_PORT} {CONSUMER_METRICS_PORT}"


def test_the_image_has_the_library_that_the_rankers_wheel_does_not_bring() -> None:
    """Libgomp is no part of LightGBM's wheel, nor of the slim image."""
    stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    assert re.search(r"apt-get install [^&]*\blibgomp1\b", stage)


def test_the_workers_health_is_asked_by_a_file_that_the_image_has() -> None:
    script = services()["worker"]["healthcheck"]["test"][-1]
    targets = {target: sources for sources, target in copies()}
    assert targets[script] == ["deploy/worker_health.py"]
    environment = PurePosixPath(script).parent
    assert f"COPY --from=build {environment} {environment}" in DOCKERFILE.read_text()
