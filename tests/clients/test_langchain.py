"""LangChain, unmodified: its packages for OpenAI and for Anthropic at the running house."""

import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

pytestmark = pytest.mark.scope(None)
SAID = "w0 w1 w2 w3 w4 w5 w6 w7"


@tool
def weather(place: str) -> str:
    """What the weather is like at a place."""
    return f"rain at {place}"


@pytest.fixture(params=["openai", "anthropic"])
def chat(request, house, key):
    """Makes a chat with a model."""

    def make(model: str):
        if request.param == "openai":
            # it asks for a stream's usage by itself only where OpenAI's own address is asked
            options = {"stream_usage": True, "max_retries": 0, "timeout": 30}
            return ChatOpenAI(model=model, base_url=house.base_url, api_key=key, **options)
        address = house.base_url.removesuffix("/v1")
        return ChatAnthropic(
            model=model, base_url=address, api_key=key, max_retries=0, timeout=30, max_tokens=200
        )

    return make


def test_a_chat_is_answered_and_its_usage_told(chat):
    answer = chat("mock").invoke([("system", "Be kind."), ("human", "hello there")])
    assert answer.text == SAID
    usage = answer.usage_metadata
    assert usage["output_tokens"] == 8 and usage["total_tokens"] == usage["input_tokens"] + 8


def test_an_answer_is_streamed(chat):
    chunks = list(chat("mock").stream("hello there"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk) and whole.text == SAID
    assert len([chunk for chunk in chunks if chunk.text]) >= 8 and whole.usage_metadata["output_tokens"] == 8


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_is_called_and_its_result_answered(chat, is_streamed):
    model = chat("mock-tool").bind_tools([weather])
    question = HumanMessage("Paris")
    if is_streamed:
        said, *more = model.stream([question])
        for chunk in more:
            said += chunk
    else:
        said = model.invoke([question])
    (call,) = said.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"place": "Paris"})
    result = weather.invoke(call)
    assert isinstance(result, ToolMessage) and result.content == "rain at Paris"
    assert "rain at Paris" in model.invoke([question, said, result]).text


async def test_many_are_asked_at_once_from_an_event_loop(chat):
    answers = await chat("mock").abatch(["one", "two", "three"])
    assert [answer.text for answer in answers] == [SAID] * 3


def test_an_unknown_model_is_told_as_such(chat):
    with pytest.raises(Exception, match="none-such") as caught:
        chat("none-such").invoke("hello")
    assert caught.value.status_code == 404


def test_an_answer_keeps_a_schema(house, key):
    schema = {
        "title": "answer",
        "type": "object",
        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["name", "count"],
        "additionalProperties": False,
    }
    model = ChatOpenAI(model="mock-json-late", base_url=house.base_url, api_key=key, max_retries=0)
    answer = model.with_structured_output(schema, method="json_schema").invoke("hello")
    assert answer == {"name": "w0", "count": 1}


def test_texts_become_vectors(house, key):
    """Sent as texts: as tokens it would need OpenAI's tokenizer, which it fetches from their servers."""
    model = OpenAIEmbeddings(
        model="mock-embedding", base_url=house.base_url, api_key=key, check_embedding_ctx_length=False
    )
    first, second = model.embed_documents(["one two", "three"])
    assert len(first) == len(second) > 0 and first != second
    assert model.embed_query("three") == pytest.approx(second)


def test_a_wrong_key_is_refused(house):
    model = ChatOpenAI(model="mock", base_url=house.base_url, api_key="atr_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        model.invoke("hello")
