"""The rules for one row, against the datasets' own rules written down again here."""

import itertools

import numpy as np
import pytest

from pipeline.core.emotions import CLASSES
from pipeline.core.params import HarmonizeParams
from pipeline.core.schema import Reason
from pipeline.labels.policy import ClassLabel, Harmonizer, RejectedLabel, UnknownLabelError
from pipeline.labels.taxonomy import read_taxonomy

FERPLUS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
SHARED = ["neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt"]


def make(name, **changes):
    policies = {"votes": "majority", "compound": "dominant", "multi_label": "vote", "affect": "check"} | changes
    return Harmonizer(read_taxonomy(name), HarmonizeParams(classes=None, **policies))


def choose(harmonizer, labels, votes=None, **affect):
    return harmonizer.choose(labels, votes, affect)


def one_hot(name):
    return tuple(float(name == other) for other in CLASSES)


def test_a_hard_label_is_one_hot():
    assert choose(make("rafdb"), ["Happiness"]) == ClassLabel(4, one_hot("happy"))


@pytest.mark.parametrize("label", ["none", "uncertain", "no-face"])
def test_affectnets_last_three_are_not_emotions(label):
    found = choose(make("affectnet"), [label])
    assert isinstance(found, RejectedLabel)
    assert found.reason is Reason.not_an_emotion
    assert found.detail.startswith(label)


def authors_majority(votes):
    """The published rule of FER+: argmax if it has more than half of what is left without single votes."""
    left = np.array([0.0 if vote < 2 else vote for vote in votes])
    best = int(left.argmax())
    if not left[best] > 0.5 * left.sum():
        return None
    return best


def test_ferplus_majority_is_the_authors():
    harmonizer = make("ferplus")
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(3000):
        votes = rng.multinomial(10, rng.dirichlet(np.full(10, 0.3))).astype(float).tolist()
        found, best = choose(harmonizer, FERPLUS, votes), authors_majority(votes)
        if best is None:
            assert isinstance(found, RejectedLabel)
            assert found.reason is Reason.no_majority
        elif best >= 8:
            assert isinstance(found, RejectedLabel)
            assert found.reason is Reason.not_an_emotion
        else:
            assert found == ClassLabel(CLASSES.index(SHARED[best]), one_hot(SHARED[best]))
        kinds.add(best)
    assert kinds == {None, *range(10)}


def test_ferplus_distribution_keeps_every_vote_for_one_of_the_eight():
    harmonizer = make("ferplus", votes="distribution")
    found = choose(harmonizer, FERPLUS, [4, 3, 0, 1, 0, 0, 0, 0, 2, 0])
    assert isinstance(found, ClassLabel)
    assert found.label.name == "neutral"
    assert dict(zip(CLASSES, found.probs, strict=True)) == pytest.approx(
        dict.fromkeys(CLASSES, 0.0) | {"neutral": 4 / 8, "happy": 3 / 8, "sad": 1 / 8}
    )


def test_ferplus_distribution_drops_what_most_take_for_none_of_the_eight():
    harmonizer = make("ferplus", votes="distribution")
    for votes in ([4, 0, 0, 0, 0, 0, 0, 0, 5, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 10], [0] * 10):
        found = choose(harmonizer, FERPLUS, votes)
        assert isinstance(found, RejectedLabel)
        assert found.reason is Reason.not_an_emotion


def test_level_votes_follow_the_datasets_order_like_argmax():
    found = choose(make("ferplus", votes="distribution"), FERPLUS, [0, 0, 0, 5, 5, 0, 0, 0, 0, 0])
    assert isinstance(found, ClassLabel)
    assert found.label.name == "sad"


def test_no_votes_at_all_have_no_majority():
    found = choose(make("ferplus"), FERPLUS, [0] * 10)
    assert isinstance(found, RejectedLabel)
    assert found.reason is Reason.no_majority


@pytest.mark.parametrize("votes", [[1.0], [1.0, float("nan")], [1.0, -1.0]])
def test_votes_that_do_not_fit_are_refused(votes):
    with pytest.raises(UnknownLabelError, match="votes"):
        choose(make("ferplus"), ["neutral", "happiness"], votes)


def test_compounds_are_their_noun_or_their_distribution_or_left_out():
    taxonomy = read_taxonomy("rafdb_compound")
    for label, entry in taxonomy.labels.items():
        noun = {"surprised": "surprise", "disgusted": "disgust", "fearful": "fear", "angry": "anger"}[label.split()[1]]
        assert choose(make("rafdb_compound"), [label]) == ClassLabel(CLASSES.index(noun), one_hot(noun))
        out = choose(make("rafdb_compound", compound="reject"), [label])
        assert isinstance(out, RejectedLabel)
        assert out.reason is Reason.mixed_emotions
        soft = choose(make("rafdb_compound", compound="distribution"), [label])
        assert isinstance(soft, ClassLabel)
        assert {CLASSES[place] for place, share in enumerate(soft.probs) if share == 0.5} == set(entry.shares())
        assert sum(soft.probs) == 1
        assert soft.label.name == noun


def test_a_dominant_part_of_a_compound_is_its_hard_label():
    harmonizer = make("rafdb_compound")
    entry = harmonizer.taxonomy.labels["sadly angry"]
    changed = entry.model_copy(update={"weights": {"sad": 0.7, "anger": 0.3}})
    taxonomy = harmonizer.taxonomy.model_copy(update={"labels": {"sadly angry": changed}})
    params = HarmonizeParams(classes=None, votes="majority", compound="dominant", multi_label="vote", affect="check")
    assert choose(Harmonizer(taxonomy, params), ["sadly angry"]) == ClassLabel(6, one_hot("sad"))


@pytest.mark.parametrize("several", ["reject", "vote", "priority"])
def test_emotic_categories_that_agree_are_their_class_under_every_policy(several):
    harmonizer = make("emotic", multi_label=several)
    assert choose(harmonizer, ["Anger", "Annoyance"]) == ClassLabel(0, one_hot("anger"))
    assert choose(harmonizer, ["Engagement", "Happiness", "Excitement", "Pleasure"]) == ClassLabel(4, one_hot("happy"))


@pytest.mark.parametrize("several", ["reject", "vote", "priority"])
def test_emotic_categories_without_a_class_leave_none(several):
    found = choose(make("emotic", multi_label=several), ["Engagement", "Anticipation"])
    assert isinstance(found, RejectedLabel)
    assert found.reason is Reason.not_an_emotion


@pytest.mark.parametrize(
    ("several", "labels", "name"),
    [
        ("reject", ["Anger", "Annoyance", "Sadness"], None),
        ("vote", ["Anger", "Annoyance", "Sadness"], "anger"),
        ("priority", ["Anger", "Annoyance", "Sadness"], "anger"),
        ("reject", ["Happiness", "Surprise"], None),
        ("vote", ["Happiness", "Surprise"], None),
        ("priority", ["Happiness", "Surprise"], "surprise"),
        ("priority", ["Sadness", "Fear"], "fear"),
        ("vote", ["Happiness", "Pleasure", "Surprise", "Engagement"], "happy"),
    ],
)
def test_emotic_categories_that_disagree_follow_the_policy(several, labels, name):
    for order in itertools.permutations(labels):
        found = choose(make("emotic", multi_label=several), list(order))
        if name is None:
            assert isinstance(found, RejectedLabel)
            assert found.reason is Reason.mixed_emotions
        else:
            assert found == ClassLabel(CLASSES.index(name), one_hot(name))


def test_emotic_votes_weigh_categories():
    harmonizer = make("emotic")
    assert choose(harmonizer, ["Happiness", "Surprise"], [1.0, 3.0]) == ClassLabel(7, one_hot("surprise"))


@pytest.mark.parametrize(
    ("labels", "affect", "contradicted"),
    [
        (["Happiness"], {"valence": 0.6}, False),
        (["Happiness"], {"valence": 0.11}, False),
        (["Happiness"], {"valence": -0.11}, True),
        (["Peace"], {"valence": 2.5 / 4.5}, True),  # 8 of 1 to 10: a smile
        (["Peace"], {"valence": 1.5 / 4.5}, False),
        (["Happiness"], {"valence": -0.33}, True),
        (["Sadness"], {"valence": 0.33, "arousal": None}, True),
        (["Sadness"], {"valence": -0.9, "arousal": 0.9}, False),
        (["Peace"], {"valence": 0.1, "arousal": 0.8}, True),
        (["Surprise"], {"valence": -1.0, "arousal": -0.8}, True),
        (["Fear"], {"valence": None, "arousal": None}, False),
    ],
)
def test_valence_and_arousal_can_contradict_a_category(labels, affect, contradicted):
    found = choose(make("emotic"), labels, **affect)
    assert isinstance(found, RejectedLabel) == contradicted
    if isinstance(found, RejectedLabel):
        assert found.reason is Reason.affect_contradicts
    assert isinstance(choose(make("emotic", affect="ignore"), labels, **affect), ClassLabel)


@pytest.mark.parametrize("name", ["affectnet", "affectnet_npy", "csv", "folder", "emotic_csv"])
def test_every_dataset_with_values_is_checked_alike(name):
    happy = "Happiness" if name == "emotic_csv" else "happy"
    found = choose(make(name), [happy], valence=-0.9)
    assert isinstance(found, RejectedLabel)
    assert found.reason is Reason.affect_contradicts
    assert isinstance(choose(make(name), [happy], valence=0.9), ClassLabel)
    assert isinstance(choose(make(name), [happy], valence=None, arousal=None), ClassLabel)


def authors_probability(votes):
    """FER+'s own distribution, said as sets: levels of votes from the top until 75% or three names are in."""
    left = {place: vote for place, vote in enumerate(votes) if vote >= 2}
    total, taken, covered = sum(left.values()), {}, 0
    for level in sorted(set(left.values()), reverse=True):
        if covered >= 0.75 * total or len(taken) >= 3:
            break
        names = sorted(place for place in left if left[place] == level)
        stop = next((place for place in names if place >= 8), None)
        before = [place for place in names if stop is None or place < stop]
        taken |= dict.fromkeys(before, level)
        covered += level * len(before)
        if stop is not None:
            if not taken:
                taken = {stop: level}
            break
    if sum(taken.values()) <= 0.5 * total or len(taken) > 3 or max(taken) >= 8:
        return None
    return {SHARED[place]: vote / sum(taken.values()) for place, vote in taken.items()}


def test_ferplus_probability_is_the_authors():
    harmonizer = make("ferplus", votes="probability")
    rng = np.random.default_rng(1)
    kept = dropped = soft = 0
    for strength in (0.2, 0.5, 1.0):
        for _ in range(1500):
            votes = rng.multinomial(10, rng.dirichlet(np.full(10, strength))).astype(float).tolist()
            found, wanted = choose(harmonizer, FERPLUS, votes), authors_probability(votes)
            if wanted is None:
                assert isinstance(found, RejectedLabel), votes
                dropped += 1
                continue
            assert isinstance(found, ClassLabel), votes
            shares = {name: share for name, share in zip(CLASSES, found.probs, strict=True) if share}
            assert shares == pytest.approx(wanted), votes
            assert shares[found.label.name] == max(shares.values())
            kept, soft = kept + 1, soft + (len(wanted) > 1)
    assert min(kept, dropped, soft) > 200


@pytest.mark.parametrize(
    ("votes", "wanted"),
    [
        ([5, 4, 0, 1, 0, 0, 0, 0, 0, 0], {"neutral": 5 / 9, "happy": 4 / 9}),  # the single vote is dropped
        ([3, 3, 0, 2, 2, 0, 0, 0, 0, 0], None),  # level names come together: four of them
        ([4, 2, 0, 0, 0, 0, 0, 0, 4, 0], None),  # neutral alone, without the level unknown, has no more than half
        ([7, 0, 0, 0, 0, 0, 0, 0, 3, 0], {"neutral": 1.0}),  # unknown behind another is dropped
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
        ([0, 0, 0, 0, 0, 0, 0, 0, 2, 8], None),
    ],
)
def test_ferplus_probability_by_hand(votes, wanted):
    found = choose(make("ferplus", votes="probability"), FERPLUS, votes)
    if wanted is None:
        assert isinstance(found, RejectedLabel)
    else:
        assert isinstance(found, ClassLabel)
        assert {name: p for name, p in zip(CLASSES, found.probs, strict=True) if p} == pytest.approx(wanted)


def test_four_annotators_outweigh_the_two_names_of_a_fifth():
    votes = [4.0, 1.0, 1.0]
    found = choose(make("emotic"), ["Happiness", "Anger", "Annoyance"], votes, valence=0.6)
    assert found == ClassLabel(CLASSES.index("happy"), one_hot("happy"))


def test_an_unknown_name_says_what_is_known():
    with pytest.raises(
        UnknownLabelError, match=r"'joyous' is unknown to taxonomy rafdb version 2; it knows surprise, fear"
    ):
        choose(make("rafdb"), ["joyous"])


def test_a_number_is_told_that_classes_are_named():
    with pytest.raises(UnknownLabelError, match=r"'3' .* classes are named, never numbered"):
        choose(make("folder"), ["3"])


def test_no_name_at_all_is_unlabelled():
    found = choose(make("folder"), [])
    assert isinstance(found, RejectedLabel)
    assert found.reason is Reason.unlabelled
