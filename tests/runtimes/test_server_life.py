"""The life of the server process: starting, waiting, refusing folders, overload, clients that leave,
stopping.
"""

import http.client
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import APIError, BadRequestError, InternalServerError

from tests.runtimes.conftest import PATIENCE_S, wait_until

LONG = {"max_tokens": 480, "extra_body": {"ignore_eos": True}}


def test_it_listens_before_the_model_is_there_and_the_first_request_waits(cramped_server):
    first = cramped_server.health()
    assert first["status"] in ("loading", "ready")
    assert cramped_server.answer("Hallo").startswith("Hallo!")
    assert cramped_server.health()["status"] == "ready"
    assert cramped_server.tiny_state()["state"] == "ready"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("pickled", "training_args.bin"), ("remote-code", "auto_map"), ("tampered", "SHA256SUMS")],
)
def test_a_folder_that_could_run_code_or_was_tampered_with_is_refused(cramped_server, name, reason):
    with pytest.raises(BadRequestError) as caught:
        cramped_server.openai.chat.completions.create(
            model=name, messages=[{"role": "user", "content": "Hallo"}]
        )
    assert caught.value.code == "model_refused"
    assert reason in caught.value.message


def test_refused_folders_are_not_offered_and_health_says_why(cramped_server):
    # the hash is compared when it is loaded
    assert {model.id for model in cramped_server.openai.models.list()} == {
        "atrium-tiny",
        "second",
        "tampered",
    }
    reasons = {model["id"]: model.get("reason", "") for model in cramped_server.health()["models"]}
    assert "pickled objects" in reasons["pickled"]
    assert "remote code" in reasons["remote-code"]


def test_the_model_unused_for_longest_makes_room_for_the_next(cramped_server):
    for first, second in (("atrium-tiny", "second"), ("second", "atrium-tiny")):
        cramped_server.openai.chat.completions.create(
            model=first, messages=[{"role": "user", "content": "Hallo"}]
        )
        assert (cramped_server.state_of(first), cramped_server.state_of(second)) == ("ready", "idle")


def test_a_full_queue_answers_503_with_retry_after(cramped_server):
    cramped_server.answer("Hallo")
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(cramped_server.ask, "Hello", **{**LONG, "max_tokens": 150}) for _ in range(2)]
        cramped_server.wait_for_requests(2)
        assert cramped_server.tiny_state()["active"] <= 1
        with pytest.raises(InternalServerError) as caught:
            cramped_server.ask("Hallo")
        first, second = (future.result() for future in running)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert first.choices[0].message.content == second.choices[0].message.content
    assert cramped_server.answer("Hallo").startswith("Hallo!")


@pytest.fixture(scope="module")
def patient_server(server):
    """It runs the model 480 times for a long answer that is read to its end."""
    server.wait_until_idle()
    before = server.count_steps()
    assert server.ask("Hello", **LONG).usage.completion_tokens == 480
    assert server.count_steps() - before >= 480
    return server


@pytest.fixture
def steps(patient_server):
    """How often the model is run from here on."""
    server = patient_server
    server.wait_until_idle()
    before = server.count_steps()
    return lambda: server.count_steps() - before


def test_a_client_that_leaves_its_stream_frees_the_slot_at_once(server, steps):
    stream = server.ask("Hello", stream=True, **LONG)
    next(stream)
    stream.close()
    server.wait_until_idle()
    assert 0 < steps() < 480


def test_a_client_that_leaves_without_streaming_frees_the_slot_too(server, steps):
    question = json.dumps(
        {
            "model": "atrium-tiny",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 480,
            "ignore_eos": True,
        }
    )
    client = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"))
    client.request("POST", "/v1/chat/completions", question, {"Content-Type": "application/json"})
    wait_until(lambda: steps() > 5, PATIENCE_S, "the answer does not begin")
    client.close()
    server.wait_until_idle()
    assert steps() < 480


def test_a_model_added_while_the_server_runs_is_found(start_server, models, tmp_path):
    folders = ("--models", str(tmp_path), "--models", str(tmp_path / "missing"))
    with start_server(*folders, is_forked=False) as empty:
        assert empty.openai.models.list().data == []
        (tmp_path / "atrium-tiny").symlink_to(models / "atrium-tiny")
        assert [model.id for model in empty.openai.models.list()] == ["atrium-tiny"]
        empty.process.send_signal(signal.SIGTERM)  # while torch is being imported
        assert empty.process.wait(timeout=30) == 0


def test_sigterm_cuts_off_streams_and_ends_the_process(start_server, models):
    """More streams than one slot ends within the grace, however fast the machine is."""

    def was_cut(stream) -> bool:
        try:
            for _ in stream:
                pass
        except APIError:
            return True
        return False

    crowd = 12
    with (
        start_server("--models", str(models), "--slots", "1", "--max-waiting", str(crowd)) as server,
        ThreadPoolExecutor(crowd) as pool,
    ):
        server.answer("Hallo")
        streams = [pool.submit(server.ask, "Hello", stream=True, **LONG) for _ in range(crowd)]
        server.wait_for_requests(crowd)
        server.process.terminate()
        cut = [future.exception() is not None or was_cut(future.result()) for future in streams]
        assert any(cut)
        assert server.process.wait(timeout=30) == 0
