"""What can be known of Dockerfile and docker-compose.yml without a Docker engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "maquette"}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def agrees_with_the_specification(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def interpolated(value: str, given: dict[str, str]) -> str:
    """As compose does it, for the forms that the file uses."""

    def replace(match: re.Match[str]) -> str:
        if value := given.get(match["name"]):
            return value
        assert match["kind"] == "-", f"{match['name']} is not given: {match['rest']}"
        return match["rest"]

    return VARIABLE.sub(replace, value)


def test_the_file_agrees_with_the_specification():
    checked = agrees_with_the_specification(ROOT / "docker-compose.yml")
    assert checked.returncode == 0, checked.stdout


def test_a_wrong_file_would_be_found(tmp_path):
    wrong = {**COMPOSE, "services": {**SERVICES, "api": {**SERVICES["api"], "stop_grace": "40s"}}}
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(wrong))
    checked = agrees_with_the_specification(tmp_path / "docker-compose.yml")
    assert checked.returncode == 1
    assert "stop_grace" in checked.stdout


def test_every_part_of_the_served_way_is_there():
    assert set(SERVICES) == {"mysql", "redis", "minio", "bucket", "migrate", "api", "worker"}
    assert set(OURS) == {"migrate", "api", "worker"}
    assert SERVICES["mysql"]["image"] == "mysql:8.4"
    assert "--appendonly yes" in " ".join(SERVICES["redis"]["command"])


def test_what_the_parts_wait_for_is_there_and_can_be_waited_for():
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            match how["condition"]:
                case "service_healthy":
                    assert "healthcheck" in SERVICES[other]
                case "service_completed_successfully":
                    assert SERVICES[other]["restart"] == "no"
                case condition:
                    pytest.fail(f"{condition} is not waited for here")
    assert SERVICES["api"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["worker"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_what_stays_up_is_restarted_and_looked_after():
    for name, service in SERVICES.items():
        if service["restart"] == "no":
            continue
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"], name
    for name in ("api", "worker"):
        assert SERVICES[name]["stop_grace_period"] == "40s"
        assert Settings.model_fields["shutdown_seconds"].default < 40


def test_what_must_last_lies_in_volumes_that_are_declared():
    used = {
        source
        for service in SERVICES.values()
        for source, _ in (volume.split(":") for volume in service.get("volumes", []))
    }
    assert used == set(COMPOSE["volumes"])
    assert {"mysql", "redis", "minio"} <= used


def test_nothing_is_open_to_other_machines():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:9000:9000", "127.0.0.1:8000:8000"]


def named_commands() -> list[list[str]]:
    named = [service["command"] for service in OURS.values()]
    named += [service["healthcheck"]["test"][1:] for service in OURS.values() if "healthcheck" in service]
    named += [json.loads(rest) for instruction, rest in instructions() if instruction in {"CMD", "ENTRYPOINT"}]
    return [command for command in named if command[0] != "python"]


@pytest.mark.parametrize("command", named_commands(), ids=" ".join)
def test_every_command_is_one_of_the_program(command):
    """The name, and every flag, as the program's own parser sees them."""
    from server.cli import commands

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts[command[0]] == "server.cli:main"
    commands.commands[command[1]].make_context(command[1], command[2:])


def test_the_api_runs_no_worker_and_can_be_reached():
    command = SERVICES["api"]["command"]
    assert command[:2] == ["maquette", "serve"]
    assert {"--no-worker", "0.0.0.0"} < set(command)


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_and_all_together_are_taken(name, monkeypatch):
    given = {"JWT_SECRET": "x" * 32, "MYSQL_PASSWORD": "y" * 20, "MINIO_PASSWORD": "z" * 20}
    environment = {key: interpolated(value, given) for key, value in OURS[name]["environment"].items()}
    for key, value in environment.items():
        assert key.lower() in Settings.model_fields or key.startswith("AWS_"), key
        monkeypatch.setenv(key, value)
    settings = Settings(_env_file=None)
    assert not settings.is_sqlite
    assert settings.redis_url is not None
    assert settings.s3_bucket is not None
    assert settings.authenticates, "without tokens the server binds to loopback only"
    assert settings.openai_base_url == Settings.model_fields["openai_base_url"].default, "empty is unset"
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"} <= set(environment)


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for match in VARIABLE.finditer(text):
        if re.search("SECRET|PASSWORD|KEY", match["name"]):
            assert match["kind"] == "?" or match["rest"] == "", match[0]
    required = {match["name"] for match in VARIABLE.finditer(text) if match["kind"] == "?"}
    head = text.split("\nname:")[0]
    assert required == {"JWT_SECRET", "MYSQL_PASSWORD", "MINIO_PASSWORD"}
    assert all(f"{name}=" in head for name in required), "the head of the file says what to set"


def test_strangers_may_fetch_a_file_and_list_none():
    policy = json.loads(COMPOSE["configs"]["bucket-policy"]["content"])
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["s3:GetObject"]
    bucket = SERVICES["api"]["environment"]["S3_BUCKET"]
    assert statement["Resource"] == [f"arn:aws:s3:::{bucket}/requests/*"]
    assert f"storage/{bucket}\n" in SERVICES["bucket"]["command"][0]
    public = interpolated(SERVICES["api"]["environment"]["S3_PUBLIC_URL"], {})
    assert public == f"http://{SERVICES['minio']['ports'][0].rsplit(':', 1)[0]}/{bucket}"


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_api_s_health_check_tells(status, healthy):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    _, python, *arguments = SERVICES["api"]["healthcheck"]["test"]
    assert python == "python"
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        code = [part.replace(":8000/", f":{server.server_port}/") for part in arguments]
        ran = subprocess.run([sys.executable, *code], capture_output=True, timeout=20, check=False)
        server.shutdown()
        thread.join()
    assert (ran.returncode == 0) is healthy
    assert asked == ["/readyz"]


def test_the_image_is_built_from_what_the_project_ships_and_nothing_else():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:].rstrip("/") for line in ignored if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    assert "*" in ignored
    assert allowed == shipped | {"pyproject.toml", "constraints.txt", project["project"]["readme"]}


def test_what_the_image_leaves_out_is_imported_nowhere():
    (prune,) = [rest for instruction, rest in instructions() if "tencentcloud" in rest]
    kept = set(re.findall(r"! -name (\w+)", prune))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = [ROOT / name for name in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]]
    sources = [path.read_text() for folder in shipped for path in folder.rglob("*.py")]
    imported = {name for text in sources for name in re.findall(r"\btencentcloud\.(\w+)", text)}
    assert imported <= kept
    assert "common" in kept


def test_the_image_runs_unprivileged_and_carries_no_build_tools():
    stages = "\n".join(" ".join(pair) for pair in instructions()).split("FROM ")[1:]
    assert [stage.split()[0] for stage in stages] == ["python:3.12-slim", "python:3.12-slim"]
    final = stages[-1].splitlines()
    assert "USER maquette" in final
    assert final.index("USER maquette") < next(number for number, line in enumerate(final) if line.startswith("CMD "))
    assert not any("apt-get" in line or "pip" in line for line in final)
    assert any(line.startswith("COPY --from=build") for line in final)
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in OURS.values())
