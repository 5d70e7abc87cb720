"""Many rows and what they say. Agreement with people is held against the program behind the stored baselines."""

from __future__ import annotations

import csv
import importlib.util
import json
import warnings
from math import inf, isinf, isnan

import numpy as np
import pytest

from audiosim.errors import InputError
from audiosim.judge import gates
from audiosim.judge.rows import to_json
from audiosim.judge.summary import Ratings, agreement, summarise
from audiosim.judge.tally import Tally
from tests.batches import row


def two_systems(count=40):
    """`good` is better than `bad` by 0.1 on every pair, while the pairs differ far more among themselves."""
    hard = np.random.default_rng(1).normal(1.0, 0.5, count)
    return [
        row(f"{i:02}.wav", spec, sign * (hard[i] + (0.1 if system == "bad" else 0.0) + 0.001 * (i % 3)), system)
        for i in range(count)
        for system in ("bad", "good")
        for spec, sign in (("mr-stft", 1.0), ("si-sdr", -1.0))
    ]


def test_each_metric_on_each_system():
    rows = two_systems()
    summary = summarise(rows, worst=3)
    assert summary.systems == ("good", "bad")
    assert summary.ranked_by == "mr-stft"
    assert [(s.spec, s.system) for s in summary.scores] == [
        ("mr-stft", "good"), ("mr-stft", "bad"), ("si-sdr", "good"), ("si-sdr", "bad"),
    ]  # fmt: skip
    for score in summary.scores:
        values = np.array([r["value"] for r in rows if (r["spec"], r["system"]) == (score.spec, score.system)])
        assert (score.pairs, score.numbers, score.infinite, score.undefined, score.error) == (40, 40, 0, 0, 0)
        assert score.mean == pytest.approx(values.mean(), rel=1e-13)
        assert score.interval[0] < score.mean < score.interval[1]
        named = (score.minimum, score.p5, score.p25, score.median, score.p75, score.p95, score.maximum)
        assert named == pytest.approx(np.percentile(values, [0, 5, 25, 50, 75, 95, 100]), rel=1e-13)
        ordered = np.sort(values) if score.better == "higher" else np.sort(values)[::-1]
        assert [p.value for p in score.worst] == list(ordered[:3])


def test_systems_are_compared_pair_by_pair():
    """The pairs differ more than the systems, so only a paired interval can tell them apart."""
    good, bad = summarise(two_systems()).scores[:2]
    assert isnan(good.difference)
    assert bad.difference == pytest.approx(0.1, rel=1e-9)
    assert bad.difference_interval == pytest.approx((0.1, 0.1), rel=1e-9)
    assert (bad.common, bad.surely_better) == (40, False)
    for few, sure in ((5, None), (6, False)):  # of fewer pairs nothing is sure
        assert summarise(two_systems(few)).scores[1].surely_better is sure
    assert good.interval[1] > bad.interval[0]


def test_the_order_of_rows_does_not_matter():
    """It is the order in which workers finish."""
    rows = [{**r, "rating": float(i % 7)} for i, r in enumerate(two_systems())]
    shuffled = [rows[i] for i in np.random.default_rng(2).permutation(len(rows))]
    shuffled.sort(key=lambda r: r["spec"])  # the first metric ranks
    for made in (summarise, agreement):
        assert to_json(made(rows).data()) == to_json(made(shuffled).data())


def test_what_has_no_finite_number_is_counted_and_not_averaged():
    rows = [
        row("a", "si-sdr", 10.0),
        row("b", "si-sdr", inf),
        row("c", "si-sdr", -inf),
        row("d", "si-sdr", status="undefined"),
        row("e", "si-sdr", status="error"),
        row("f", "si-sdr", 20.0, worst_s=1.5),
    ]
    (score,) = summarise(rows).scores
    assert (score.pairs, score.numbers, score.infinite, score.undefined, score.error) == (6, 2, 2, 1, 1)
    assert (score.infinitely_bad, score.mean) == (1, -inf)
    assert (score.minimum, score.median, score.maximum) == (-inf, 10.0, 20.0)
    assert [p.id for p in score.worst] == ["c", "a", "f", "b"]
    assert score.worst[2].worst_s == 1.5
    assert isnan(score.worst[0].worst_s)
    json.loads(to_json(summarise(rows).data()))
    (flat,) = summarise(rows).table()
    assert (flat["pairs"], flat["infinite"], flat["without_number"]) == (6, 2, 2)


@pytest.mark.parametrize(
    ("values", "statistic"),
    [
        ([11.8, inf], [11.8] * 5),  # identical files lift nothing
        ([11.8, inf, inf, inf], [11.8] * 5),
        ([inf, inf], [inf] * 5),
        ([-inf, -inf], [-inf] * 5),
        ([-inf, 10.0, 20.0, inf], [-inf, 10.0, -inf, -inf, 20.0]),
    ],
)
def test_one_rule_for_infinite_values(values, statistic):
    """Mean, median, interval, percentiles, gates over the batch: all of the same values. Signs turn with the metric."""
    for spec, sign in (("si-sdr", 1.0), ("log-mel", -1.0)):
        rows = [row(f"{k}", spec, sign * value) for k, value in enumerate(values)]
        (score,) = summarise(rows).scores
        low, high = (score.minimum, score.maximum) if sign > 0 else (score.maximum, score.minimum)
        found = [sign * v for v in (score.mean, score.median, low, score.p5 if sign > 0 else score.p95, high)]
        assert found == statistic
        for name, value in (("mean", score.mean), ("median", score.median), ("worst", low), ("p5", score.p5)):
            (verdict,) = gates.judge_batch([gates.parse(f"{name}({spec})>=0", batch=True)], rows)
            assert verdict.value == value
        ends = sorted(sign * end for end in score.interval)
        assert ends[0] == (min(statistic) if isinf(min(statistic)) else pytest.approx(11.8, rel=1e-14))
        assert not any(map(isnan, ends))


def test_an_infinitely_bad_pair_ranks_its_system_last():
    made = {"broken": (-inf, 50.0), "fine": (10.0, 12.0), "broken twice": (-inf, 40.0), "perfect": (inf, inf)}
    rows = [row(f"{k}", "si-sdr", v, system=name) for name, values in made.items() for k, v in enumerate(values)]
    summary = summarise(rows)
    assert summary.systems == ("perfect", "fine", "broken", "broken twice")
    gaps = {s.system: s.difference for s in summarise(rows[:6]).scores}
    assert gaps["broken"] == -inf
    assert isnan(gaps["fine"])


def test_identical_recordings_are_counted_where_the_value_depends_on_the_signal():
    rows = [row("a", "snr", 188.0, reason="identical recordings"), row("b", "snr", 20.0)]
    (score,) = summarise(rows).scores
    assert (score.identical, score.infinite, score.mean) == (1, 0, 104.0)


def test_no_number_at_all():
    (score,) = summarise([row("a", status="error"), row("b", status="undefined")]).scores
    assert isnan(score.mean)
    assert all(map(isnan, score.interval))
    assert score.worst == ()
    nothing = summarise([])
    assert (nothing.pairs, nothing.systems, nothing.scores) == (0, (), ())
    assert agreement([]).rows == ()


def test_a_metric_that_only_one_system_was_asked_for():
    rows = [row("a", "mr-stft", 1.0, "one"), row("a", "mr-stft", 2.0, "two"), row("a", "mse", 1.0, "two")]
    summary = summarise(rows)
    assert summary.score("mse", "one") is None
    assert summary.score("mse", "two").mean == 1.0


def test_a_system_without_numbers_ranks_last():
    rows = [row("a", status="error", system="broken"), row("a", value=9.0, system="poor"), row("a", system="fine")]
    assert summarise(rows).systems == ("fine", "poor", "broken")


def test_systems_of_a_manifest_are_paired_by_their_reference():
    rows = [
        row(f"{s}/{i}", value=float(i + n), reference=f"{i}", system=s) for n, s in enumerate("ab") for i in range(9)
    ]
    assert summarise(rows).scores[1].difference_interval == (1.0, 1.0)
    rows += [row("a/more", value=5.0, reference="0", system="a")]  # two of them: nobody knows which
    assert summarise(rows).scores[1].difference_interval == (1.0, 1.0)
    assert len(set(Tally(rows).twins())) == 8 + 3


def test_a_row_that_comes_again_replaces_the_first():
    (score,) = summarise([row("a", status="error"), row("b", value=3.0), row("a", value=1.0)]).scores
    assert (score.pairs, score.error, score.mean) == (2, 0, 2.0)


def test_one_test_under_two_references_is_two_pairs():
    rows = [row("a", value=1.0), row("a", value=3.0, reference="other")]
    assert summarise(rows).scores[0].numbers == 2


def test_a_tally_knows_the_extra_columns():
    tally = Tally([row("a", columns={"codec": "x"}), row("b", columns={"codec": "y", "rate": "1"})])
    assert tally.columns == ["codec", "rate"]


# Agreement with people


def rated(count=48, quality=True, **fields):
    """Ratings by one hidden truth; mr-stft follows it closely, mse loosely; four items, six conditions."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=count)
    rows = []
    for i, t in enumerate(truth):
        shared = {
            "reference": f"ref/{i % 4}",
            "rating": 50 - 10 * t if quality else 50 + 10 * t,
            "higher_is_better": quality,
            "columns": {"condition": f"c{i % 6}"},
            **fields,
        }
        rows.append(row(f"{i}", "mr-stft", t + 0.2 * rng.normal(), **shared))
        rows.append(row(f"{i}", "mse", t + 1.0 * rng.normal(), **shared))
        rows.append(row(f"{i}", "si-sdr", -t + 3.0 * rng.normal(), **shared))
    return rows


@pytest.mark.parametrize("quality", [True, False])
def test_agreement_is_positive_whichever_way_both_count(quality):
    found = agreement(rated(quality=quality))
    close, loose, weak = found.overall()
    assert [r.spec for r in found.overall()] == ["mr-stft", "mse", "si-sdr"]
    assert close.spearman > 0.9 > loose.spearman > weak.spearman > 0
    for r in (close, loose):
        assert r.spearman_interval[0] < r.spearman < r.spearman_interval[1]
        assert r.pearson_interval[0] < r.pearson < r.pearson_interval[1]
        assert 0 < r.kendall < r.spearman
        assert (r.pairs, r.items, r.left_out) == (48, 4, 0)
    assert close.rmse < loose.rmse
    assert found.contest.best == "mr-stft"
    assert found.contest.second == "mse"
    assert found.contest.interval[0] > 0
    assert found.contest.p == pytest.approx(1 / 501)
    json.loads(to_json(found.data()))


def test_two_metrics_that_are_alike_are_not_told_apart():
    rows = [r for r in rated() if r["spec"] == "mse"]
    rng = np.random.default_rng(4)
    twin = [{**r, "spec": "mr-stft", "metric": "mr-stft", "value": r["value"] + 0.01 * rng.normal()} for r in rows]
    assert agreement(rows + twin).contest.p > 0.05
    assert agreement(rows).contest is None


def test_hidden_references_are_left_out_unless_asked_for():
    hidden = [row(f"h{i}", "mr-stft", -9.0, reference="x", test="x", rating=100.0) for i in range(5)]
    rows = [r for r in rated() if r["spec"] == "mr-stft"] + hidden
    without, all_of_them = agreement(rows), agreement(rows, hidden=True)
    assert (without.hidden, without.people, without.rows[0].pairs) == (5, 53, 48)
    assert (all_of_them.hidden, all_of_them.rows[0].pairs) == (0, 53)


def test_what_has_no_number_is_left_out_and_counted():
    rows = rated()
    rows[0] = {**rows[0], "value": None, "status": "undefined", "reason": "silent"}
    rows[3] = {**rows[3], "value": None, "status": "infinite", "reason": "+inf"}
    close, loose, _ = agreement(rows).overall()
    assert (close.pairs, close.left_out) == (46, 2)
    assert (loose.pairs, loose.left_out) == (48, 0)


def test_groups_and_their_mean():
    small = [row(f"s{i}", "mr-stft", float(i), group="small", rating=float(i)) for i in range(4)]
    one, two = (
        [{**r, "group": g} for r in rated(quality=q) if r["spec"] == "mr-stft"] for g, q in (("a", True), ("b", False))
    )
    two = [{**r, "id": f"{99 - int(r['id'])}"} for r in two]  # else both would be resampled alike
    a, b, few, both = agreement(one + two + small).rows
    assert [r.group for r in (a, b, few, both)] == ["a", "b", "small", None]
    assert (both.groups, both.pairs) == (2, 96)
    assert few.spearman == pytest.approx(-1.0)  # said, but too few to count in the mean
    assert both.spearman == pytest.approx((a.spearman + b.spearman) / 2)
    assert both.spearman_interval[0] > min(a.spearman_interval[0], b.spearman_interval[0])
    assert isnan(both.rmse)


def human_agreement(shared):
    spec = importlib.util.spec_from_file_location("human_agreement", shared / "audio" / "human_agreement.py")
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        spec.loader.exec_module(module)
    return module


def test_the_numbers_of_human_agreement(shared):
    """Made-up scores of every rated pair, given to both programs (audio/human_agreement.py: quality() and timbre())."""
    peer = human_agreement(shared)
    with (shared / "audio" / "pairs.csv").open(newline="") as stream:
        sets = {}
        for pair in csv.DictReader(stream):
            sets.setdefault(pair["set"], []).append(pair)
    names = ("codecmushra", "timbre/Grey1977", "timbre/Barthet2010")
    sets = {name: sorted(sets[name], key=lambda p: (p["test"], p["ref"])) for name in names}  # as we resample them
    rng = np.random.default_rng(5)
    rows, scores = [], {}
    for name, pairs in sets.items():
        for pair in pairs:
            worse = -float(pair["score"]) if pair["higher_is_better"] == "1" else float(pair["score"])
            spread = 30.0 if name == "codecmushra" else 0.3
            value = worse + spread * rng.normal()
            scores.setdefault(name, []).append(value)
            rows.append(
                row(
                    pair["test"],
                    "mse",
                    value,
                    reference=pair["ref"],
                    test=pair["test"],
                    group=name,
                    rating=float(pair["score"]),
                    higher_is_better=pair["higher_is_better"] == "1",
                    columns={"item": pair["item"], "condition": pair["condition"]},
                )
            )
    for hidden, key in ((False, "without hidden ref"), (True, "all")):
        found = {r.group: r for r in agreement(rows, hidden=hidden).rows}
        theirs = peer.quality(sets["codecmushra"], scores["codecmushra"], 500)[key]
        ours = found["codecmushra"]
        assert ours.pairs == theirs["n"]
        assert ours.pearson == pytest.approx(theirs["pearson"], rel=1e-10)
        assert ours.spearman == pytest.approx(theirs["spearman"], rel=1e-10)
        assert ours.spearman_interval == pytest.approx(theirs["ci95"], rel=1e-10)
        assert ours.within_item == pytest.approx(theirs["spearman_within_item"], rel=1e-10)
        assert ours.per_condition == pytest.approx(theirs["spearman_per_condition"], rel=1e-10)
    studies = [n for n in sets if n.startswith("timbre/")]
    timbre = [peer.timbre(sets[n], scores[n]) for n in studies]
    for name, theirs in zip(studies, timbre, strict=True):
        assert found[name].pairs == theirs["n"]
        assert found[name].spearman == pytest.approx(theirs["spearman"], rel=1e-10)
        assert found[name].triplets == pytest.approx(theirs["triplet"], rel=1e-10)
    mean = agreement([r for r in rows if r["group"] in studies]).rows[-1]
    assert mean.spearman == pytest.approx(np.mean([t["spearman"] for t in timbre]), rel=1e-10)
    assert mean.triplets == pytest.approx(np.mean([t["triplet"] for t in timbre]), rel=1e-10)


# Ratings in a file of their own


def test_ratings_are_joined_by_id(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("id,rating,higher_is_better\na,1,0\na,3,0\nb,nan,\nz,5,1\n")
    ratings = Ratings(file)
    a, b = ratings.join([row("a"), row("b", rating=7.0)])
    assert (a["rating"], a["higher_is_better"]) == (2.0, False)
    assert b["rating"] == 7.0
    assert ratings.unused == ["z"]


def test_ratings_are_joined_by_files_and_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "scores.csv"
    file.write_text("reference,test,score\n../ref/a,../test/a,4\n../ref/b,../test/a,1\n")
    assert [r["rating"] for r in Ratings(file).join([row("a"), row("b")])] == [4.0, None]
    file.write_text("test,system,score\n../one/a,one,4\n../two/a,two,2\n")
    found = Ratings(file).join([row("a", system="one"), row("a", system="two")])
    assert [r["rating"] for r in found] == [4.0, 2.0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,value\na,1\n", "need the columns rating"),
        ("name,rating\na,1\n", "need the columns rating"),
        ("id,rating\na,good\n", "line 2: rating is 'good', not a number"),
        ("id,rating,higher_is_better\na,1,maybe\n", "1 or 0, not 'maybe'"),
    ],
)
def test_wrong_ratings_are_said_in_a_line(tmp_path, text, problem):
    file = tmp_path / "scores.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=problem):
        Ratings(file)
    with pytest.raises(InputError, match="cannot be read"):
        Ratings(tmp_path / "none.csv")
    file.write_bytes(b"id,rating\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="UTF-8"):
        Ratings(file)


def test_an_empty_list_of_ratings_changes_nothing(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("id,rating\n")
    assert list(Ratings(file).join([row("a")])) == [row("a")]
