"""The life of the server process: starting, waiting, refusing folders,
overload, clients that leave, stopping.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from openai import APIError, BadRequestError, InternalServerError

LONG = {"max_tokens": 480, "extra_body": {"ignore_eos": True}}


@pytest.fixture(scope="module")
def long_s(server) -> float:
    """The seconds that a long answer takes to its end."""
    started = time.monotonic()
    assert server.ask("Hello", **LONG).usage.completion_tokens == 480
    return time.monotonic() - started


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


def test_a_client_that_leaves_its_stream_frees_the_slot_at_once(server, long_s):
    stream = server.ask("Hello", stream=True, **LONG)
    next(stream)
    assert server.tiny_state()["requests"] == 1
    left = time.monotonic()
    stream.close()
    server.wait_until_idle()
    assert time.monotonic() - left < long_s / 2


def test_a_client_that_leaves_without_streaming_frees_the_slot_too(server, long_s):
    started = time.monotonic()
    with pytest.raises(httpx.TimeoutException):
        httpx.post(
            f"{server.url}/v1/chat/completions",
            timeout=long_s / 5,
            json={
                "model": "atrium-tiny",
                "messages": [{"role": "user", "content": "Hello"}],
                "max_tokens": 480,
                "ignore_eos": True,
            },
        )
    server.wait_until_idle()
    assert time.monotonic() - started < long_s * 0.8


def test_a_model_added_while_the_server_runs_is_found(start_server, models, tmp_path):
    with start_server("--models", str(tmp_path), "--models", str(tmp_path / "missing")) as empty:
        assert empty.openai.models.list().data == []
        (tmp_path / "atrium-tiny").symlink_to(models / "atrium-tiny")
        assert [model.id for model in empty.openai.models.list()] == ["atrium-tiny"]
        empty.process.send_signal(signal.SIGTERM)  # while torch is being imported
        assert empty.process.wait(timeout=3) == 0


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
