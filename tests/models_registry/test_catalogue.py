"""Catalogue sync: what the provider lists comes in, what an admin has set stays."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from foundation.errors import NotAllowed, UpstreamError
from models_registry import services
from models_registry.models import Model
from models_registry.platform.models import Model as PlatformModel
from models_registry.providers.openai_compatible.catalogue import guess_kind
from models_registry.selectors import list_routes
from tenants.context import platform
from tests.models_registry.syncing import offer_free, sync


def test_models_come_in_with_what_the_provider_tells(linked, provider, alice):
    provider.listed = [
        {"id": "qwen3-8b", "max_model_len": 32_768},
        {"id": "claude", "display_name": "Claude", "max_input_tokens": 200_000, "max_output_tokens": 64_000},
        {"id": "tiny", "context_window": 512, "max_output_tokens": 100},
        {"id": "bge-m3", "context_length": 8_192},
        "whisper-1",
    ]
    report = services.sync_catalogue(actor=alice, connection=linked)
    assert sorted(report.added) == ["bge-m3", "claude", "qwen3-8b", "tiny", "whisper-1"]
    rows = {row.name: row for row in Model.objects.all()}
    limits = {
        name: (row.kind, row.context_window, row.max_output_tokens, row.default_max_output_tokens)
        for name, row in rows.items()
    }
    assert limits == {
        "qwen3-8b": ("chat", 32_768, None, 4_096),
        "claude": ("chat", 200_000, 64_000, 4_096),
        "tiny": ("chat", 512, 100, 100),
        "bge-m3": ("embedding", 8_192, None, 4_096),
        "whisper-1": ("transcription", None, None, 4_096),
    }
    assert rows["claude"].label == "Claude"
    assert list_routes() == {} and sorted(report.unpriced) == sorted(rows)
    offer_free()
    assert set(list_routes()) == set(rows)


def test_what_was_fetched_can_be_corrected_and_retired(linked):
    """Nobody has promised anything of it: that it is stable is for an administrator to say."""
    sync(linked)
    rows = {row.name: row for row in Model.objects.all()}
    assert {(row.channel, row.stable_since) for row in rows.values()} == {("experimental", None)}
    assert services.set_model(actor=None, model=rows["small"], channel="retired").channel == "retired"
    assert services.set_model(actor=None, model=rows["large"], channel="stable").stable_since
    sync(linked)
    assert Model.objects.get(name="large").channel == "stable"


@pytest.mark.parametrize(("kind", "is_heard"), [("embedded", True), ("openai_compatible", False)])
@pytest.mark.scope("platform")
@pytest.mark.parametrize("channel", ["stable", "experimental", "", None, ["stable"]])
def test_what_the_house_itself_calls_stable_is(make, provider, kind, is_heard, channel):
    """What others promise is theirs to keep."""
    provider.listed = [{"id": "small", "channel": channel}]
    sync(make.connection(kind=kind, base_url=provider.base_url, allow_private=True))
    row = PlatformModel.objects.get(name="small")
    is_stable = is_heard and channel == "stable"
    assert row.channel == ("stable" if is_stable else "experimental")
    assert (row.stable_since is not None) == is_stable


@pytest.mark.parametrize(("location", "is_on"), [("us", False), ("", False), ("local", True)])
@pytest.mark.scope("platform")
def test_the_platforms_models_from_elsewhere_wait_for_a_price(make, provider, location, is_on):
    """What somebody bills the operator for is called for nothing as long as it has no price."""
    row = make.connection(base_url=provider.base_url, allow_private=True, location=location)
    report = sync(row)
    assert (sorted(report.added), sorted(report.unpriced)) == (
        ["large", "small"],
        [] if is_on else ["large", "small"],
    )
    models = {model.name: model for model in PlatformModel.objects.all()}
    assert {model.is_enabled for model in models.values()} == {is_on}
    make.price(models["small"])
    services.set_model(actor=None, model=models["small"], is_enabled=True)
    assert sync(row).unpriced == [] and PlatformModel.objects.get(name="small").is_enabled


@pytest.mark.parametrize("location", ["us", "local"])
def test_an_organisations_own_models_wait_wherever_they_run(make, provider, location):
    row = make.connection(base_url=provider.base_url, allow_private=True, location=location)
    assert sorted(sync(row).unpriced) == ["large", "small"] and list_routes() == {}


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ({"mode": "embedding"}, "embedding"),
        ({"type": "embeddings"}, "embedding"),
        ({"kind": "image"}, "image"),
        ({"mode": "audio_transcription"}, "transcription"),
        ({"mode": "audio_speech"}, "speech"),
        ({"type": "rerank"}, "rerank"),
        ({"type": "model"}, "chat"),
        ({"mode": 7, "type": ["embedding"]}, "chat"),
        ({"model_info": {"mode": "embedding"}}, "embedding"),
        ({"model_info": ["embedding"], "architecture": "x"}, "chat"),
        ({"architecture": {"output_modalities": ["image"]}}, "image"),
        ({"architecture": {"output_modalities": ["embeddings"]}}, "embedding"),
        ({"architecture": {"output_modalities": ["text", "image"]}}, "chat"),
        ({"architecture": {"output_modalities": [{}, []]}, "type": "chat"}, "chat"),
    ],
    ids=str,
)
def test_a_kind_that_the_server_says_is_taken(linked, provider, says, kind):
    provider.listed = [
        {"id": "nomic"} | says,
        {"id": "e5-talks", "type": "chat"},
        {"id": "x", "mode": "video"},
        {"id": "y", "architecture": {"output_modalities": ["video"]}},
    ]
    assert sorted(sync(linked).added) == ["e5-talks", "nomic"]
    assert Model.objects.get(name="nomic").kind == kind
    assert Model.objects.get(name="e5-talks").kind == "chat", "it knows better than its name"


def test_the_longest_answer_of_an_openrouter_is_taken(linked, provider):
    top = {"context_length": 8_000, "max_completion_tokens": 900, "is_moderated": False}
    provider.listed = [
        {"id": "a", "context_length": 8_000, "top_provider": top},
        {"id": "b", "top_provider": "x"},
        {"id": "c", "max_output_tokens": 5, "top_provider": top},
    ]
    sync(linked)
    assert [row.max_output_tokens for row in Model.objects.order_by("name")] == [900, None, 5]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("131072", 131_072),
        (131_072.0, 131_072),
        ("0", None),
        ("-1", None),
        ("128k", None),
        ("٣", None),
        ("9" * 5_000, None),
        (0.5, None),
        (1e300, None),
        (True, None),
    ],
    ids=lambda value: str(value)[:9],
)
def test_numbers_are_read_as_texts_too(linked, provider, said, read):
    provider.listed = [{"id": "a", "context_length": said}]
    sync(linked)
    assert Model.objects.get().context_window == read


def test_what_cannot_be_called_just_now_does_not_come_in_and_is_switched_off(linked, provider):
    provider.listed = [{"id": "small", "active": True}, {"id": "large", "active": False}]
    assert sync(linked).added == ["small"]
    provider.listed = [{"id": "small", "active": False}, {"id": "large", "active": True}]
    report = sync(linked)
    assert (report.added, report.vanished) == (["large"], ["small"])


def test_what_the_provider_calls_deprecated_comes_in_switched_off(linked, provider):
    provider.listed = [{"id": "small", "deprecated": True}, {"id": "large", "deprecated": "no"}]
    report = sync(linked)
    rows = {row.name: row for row in Model.objects.all()}
    assert {name: row.waits_for_price for name, row in rows.items()} == {"small": False, "large": True}
    assert report.unpriced == ["large"]
    offer_free()
    assert {row.name: row.is_enabled for row in Model.objects.all()} == {"small": False, "large": True}
    services.set_model(actor=None, model=rows["small"], is_enabled=True)
    sync(linked)
    assert Model.objects.get(name="small").is_enabled, "what somebody uses goes on"


def test_names_that_no_model_may_have_are_told(linked, provider):
    provider.listed = ["fine", "Mistral (large)", "café", ""]
    report = sync(linked)
    assert (report.added, report.refused, report.skipped) == (["fine"], ["Mistral (large)", "café"], 3)


def test_syncing_twice_changes_nothing(linked):
    first, second = sync(linked), sync(linked)
    assert (sorted(first.added), second.added, second.kept, Model.objects.count()) == (
        ["large", "small"],
        [],
        2,
        2,
    )


def test_limits_and_prices_of_an_admin_stay(linked, provider, make):
    sync(linked)
    small = Model.objects.get(name="small")
    services.set_model(
        actor=None,
        model=small,
        name="house-model",
        context_window=1_000,
        max_output_tokens=300,
        default_max_output_tokens=200,
        label="Ours",
    )
    make.price(small)
    provider.listed = [
        {"id": "small", "context_window": 9_999, "max_output_tokens": 999, "display_name": "Theirs"},
        "large",
    ]
    assert sync(linked).added == []
    small.refresh_from_db()
    assert (
        small.name,
        small.context_window,
        small.max_output_tokens,
        small.default_max_output_tokens,
        small.label,
    ) == ("house-model", 1_000, 300, 200, "Ours")
    assert small.prices.count() == 1


def test_a_limit_that_comes_later_bounds_the_usual_answer(linked, provider):
    sync(linked)
    provider.listed = [{"id": "small", "max_output_tokens": 64}, "large"]
    sync(linked)
    assert Model.objects.get(name="small").default_max_output_tokens == 64


def bounds_of(name: str) -> tuple[int | None, int | None, int]:
    row = Model.objects.get(name=name)
    return row.context_window, row.max_output_tokens, row.default_max_output_tokens


def lists(provider, **says) -> None:
    provider.listed = [{"id": "small", **says}, "large"]


def test_what_a_sync_wrote_the_next_one_renews(linked, provider):
    """Holds are bounded by the window: an old, small one lets calls cost more than was held for them."""
    lists(provider, max_model_len=100, display_name="Small")
    sync(linked)
    assert bounds_of("small") == (100, None, 50)
    lists(provider, max_model_len=131_072, max_output_tokens=2_000, display_name="Small 2")
    sync(linked)
    assert bounds_of("small") == (131_072, 2_000, 2_000)
    assert Model.objects.get(name="small").label == "Small 2"
    lists(provider, max_model_len=400)
    sync(linked)
    assert bounds_of("small") == (400, 2_000, 200), "what it no longer says stays as it was"


@pytest.mark.parametrize("own", [70, 100])
def test_a_limit_of_an_admin_is_not_renewed_also_one_that_the_catalogue_named_too(linked, provider, own):
    lists(provider, max_model_len=100, max_output_tokens=60)
    sync(linked)
    small = Model.objects.get(name="small")
    services.set_model(actor=None, model=small, context_window=own, default_max_output_tokens=20)
    for window in (100, 8_000, 9_000):
        lists(provider, max_model_len=window, max_output_tokens=window)
        sync(linked)
        assert bounds_of("small") == (own, window, 20)
    services.set_model(actor=None, model=small, context_window=None)
    sync(linked)
    assert bounds_of("small") == (9_000, 9_000, 20), "what is emptied is the catalogue's again"
    lists(provider, max_model_len=10_000)
    sync(linked)
    assert bounds_of("small")[0] == 10_000


def test_what_was_entered_with_a_model_that_is_listed_later_stays(linked, provider, make):
    make.model("small", linked, context_window=100)
    for window in (100, 8_000):
        lists(provider, max_model_len=window)
        sync(linked)
    assert bounds_of("small") == (100, None, 4_096)


def test_what_an_earlier_release_fetched_is_renewed_once_it_was_seen_unchanged(linked, provider):
    """It noted nothing: what differs from the catalogue then may be somebody's own."""
    lists(provider, max_model_len=100, max_output_tokens=40)
    sync(linked)
    Model.objects.filter(name="small").update(listed_values=None, max_output_tokens=50)
    services.set_model(actor=None, model=Model.objects.get(name="small"), notes="Ours")
    sync(linked)
    lists(provider, max_model_len=900, max_output_tokens=400)
    sync(linked)
    assert bounds_of("small") == (900, 50, 50)


@pytest.mark.parametrize("is_priced", [True, False])
def test_what_vanishes_is_switched_off_and_comes_back(linked, provider, is_priced):
    """As it was: what waited for its price waits again."""
    sync(linked)
    if is_priced:
        offer_free()
    provider.listed = ["large"]
    assert sync(linked).vanished == ["small"]
    assert sync(linked).vanished == []
    small = Model.objects.get(name="small")
    assert not small.is_enabled and small.vanished_at and not small.waits_for_price
    assert set(list_routes()) == ({"large"} if is_priced else set())
    provider.listed = ["large", "small"]
    report = sync(linked)
    assert (report.added, report.returned, report.kept) == ([], ["small"], 1)
    assert report.unpriced == ([] if is_priced else ["small"])
    offer_free()
    assert set(list_routes()) == {"large", "small"}


def test_models_are_locked_while_a_catalogue_is_written(linked):
    """Else what an administrator changes meanwhile is written over."""
    sync(linked)
    with CaptureQueriesContext(connection) as queries:
        sync(linked)
    reads = [query["sql"] for query in queries if 'FROM "models_registry_model"' in query["sql"]]
    assert any("FOR UPDATE" in read for read in reads)


def test_what_an_admin_switched_off_stays_off(linked, provider):
    sync(linked)
    services.set_model(actor=None, model=Model.objects.get(name="small"), is_enabled=False)
    for listed in (["large"], ["large", "small"]):
        provider.listed = listed
        sync(linked)
    assert not Model.objects.get(name="small").is_enabled


def test_a_model_added_by_hand_does_not_vanish(linked, make):
    make.model("by-hand", linked, upstream_name="unlisted")
    sync(linked)
    assert Model.objects.get(name="by-hand").is_enabled


def test_an_empty_or_failing_catalogue_switches_nothing_off(linked, provider):
    sync(linked)
    services.set_free(actor=None, model=Model.objects.get(name="small"))
    for status, body, code in (
        (200, b'{"object": "list", "data": []}', "upstream_empty"),
        (500, b"", "upstream_error"),
        (200, b"{}", "upstream_protocol"),
    ):
        provider.status = status
        provider.body = body
        with pytest.raises(UpstreamError) as failure:
            sync(linked)
        assert failure.value.code == code
        linked.refresh_from_db()
        assert linked.last_error
    assert set(list_routes()) == {"small"} and not Model.objects.exclude(vanished_at=None).exists()
    provider.status = 200
    provider.body = None
    sync(linked)
    linked.refresh_from_db()
    assert linked.last_error == ""


def test_a_name_that_another_connection_has_gets_a_prefix(linked, make, provider):
    make.model("small", make.connection(name="First"))
    assert sorted(sync(linked).added) == ["large", "my-vllm/small"]
    assert sync(linked).added == []
    offer_free()
    assert list_routes()["my-vllm/small"].targets[0].upstream_name == "small"


def test_hostile_entries_are_skipped(linked, provider):
    provider.listed = [
        {"id": ""},
        {"id": None},
        {"id": 3},
        {"id": ["a"]},
        {"label": "no-id"},
        "",
        7,
        None,
        {"id": "a\nb"},
        {"id": "x" * 201},
        {"id": "<script>"},
        {"id": "auto"},
        {"id": "ok", "context_window": -5, "max_output_tokens": 10**30, "display_name": {"a": 1}},
        {"id": "ok"},
        {"id": "flag", "context_window": True},
        {"id": "omni-moderation-latest"},
    ]
    report = sync(linked)
    assert sorted(report.added) == ["flag", "ok"] and report.skipped == 14
    assert Model.objects.get(name="ok").context_window is None


def test_syncing_is_refused_to_a_member(linked, bob, provider):
    with pytest.raises(NotAllowed):
        services.sync_catalogue(actor=bob, connection=linked)
    assert provider.seen == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt-4o", "chat"),
        ("text-embedding-3-small", "embedding"),
        ("BAAI/bge-reranker-v2-m3", "rerank"),
        ("tts-1-hd", "speech"),
        ("dall-e-3", "image"),
        ("gpt-4o-transcribe", "transcription"),
        ("Qwen/Qwen3-Embedding-8B", "embedding"),
        ("llama3.2:1b", "chat"),
        ("gpt-4o-realtime-preview", None),
        ("imagen-4.0-generate-001", "image"),
        ("veo-3.0", None),
        ("mistral-ocr-latest", None),
        ("deepseek-ocr", "chat"),
        ("voyage-3", "embedding"),
        ("jina-colbert-v2", "rerank"),
        ("all-MiniLM-L6-v2", "embedding"),
        ("cross-encoder/ms-marco-MiniLM-L-6-v2", "rerank"),
        ("snowflake-arctic-m", "embedding"),
        ("snowflake-arctic-instruct", "chat"),
        ("davinci-002", None),
        ("gpt-3.5-turbo-instruct", None),
        ("Llama-3.1-8B-Instruct-Turbo", "chat"),
    ],
)
def test_kinds_are_guessed_from_names(name, kind):
    assert guess_kind(name) == kind


def test_a_name_of_the_platforms_gets_a_prefix_too(linked, provider):
    """A provider's list takes no model's place: neither its price nor where its data go."""
    with platform():
        elsewhere = services.add_connection(
            actor=None, name="shared", kind="openai", secret="x", location="local"
        )
        services.add_model(actor=None, connection=elsewhere, name="small", aliases=["large"])
    assert sorted(sync(linked).added) == ["my-vllm/large", "my-vllm/small"]
    assert list_routes()["small"].origin == "platform"
