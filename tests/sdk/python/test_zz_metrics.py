"""What the gateway counted: the same tokens as the SDKs saw. Last, so that every channel was used."""

import time

from conftest import samples

CHANNELS = ("openai-sim", "anthropic-sim", "gemini-sim", "openrouter-sim")


def tokens(kind, **labels):
    return sum(
        value
        for found, value in samples("torouter_tokens_total")
        if found["key"] == "demo" and found["type"] == kind and all(found[k] == v for k, v in labels.items())
    )


def test_each_channel_was_metered():
    for channel in CHANNELS:
        assert tokens("input", channel=channel) > 0, channel
        assert tokens("output", channel=channel) > 0, channel
        assert tokens("reasoning", channel=channel) > 0 or channel == "anthropic-sim", channel
    assert tokens("cache_read", channel="anthropic-sim") > 0
    assert tokens("cache_write", channel="anthropic-sim") > 0


def test_tokens_are_counted_once(gpt, claude, gemini):
    """Each call's usage as its SDK reports it, streamed with and without usage, is what the counters grow by."""
    router = "anthropic/claude-opus-4.7"
    ask = [{"role": "user", "content": "Count me"}]

    def chat(model):
        usage = gpt.chat.completions.create(model=model, messages=ask).usage
        # Metered whether or not the client asked for usage.
        for _ in gpt.chat.completions.create(model=model, messages=ask, stream=True):
            pass
        return 2 * usage.prompt_tokens, 2 * usage.completion_tokens

    def responses():
        usage = gpt.responses.create(model="gpt-5-mini", input="Count me").usage
        for event in gpt.responses.create(model="gpt-5-mini", input="Count me", stream=True):
            pass
        assert event.response.usage.total_tokens == usage.total_tokens
        return 2 * usage.input_tokens, 2 * usage.output_tokens

    def messages():
        usage = claude.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=ask).usage
        with claude.messages.stream(model="claude-haiku-4-5", max_tokens=50, messages=ask) as stream:
            stream.get_final_message()
        return 2 * usage.input_tokens, 2 * usage.output_tokens

    def generate():
        usage = gemini.models.generate_content(model="gemini-2.5-pro", contents="Count me").usage_metadata
        for _ in gemini.models.generate_content_stream(model="gemini-2.5-pro", contents="Count me"):
            pass
        return 2 * usage.prompt_token_count, 2 * usage.candidates_token_count

    def thoughts():
        usage = gemini.models.generate_content(model="gemini-2.5-pro-thinking", contents="Count me").usage_metadata
        return usage.prompt_token_count, usage.candidates_token_count + usage.thoughts_token_count

    for channel, call in [
        ("openai-sim", lambda: chat("gpt-5-mini")),
        ("openai-sim", responses),
        ("openrouter-sim", lambda: chat(router)),
        ("anthropic-sim", messages),
        ("gemini-sim", generate),
        ("gemini-sim", thoughts),
    ]:
        before = tokens("input", channel=channel), tokens("output", channel=channel)
        used = call()
        assert min(used) > 0
        # Counted when the answer has ended, which the client may see first.
        end = time.monotonic() + 5
        while True:
            after = tokens("input", channel=channel), tokens("output", channel=channel)
            grown = after[0] - before[0], after[1] - before[1]
            if grown == used or time.monotonic() > end:
                break
            time.sleep(0.05)
        assert grown == used, channel


def test_requests_are_counted():
    found = samples("torouter_requests_total")
    assert all(set(labels) == {"key", "group", "channel", "surface", "endpoint", "model", "status"} for labels, _ in found)
    good = {(labels["channel"], labels["surface"]) for labels, _ in found if labels["status"] == "200"}
    assert {
        ("openai-sim", "openai"),
        ("openrouter-sim", "openai"),
        ("anthropic-sim", "anthropic"),
        ("gemini-sim", "gemini"),
    } <= good
