"""Training networks, measured: ours against the same topology as a user would write and fit it in Keras.

Both sides train the same number of networks on the same scripts, for EPOCHS. The average precision on the
scripts that the fold tests, beside each, tells whether they are equally good, and so whether the ratio means
anything. Ours take a part of the clean scripts an epoch, cut batches into groups of scripts of like length,
read characters with a stride and train two networks at a time; the plain one takes all scripts, pads every
row to full length, convolves at every character and trains one after the other.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score

from psembed.datasets import protocols
from psembed.embedding import fold_vectors, token_vectors
from psembed.models import network, training
from psembed.models.batches import undersampled_epochs
from psembed.models.training import Encoded, Training
from psembed.powershell.encoding import Encoder, Samples

SEEDS = (1, 2)  # of the networks to train
EPOCHS = {"ours": 6, "plain": 2}  # that give the same average precision on the public scripts
BATCH = 128
VOCABULARY, LENGTHS = 15_000, {"token_length": 512, "char_length": 2048}
FOLD, VECTORS = 0, "folds/fold_0_*.npz"  # of P1, and its vectors
LIMITS = {"per_cluster": 1, "most_clean": 25_000, "seed": 1}


def main(root: Path) -> dict | None:
    """Measure on a fold of P1 of the public run, or of the control run where that is not there.

    Returns
    -------
    dict or None
        None where neither run has reached chapter 7. Otherwise
        corpus, training_vs_plain (ratio of seconds), ours and plain (dict: epochs, seconds,
        scripts_per_second, average_precision on what the fold tests, mean over networks).
    """
    runs = [root / "work" / name for name in ("public", "control")]
    made = [work for work in runs if (work / "samples.parquet").is_file() and any(work.glob(VECTORS))]
    if not made:
        return None
    matrix, train, test = _data(made[0])
    sides = {name: work(matrix, train, test) for name, work in (("ours", _ours), ("plain", _plain))}
    ratio, random = training.NETWORKS["cnn_lstm"].ratio, np.random.default_rng(SEEDS[0])
    drawn = next(undersampled_epochs(train.labels, ratio=ratio, random=random))
    an_epoch = {"ours": len(drawn), "plain": len(train)}
    for name, side in sides.items():
        read = an_epoch[name] * EPOCHS[name] * len(SEEDS)
        side |= {"epochs": EPOCHS[name], "scripts_per_second": read / side["seconds"]}
    faster = sides["plain"]["seconds"] / sides["ours"]["seconds"]
    return {"corpus": made[0].name, "training_vs_plain": faster, **sides}


def _data(work: Path) -> tuple[np.ndarray, Samples, Samples]:
    """Return the token vectors of a fold, and the scripts that it trains on and tests."""
    vectors = token_vectors.read(max(work.glob(VECTORS), key=lambda path: path.stat().st_mtime))
    encoder = Encoder(fold_vectors.words(vectors, VOCABULARY), **LENGTHS)
    samples = pl.read_parquet(work / "samples.parquet")
    train = protocols.training(samples, "p1", FOLD, **LIMITS)
    test = protocols.tested(samples, "p1", FOLD)[protocols.TEST]
    both = pl.concat([train, test])
    encoded = Encoded(both["read"], both["label"].to_numpy(), {FOLD: encoder})
    rows = np.split(np.arange(both.height), [train.height])
    return token_vectors.matrix(vectors, encoder.vocabulary), *(encoded.of(FOLD, part) for part in rows)


def _ours(matrix: np.ndarray, train: Samples, test: Samples) -> dict:
    trainings = [Training("cnn_lstm", matrix, "fold", train, seed, EPOCHS["ours"]) for seed in SEEDS]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        asked = [(one, {}) for one in trainings]
        list(training.score_all(Path(folder), asked, processes=len(SEEDS), batch=BATCH))
        seconds = time.perf_counter() - started
        models = [training.trained(Path(folder), one, batch=BATCH)[0] for one in trainings]
        return _judged(seconds, [network.predict(model, test) for model in models], test)


def _plain(matrix: np.ndarray, train: Samples, test: Samples) -> dict:
    scores, seconds = [], 0.0
    for seed in SEEDS:
        network.seed_everything(seed)
        model = _plain_network(matrix)
        started = time.perf_counter()
        model.fit(
            _full(train),
            train.labels.astype(np.float32),
            epochs=EPOCHS["plain"],
            batch_size=BATCH,
            verbose=0,
        )
        seconds += time.perf_counter() - started
        scores.append(model.predict(_full(test), verbose=0)[:, 0])
    return _judged(seconds, scores, test)


def _full(samples: Samples) -> list[np.ndarray]:
    """Return both views of scripts at full length."""
    views = zip((samples.tokens, samples.characters), LENGTHS.values(), strict=True)
    return [np.pad(ids, ((0, 0), (0, length - ids.shape[1]))) for ids, length in views]


def _plain_network(matrix: np.ndarray):
    """Return Figure 4 as the first version of this project built it, without what makes ours fast."""
    import keras
    from keras import layers

    lengths = LENGTHS["token_length"], LENGTHS["char_length"]
    tokens, characters = (keras.Input((length,), dtype="int32") for length in lengths)
    vectors = layers.Embedding(*matrix.shape)
    steps, read = vectors(tokens), layers.Embedding(97, 16)(characters)
    vectors.set_weights([matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)])
    for filters, pool in ((64, 4), (96, 2)):
        read = layers.MaxPooling1D(pool)(layers.Conv1D(filters, 5, padding="same", activation="relu")(read))
        steps = layers.MaxPooling1D(pool)(layers.Conv1D(96, 3, padding="same", activation="relu")(steps))
    read = layers.GlobalMaxPooling1D()(read)
    both = layers.Concatenate()([steps, layers.RepeatVector(steps.shape[1])(read)])
    states = layers.GlobalMaxPooling1D()(layers.LSTM(64, return_sequences=True)(both))
    joined = layers.Concatenate()([read, layers.GlobalMaxPooling1D()(steps), states])
    hidden = layers.Dense(64, activation="relu")(layers.Dropout(0.3)(joined))
    score = layers.Dense(1, activation="sigmoid")(layers.Dropout(0.3)(hidden))
    model = keras.Model([tokens, characters], score)
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "binary_crossentropy", jit_compile=False)
    return model


def _judged(seconds: float, scores: list[np.ndarray], test: Samples) -> dict:
    precision = [average_precision_score(test.labels, one) for one in scores]
    return {"seconds": seconds, "average_precision": float(np.mean(precision))}
