"""What the gateway counted of translated requests: the same tokens as the SDKs saw, whatever the surface."""

import time

import pytest
from conftest import samples
from test_zz_metrics import tokens
from translated import CHANNELS, COMPATIBLE, GEMINI, GPT, ROUTER, SONNET, ids, user

TEXT = "Count me over translation"


def settled(value, expected):
    """The value, once it is as expected: counted when the answer has ended, which the client may see first."""
    end = time.monotonic() + 5
    while value() != expected and time.monotonic() < end:
        time.sleep(0.05)
    return value()


def chat(model, gpt, claude, gemini):
    usage = gpt.chat.completions.create(model=model, messages=user(TEXT)).usage
    # Metered whether or not the client asked for usage.
    for _ in gpt.chat.completions.create(model=model, messages=user(TEXT), stream=True):
        pass
    return 2 * usage.prompt_tokens, 2 * usage.completion_tokens


def messages(model, gpt, claude, gemini):
    usage = claude.messages.create(model=model, max_tokens=50, messages=user(TEXT)).usage
    with claude.messages.stream(model=model, max_tokens=50, messages=user(TEXT)) as stream:
        stream.get_final_message()
    return 2 * usage.input_tokens, 2 * usage.output_tokens


def generate(model, gpt, claude, gemini):
    usage = gemini.models.generate_content(model=model, contents=TEXT).usage_metadata
    for _ in gemini.models.generate_content_stream(model=model, contents=TEXT):
        pass
    return 2 * usage.prompt_token_count, 2 * usage.candidates_token_count


@pytest.mark.parametrize(
    "call, model",
    [(chat, SONNET), (chat, GEMINI)]
    + [(messages, model) for model in (GPT, GEMINI, ROUTER, COMPATIBLE)]
    + [(generate, model) for model in (GPT, SONNET, ROUTER, COMPATIBLE)],
    ids=lambda value: ids(getattr(value, "__name__", value)),
)
def test_translated_tokens_are_counted_once(call, model, gpt, claude, gemini):
    def counted():
        return tuple(tokens(kind, channel=CHANNELS[model]) for kind in ("input", "output"))

    before = counted()
    used = call(model, gpt, claude, gemini)
    assert min(used) > 0
    expected = before[0] + used[0], before[1] + used[1]
    assert settled(counted, expected) == expected


def test_what_is_left_out_is_counted_by_its_name(gpt):
    def counted():
        return sum(
            value
            for found, value in samples("torouter_dropped_parameters_total")
            if (found["surface"], found["platform"], found["parameter"]) == ("openai", "anthropic", "seed")
        )

    before = counted()
    gpt.chat.completions.create(model=SONNET, messages=user("Hi"), seed=7)
    assert settled(counted, before + 1) == before + 1
