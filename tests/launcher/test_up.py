"""`up`: the supervisor with real servers and small stand-ins for web and worker, driven as a program by
signals.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.request import urlopen

import pytest

from launcher import children, embedded, output, processes, services_file
from launcher.banner import ready_banner
from launcher.guardian import ROOT
from launcher.process_plan import Addresses, Options, RuntimeModels, find_models, made_models, make_plan

# A web process that needs `slow` seconds to become ready, and answers with
# its pid and the secrets it was given.
WEB = """
    import http.server, json, os, socket, sys, time
    print("WARNING web begins", flush=True)
    slow_until = time.monotonic() + float(os.environ["SLOW"])
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            is_ready = self.path != "/healthz/ready" or time.monotonic() >= slow_until
            self.send_response(200 if is_ready else 503)
            self.end_headers()
            names = ("DATABASE_URL", "ATRIUM_OWNER_DATABASE_URL", "ATRIUM_MASTER_KEYS")
            secrets = [name for name in os.environ if name in names]
            told = {"pid": os.getpid(), "secrets": sorted(secrets), "migrations": "behind"}
            self.wfile.write(json.dumps(told).encode())
        def log_message(self, *arguments): pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=int(sys.argv[1]))
    server.serve_forever()
"""
WORKER = """
    import json, os, signal, sys, time
    if os.environ.get("DEAF"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = os.fork() or time.sleep(60)
    owner = "ATRIUM_OWNER_DATABASE_URL" in os.environ
    name = "owner.json" if owner else "worker.json"
    with open(os.environ["ATRIUM_DATA"] + "/" + name, "w") as file:
        json.dump({"pid": os.getpid(), "grandchild": grandchild, "owner": owner}, file)
    print("quiet line", flush=True)
    time.sleep(60)
"""
PREPARE = """
    import json, os, sys
    print("making tenants", flush=True)
    if os.environ.get("FAIL"):
        sys.exit("CommandError: the template is broken")
    alice = {"email": "alice@acme.example", "password": "pw"}
    acme = {"host": "acme.localhost", "users": {"alice": alice}, "api_key": "atr_acme_key"}
    olga = {"host": "localhost", "user": "olga@atrium.example", "password": "op"}
    demo = {"url": "", "platform": olga, "tenants": {"acme": acme}}
    json.dump(demo, open(os.environ["ATRIUM_DATA"] + "/demo.json", "w"))
    print(json.dumps({"migrated": []}))
"""
DRIVER = """
    import dataclasses, json, os, signal, sys
    from launcher import supervisor, up
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests under nohup ignores it
    from launcher import process_plan as plan
    supervisor.STOP_PATIENCE_S = float(os.environ.get("PATIENCE", supervisor.STOP_PATIENCE_S))
    scripts = json.loads(sys.argv[1])
    def make_plan(options, addresses):
        real = plan.make_plan(options, dataclasses.replace(addresses, runtime_url=""))
        def fake(spec):
            arguments = [str(options.listeners[0].fileno())] if spec.name.startswith("web") else []
            script = scripts[spec.name.partition("-")[0]]
            return dataclasses.replace(spec, command=[sys.executable, "-c", script, *arguments])
        early, late = [fake(spec) for spec in real.early], [fake(spec) for spec in real.late]
        return plan.ProcessPlan(early, fake(real.prepare), late)
    sys.exit(up.main(sys.argv[2:], make_plan=make_plan))
"""


class Up:
    """A running `up` with stand-ins, and what it has said."""

    def __init__(self, data: Path, *arguments: str, **environment: str) -> None:
        self.data = data
        scripts = json.dumps(
            {
                name: textwrap.dedent(text)
                for name, text in (("web", WEB), ("worker", WORKER), ("prepare", PREPARE))
            }
        )
        command = [
            sys.executable,
            "-c",
            textwrap.dedent(DRIVER),
            scripts,
            "--data",
            str(data),
            "--port",
            "0",
            *arguments,
        ]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "ATRIUM_OWNER_DATABASE_URL", "REDIS_URL")
        }
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=inherited | {"SLOW": "0"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_ready(self) -> str:
        said = ""
        for line in self.process.stdout:
            said += line
            if "Stop with Ctrl-C" in line:
                return said
        raise AssertionError(f"up ended: {said}\n{self.process.stderr.read()}")

    @property
    def port(self) -> int:
        return services_file.find_services(self.data).port

    def noted(self) -> dict[str, processes.Process]:
        return {process.name: process for process in processes.read_pids(self.data)}

    def ask_web(self, path: str = "/") -> dict:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def finish(self, *signals: int) -> tuple[int, str, str]:
        for number in signals:
            self.process.send_signal(number)
        said, complained = self.process.communicate(timeout=30)
        return self.process.returncode, said, complained


@pytest.fixture
def folder(warm_folder):
    return warm_folder


@pytest.fixture
def up(folder):
    """Start an `up`; whatever the test did, all that it started is gone afterwards."""
    started = []

    def start(*arguments: str, **environment: str) -> Up:
        started.append(Up(folder, *arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.finish(signal.SIGKILL)
        one.process.stdout.close()
        one.process.stderr.close()
    wait_until_gone(processes.read_pids(folder))


def wait_until_gone(noted, timeout_s: float = 12.0) -> None:
    assert processes.wait_until(lambda: not any(process.is_alive() for process in noted), timeout_s), [
        process for process in noted if process.is_alive()
    ]


def worker_state(data: Path, name: str = "worker.json") -> dict:
    assert processes.wait_until(lambda: (data / name).exists() and (data / name).stat().st_size > 0, 30)
    return json.loads((data / name).read_text())


def test_up_tells_all_one_needs_and_ctrl_c_leaves_nothing(up, folder):
    running = up("--workers", "2", SLOW="0.6")
    said = running.wait_until_ready()
    assert re.search(r"Atrium is ready \(\d+\.\d s\)", said)
    for text in (
        f"http://acme.localhost:{running.port}/",
        "alice@acme.example",
        "http://localhost",
        "olga@atrium.example",
        "atr_acme_key",
        "curl http://localhost",
    ):
        assert text in said
    assert running.ask_web()["secrets"] == ["ATRIUM_MASTER_KEYS", "DATABASE_URL"]
    state, provisioning = worker_state(folder), worker_state(folder, "owner.json")
    assert (state["owner"], provisioning["owner"]) == (False, True)
    noted = running.noted()
    assert set(noted) == {
        "guardian",
        "postgres",
        "valkey",
        "web-1",
        "web-2",
        "worker",
        "worker-provisioning",
    }
    assert noted["worker-provisioning"].pid == provisioning["pid"]
    assert services_file.find_services(folder).pid == running.process.pid
    code, said, complained = running.finish(signal.SIGINT)
    # the progress line of `prepare` and each web's warning, nothing else
    assert (code, complained.count("\n")) == (0, 3)
    assert "making tenants" in complained and "web begins" in complained and "quiet line" not in complained
    wait_until_gone([*noted.values(), processes.describe("grandchild", state["grandchild"])], 0)
    assert not services_file.services_path(folder).exists() and not processes.pid_file(folder).exists()
    assert "quiet line" in (folder / "logs" / "worker.log").read_text()


def test_a_directory_in_use_is_refused_and_whatever_dies_is_started_again_within_seconds(up, folder, capfd):
    from launcher import up as module

    running = up()
    running.wait_until_ready()
    assert module.main(["--port", "0", "--data", str(folder)]) == 2
    assert f"is in use (pid {running.process.pid}: " in capfd.readouterr().err
    before = running.noted()
    for process in before.values():
        os.kill(process.pid, signal.SIGKILL)

    def is_whole() -> bool:
        now = running.noted()
        return set(now) == set(before) and all(
            process.is_alive() and process.pid != before[name].pid for name, process in now.items()
        )

    assert processes.wait_until(is_whole, 60), running.noted()
    assert running.ask_web()["pid"] == running.noted()["web"].pid
    assert processes.wait_until(lambda: embedded.is_healthy(folder), 60)
    code, _, complained = running.finish(signal.SIGTERM)
    assert code == 0
    assert "web ended by signal SIGKILL; it starts again in 0.2 s" in complained


def test_a_killed_up_takes_everything_along_and_the_next_start_works(up, folder):
    running = up()
    running.wait_until_ready()
    state, noted = worker_state(folder), running.noted()
    running.finish(signal.SIGKILL)
    wait_until_gone([*noted.values(), processes.describe("grandchild", state["grandchild"])], 8)
    again = up()
    again.wait_until_ready()
    assert again.finish(signal.SIGHUP)[0] == 0


def test_the_next_start_ends_what_outlived_both_up_and_guardian(up):
    running = up("--port", str(free_port()))
    running.wait_until_ready()
    noted, port = running.noted(), running.port
    os.kill(noted["guardian"].pid, signal.SIGSTOP)  # so that it cannot act, and `up` does not replace it
    running.finish(signal.SIGKILL)
    os.kill(noted["guardian"].pid, signal.SIGKILL)
    assert noted["web"].is_alive() and noted["postgres"].is_alive()
    again = up("--port", str(port))  # which the orphaned web still holds
    again.wait_until_ready()
    wait_until_gone(noted.values(), 0)
    assert again.finish(signal.SIGINT)[0] == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_second_signal_ends_a_deaf_child_at_once(up, folder):
    running = up(DEAF="1", PATIENCE="600")  # with one signal alone it would not end in this test's life
    running.wait_until_ready()
    worker_state(folder)
    noted = running.noted()
    running.process.send_signal(signal.SIGINT)
    assert processes.wait_until(lambda: not noted["web"].is_alive(), 30), "the first one is being obeyed"
    assert noted["worker"].is_alive()
    assert running.finish(signal.SIGINT)[0] == 0
    wait_until_gone(noted.values(), 0)


def test_a_signal_during_the_start_stops_it_cleanly(up):
    running = up(SLOW="60")
    assert processes.wait_until(lambda: "web" in running.noted(), 60)
    noted = running.noted()
    assert running.finish(signal.SIGINT)[0] == 0
    wait_until_gone(noted.values(), 0)


def test_a_failing_preparation_is_shown_and_nothing_stays(up):
    code, _, complained = up(FAIL="1").finish()
    assert code == 1
    assert (
        "`prepare` ended with code 1" in complained
        and "the template is broken" in complained
        and "logs/prepare.log" in complained
    )


def test_a_web_process_that_keeps_ending_is_reported_with_its_last_words(up):
    code, _, complained = up(SLOW="not a number").finish()
    assert code == 1
    assert "did not become ready" in complained and "could not convert string to float" in complained


def test_a_port_in_use_is_refused_in_one_line(folder, capfd):
    from launcher import up

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert up.main(["--port", str(port), "--data", str(folder)]) == 2
    assert (
        capfd.readouterr().err
        == f"atrium: Port {port} is in use by another program. Choose another one: make run PORT={port + 1}\n"
    )


def test_a_data_directory_that_cannot_be_written_is_refused(folder, capfd):
    from launcher import up

    (folder / "file").touch()
    assert up.main(["--port", "0", "--data", str(folder / "file" / "var")]) == 2
    assert re.fullmatch(r"atrium: Cannot write to the data directory .*\n", capfd.readouterr().err)


def test_data_of_another_postgresql_are_refused_once_and_left_alone(up, folder):
    version = folder / "postgres" / "cluster" / "PG_VERSION"
    version.write_text("17\n")
    code, _, complained = up().finish()
    assert code == 1 and re.fullmatch(
        r"atrium: \S+ was made by PostgreSQL 17, this Atrium brings 18\. .*\n", complained
    )
    assert version.read_text() == "17\n"


def test_half_an_external_database_is_refused(up):
    code, _, complained = up(DATABASE_URL="postgresql://a:b@localhost/c").finish()
    assert code == 1 and "ATRIUM_OWNER_DATABASE_URL belong together" in complained


def test_only_prepare_and_the_worker_that_sets_tenants_up_get_the_owners_login(folder, monkeypatch):
    for name in (
        "DATABASE_URL",
        "ATRIUM_OWNER_DATABASE_URL",
        "ATRIUM_MASTER_KEYS",
        "ATRIUM_MASTER_KEYS_FILE",
        "ATRIUM_RUNTIME_TOKEN",
    ):
        monkeypatch.setenv(name, "from the shell")
    addresses = Addresses(
        "app",
        "owner",
        "unix:///v.sock",
        "http://127.0.0.1:9999",
        {"ATRIUM_MASTER_KEYS": "m", "ATRIUM_SECRET_KEY": "s"},
        "token",
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = make_plan(Options(folder, [listener]), addresses)
        port = str(listener.getsockname()[1])
    specs = {spec.name: spec for spec in [*plan.early, plan.prepare, *plan.late]}
    assert {name for name, spec in specs.items() if "ATRIUM_OWNER_DATABASE_URL" in spec.environment} == {
        "prepare",
        "worker-provisioning",
    }
    assert specs["worker-provisioning"].command[-4:] == ["--queues", "provisioning", "--concurrency", "1"]
    assert (
        specs["web"].environment["DATABASE_URL"] == "app" and specs["web"].environment["ATRIUM_PORT"] == port
    )
    assert not {"DATABASE_URL", "ATRIUM_MASTER_KEYS", "ATRIUM_MASTER_KEYS_FILE"} & set(
        specs["runtime"].environment
    )
    assert specs["prepare"].command[-1] == "--demo"
    tokens = {name: spec.environment.get("ATRIUM_RUNTIME_TOKEN") for name, spec in specs.items()}
    assert tokens == {
        "prepare": "token",
        "runtime": "token",
        "web": None,
        "worker": None,
        "worker-provisioning": None,
    }


def test_what_is_missing_and_what_is_to_be_made_is_told_in_one_line_each(tmp_path):
    for name in ("made", "fetched", "missing"):
        (tmp_path / "recipes" / name).mkdir(parents=True)
        manifest = {"origin": {"file": f"{name}.gguf"}}
        (tmp_path / "recipes" / name / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "fetched.gguf").touch()
    made_models(tmp_path).mkdir()
    (made_models(tmp_path) / "made").mkdir()
    models = find_models(tmp_path, tmp_path / "recipes", tmp_path / "files")
    assert models == RuntimeModels("atrium-tiny", to_be_made=["fetched"], missing=["missing"])
    lines = ready_banner(tmp_path, 8000, seconds=1, models=models).splitlines()
    assert [line.strip() for line in lines if "fetched" in line] == [
        "Being made ready meanwhile, about a minute: fetched",
        "Missing, since their files could not be fetched: missing. The next `make run` tries again.",
    ]
    whole = ready_banner(tmp_path, 8000, seconds=1, models=RuntimeModels("atrium-tiny", [], []))
    assert "Missing" not in whole and "Being made" not in whole
    assert "PyTorch" in ready_banner(tmp_path, 8000, seconds=1, models=None)


def test_manage_py_hands_up_over_before_it_imports_django():
    code = (
        "import sys; sys.argv = ['manage.py', 'up', '--port', '99999']; import manage\ntry: "
        "manage.main()\nexcept SystemExit as end: assert end.code == 2"
    )
    check = "; assert not {'django', 'psycopg', 'redis', 'psutil'} & set(sys.modules), 'too much imported'"
    subprocess.run(
        [sys.executable, "-c", code + "\nimport sys" + check], cwd=ROOT, check=True, capture_output=True
    )


def test_restarts_wait_longer_each_time_and_health_forgives(tmp_path):
    terminal = output.Terminal()
    child = children.Child(
        children.ChildSpec("short", [sys.executable, "-c", "print('x')"]),
        output.ChildLog("short", tmp_path, terminal, output.NOTHING),
    )
    delays = []
    for lived_s in (0, 0, 0, 0, 0, 0, 31, 0):
        run = child.start()
        run.popen.wait()
        child.reap(children.Run(run.popen, run.output, run.identity, run.started_at - lived_s))
        delays.append(child.plan_restart())
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 0.2, 0.4]
    child.log.close()


def test_logs_are_bounded_and_trouble_is_shown_with_its_traceback(tmp_path, capfd):
    (tmp_path / "web.log").write_bytes(b"x" * (output.LOG_LIMIT_BYTES + 1))
    log = output.ChildLog("web", tmp_path, output.Terminal(), output.TROUBLE)
    log.feed(
        b'INFO fine\nTraceback (most recent call last):\n  File "x", line 1\n    boom()\nValueError: '
        b"boom\nINFO fi"
    )
    log.feed(b"ne again\nlast words")
    log.close()
    assert (tmp_path / "web.log").stat().st_size < 200 and (tmp_path / "web.log.1").exists()
    shown = [line.removeprefix("     web | ") for line in capfd.readouterr().err.splitlines()]
    assert shown == [
        "Traceback (most recent call last):",
        '  File "x", line 1',
        "    boom()",
        "ValueError: boom",
    ]
    assert log.last_lines[-1] == "last words"
