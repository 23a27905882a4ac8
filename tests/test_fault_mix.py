"""Random faults of the loopback Discord, and requests without a response."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest

from discord_server import Channel, DiscordServer
from discord_server.call import Call
from discord_server.fault import NO_ANSWER, Chance, FaultMix, fault
from discord_server.request_fault import RequestFault

PATH = "/channels/{}/messages"
CHANCES = (Chance(0.2, (500, 503)), Chance(0.1, NO_ANSWER, takes_effect=True), Chance(0.05, NO_ANSWER, held=True))


def call(number: int, method: str = "POST") -> Call:
    return Call(method, PATH.format(number), {}, {})


def mix(seed: int = 1) -> FaultMix:
    return FaultMix(seed, "POST", "/messages$", CHANCES)


def kind(fault: RequestFault | None) -> str:
    return fault.kind.removesuffix(", carried out") if fault else "none"


def test_each_fault_has_its_probability() -> None:
    faults = mix()
    counts = Counter(kind(faults.take(call(number))) for number in range(10_000))
    shares = {name: number / 10_000 for name, number in counts.items()}
    assert shares == pytest.approx({"none": 0.65, "500": 0.1, "503": 0.1, "cut": 0.1, "held": 0.05}, abs=0.02)


def test_a_seed_causes_the_same_faults_in_any_order_of_paths() -> None:
    first, second = mix(), mix()
    forwards = {number: kind(first.take(call(number))) for number in range(100)}
    backwards = {number: kind(second.take(call(number))) for number in reversed(range(100))}
    assert forwards == backwards


def test_another_seed_causes_other_faults() -> None:
    one, other = mix(1), mix(2)
    assert [kind(one.take(call(n))) for n in range(100)] != [kind(other.take(call(n))) for n in range(100)]


def test_a_path_meets_different_faults() -> None:
    faults = mix()
    assert len({kind(faults.take(call(1))) for _ in range(100)}) > 1


def test_other_methods_other_paths_and_exempt_paths_meet_no_faults() -> None:
    certain = FaultMix(1, "POST", "/messages$", [Chance(1, (500,))], frozenset({PATH.format(1)}))
    assert kind(certain.take(call(2))) == "500"
    assert certain.take(call(1)) is None
    assert certain.take(call(2, "GET")) is None
    assert certain.take(Call("POST", "/channels/2/threads", {}, {})) is None


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
def channel(server: DiscordServer) -> Channel:
    return server.add_guild("Pythonistas").add_text_channel("weekly")


async def post(server: DiscordServer, channel: Channel, seconds: float) -> Mapping[str, object]:
    url, timeout = server.api_url + PATH.format(channel.id), aiohttp.ClientTimeout(seconds)
    headers = {"Authorization": f"Bot {server.token}"}
    client = aiohttp.ClientSession(timeout=timeout, headers=headers)
    async with client, client.post(url, json={"content": "hello"}) as response:
        answer: Mapping[str, object] = await response.json()
        return answer


@pytest.mark.parametrize("takes_effect", [True, False])
async def test_a_request_can_get_no_response(server: DiscordServer, channel: Channel, takes_effect: bool) -> None:
    server.rest.faults.pending.append(fault("POST", "/messages$", None, takes_effect=takes_effect, held=True))
    with pytest.raises(TimeoutError):
        await post(server, channel, 0.2)
    assert len(server.messages_in(channel)) == takes_effect
    assert (await post(server, channel, 5))["content"] == "hello"


async def test_a_callback_can_run_between_an_effect_and_its_response(server: DiscordServer, channel: Channel) -> None:
    seen: list[int] = []
    meanwhile = fault("POST", "/messages$", 503, takes_effect=True, then=lambda: seen.append(len(channel.messages)))
    server.rest.faults.pending.append(meanwhile)
    await asyncio.gather(post(server, channel, 5), return_exceptions=True)
    assert seen == [1]
    assert server.requests[-1].status == 503


async def test_a_mix_applies_to_http_requests(server: DiscordServer, channel: Channel) -> None:
    server.rest.faults.mixes.append(FaultMix(1, "POST", "/messages$", [Chance(1, (502,))]))
    assert (await post(server, channel, 5))["message"] == "502: made to fail"
