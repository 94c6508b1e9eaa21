"""The plan: the same from the same seed, everything in its share, good events good and bad ones bad as said."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from world import NOW, catalogue, rules

from hub.avro.codec import Invalid, decode
from hub.avro.records import without_logical_types
from hub.event import SOURCE_PREFIX, Outcome
from hub.simulate.plan import plan
from hub.simulate.planned import CODES, DEFAULT_SHARES, MALFORMED, Planned, Shares, Sort
from tests.unit.simulate.books import ids, planned

COMPLETED = "az.zefer.service.ServiceCompleted"


@pytest.fixture(scope="module")
def long() -> list[Planned]:
    return planned(seed=5, rate=400, seconds=10)


def good(records: list[Planned]) -> list[Planned]:
    return [record for record in records if record.sort.code is None]


def test_the_same_seed_gives_the_same_records() -> None:
    assert planned(3, 100, 3) == planned(3, 100, 3)
    assert planned(3, 100, 3) != planned(4, 100, 3)


def test_another_start_gives_other_ids() -> None:
    """So that a second run on the same broker is not one of duplicates and conflicts."""

    def ids_of(start: int) -> set[bytes]:
        records = plan(catalogue(), ids(), seed=1, rate=50, duration=2, start=start)
        return {dict(record.headers)["ce_id"] for record in records if record.sort is Sort.LIVE}

    assert not ids_of(NOW) & ids_of(NOW + 1000)


def test_it_has_as_many_records_as_said_in_order_of_time(long: list[Planned]) -> None:
    assert len(long) == 4000
    times = [record.at for record in long]
    assert times == sorted(times)
    assert times[0] >= 0 and times[-1] < 10


def test_every_share_holds(long: list[Planned]) -> None:
    counted, s = Counter(record.sort for record in long), DEFAULT_SHARES
    daily = len(long) - counted[Sort.BULK]
    assert counted[Sort.BULK] == 4000 * s.bulk
    for sort, share in (
        (Sort.DUPLICATE, s.duplicate),
        (Sort.LATE, s.late),
        (Sort.CONTRADICTORY, s.contradictory),
        (Sort.CONFLICT, s.conflict),
        (Sort.UNAUTHORISED, s.unauthorised),
        (Sort.WRONG_SOURCE, s.wrong_source),
        (Sort.REQUEST, s.request),
    ):
        assert counted[sort] == pytest.approx(daily * share, rel=0.5), sort
    assert sum(counted[sort] for sort in MALFORMED) == pytest.approx(daily * s.malformed, rel=0.3)


def test_shares_can_be_taken_away() -> None:
    nothing = Shares(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    records = list(plan(catalogue(), ids(), seed=1, rate=100, duration=2, start=NOW, shares=nothing))
    assert {record.sort for record in records} == {Sort.LIVE}


def test_every_way_of_being_wrong_comes_up(long: list[Planned]) -> None:
    few = Shares(malformed=0.5, too_large=0.05)
    records = plan(catalogue(), ids(), seed=2, rate=500, duration=2, start=NOW, shares=few)
    assert {record.sort for record in records if record.sort in CODES} >= set(MALFORMED) | {Sort.TOO_LARGE}


@pytest.mark.parametrize(("most", "wave"), [(5000, 200), (150, 150)])
def test_the_wave_is_one_agency_s_and_never_too_large(most: int, wave: int) -> None:
    shares = Shares(bulk=0.9, bulk_most=most)  # a quarter is the most, whatever is asked for
    records = list(plan(catalogue(), ids(), seed=1, rate=40, duration=20, start=NOW, shares=shares))
    bulk = [record for record in records if record.sort is Sort.BULK]
    assert len(bulk) == wave
    assert len({record.agency for record in bulk}) == 1
    took = bulk[-1].at - bulk[0].at
    assert len(bulk) / took == pytest.approx(4 * 40, rel=0.1)


def test_a_run_without_end_goes_on() -> None:
    endless = plan(catalogue(), ids(), seed=1, rate=100, duration=None, start=NOW)
    some = list(itertools.islice(endless, 5000))
    assert some[-1].at > 30
    assert 0 < sum(record.sort is Sort.BULK for record in some) <= len(some) / 4


def test_every_type_of_the_catalogue_is_simulated_even_in_a_short_run() -> None:
    told = {record.type for record in good(planned(seed=9, rate=50, seconds=3))}
    assert told == set(catalogue().types) - {COMPLETED}


def test_a_type_that_no_story_knows_is_simulated_all_the_same() -> None:
    shipped = catalogue()
    of, name = shipped.types["az.zefer.insurance.CertificateIssued"], "az.zefer.insurance.CertificateWithdrawn"
    new = replace(of, name=name, schema={**of.schema, "name": "CertificateWithdrawn"})
    fund = shipped.agencies["dsmf"]
    extended = replace(
        shipped,
        types={**shipped.types, name: new},
        agencies={**shipped.agencies, "dsmf": replace(fund, publishes=fund.publishes | {name})},
    )
    records = plan(extended, {**ids(), name: 999}, seed=1, rate=50, duration=3, start=NOW)
    assert name in {record.type for record in records}


def test_every_good_event_decodes_strictly_and_keeps_the_rules(long: list[Planned]) -> None:
    for name, records in by_type(good(long)).items():
        of = catalogue().types[name]
        raw = without_logical_types(of.schema)
        for record in records:
            decode(of.schema, record.value)  # with logical types: dates and decimals are what they say
            assert catalogue().may_publish(record.agency, name)
            assert dict(record.headers)["ce_source"].decode() == SOURCE_PREFIX + record.agency
            body = decode(raw, record.value)
            assert rules().checks[name](body, record.agency) is None


def test_what_cannot_be_decoded_is_said_to_be_so(long: list[Planned]) -> None:
    bytes_wrong = {Sort.TRUNCATED, Sort.TRAILING_BYTES, Sort.OVERLONG, Sort.BODY_INVALID}
    for record in long:
        if record.sort in bytes_wrong:
            with pytest.raises(Invalid) as refused:
                decode(catalogue().types[record.type].schema, record.value)
            assert refused.value.code is record.sort.code


def test_sequences_are_dense_per_key_source_and_stream(long: list[Planned]) -> None:
    sequences: dict[tuple[bytes, str, str], list[int]] = defaultdict(list)
    for record in long:
        number = dict(record.headers).get("ce_sequence")
        if record.sort.outcome is Outcome.APPLIED and number:
            stream = catalogue().types[record.type].stream
            sequences[record.key, record.agency, stream].append(int(number))
    assert max(map(len, sequences.values())) > 2
    for numbers in sequences.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_duplicate_is_word_for_word_an_event_sent_before(long: list[Planned]) -> None:
    before: set[tuple[bytes, bytes, object]] = set()
    for record in long:
        said = (record.key, record.value, record.headers)
        assert (said in before) == (record.sort is Sort.DUPLICATE)
        if record.sort.code is None:
            before.add(said)


def test_a_conflict_has_the_identity_of_an_event_sent_before_and_says_otherwise(long: list[Planned]) -> None:
    before: dict[tuple[bytes, bytes], bytes] = {}
    for record in long:
        identity = (record.key, dict(record.headers).get("ce_id", b""))
        if record.sort is Sort.CONFLICT:
            assert before[identity] != record.value
        elif record.sort.code is None:
            before[identity] = record.value


def test_nobody_s_fin_is_in_a_key_or_a_header_but_where_it_is_the_mistake(long: list[Planned]) -> None:
    fins = {fin for record in good(long) for fin in fins_of(record)}
    assert len(fins) > 500
    for record in long:
        words = b" ".join([record.key, *(value or b"" for _, value in record.headers)]).decode().upper()
        exposed = any(word in fins for word in words.replace("-", " ").split())
        assert exposed == (record.sort is Sort.FIN_IN_HEADER), record.sort


def fins_of(record: Planned) -> list[str]:
    body = decode(catalogue().types[record.type].schema, record.value)
    return [body["fin"]] if "fin" in body else []


def by_type(records: list[Planned]) -> dict[str, list[Planned]]:
    sorted_ = sorted(records, key=lambda record: record.type)
    return {name: list(group) for name, group in itertools.groupby(sorted_, key=lambda record: record.type)}
