"""Training networks, measured: ours against the same topology as a user would write and fit it in Keras.

Both sides train the same number of networks on the same scripts, for EPOCHS. The average precision on
validation scripts beside each tells whether they are equally good, and so whether the ratio means anything.
Ours take a part of the clean scripts an epoch, cut batches into groups of scripts of like length, read
characters with a stride and train two networks at a time; the plain one takes all scripts, pads every row to
full length, convolves at every character and trains one after the other.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score

from psembed.datasets import labels
from psembed.embedding import token_vectors
from psembed.models import network, training
from psembed.models.batches import undersampled_epochs
from psembed.models.training import Training
from psembed.powershell.encoding import Encoder, Samples

SEEDS = (1, 2)  # of the networks to train
EPOCHS = {"ours": 6, "plain": 2}  # that give the same average precision on the public scripts
BATCH = 128
VOCABULARY, LENGTHS = 15_000, {"token_length": 512, "char_length": 2048}


def main(root: Path) -> dict | None:
    """Measure on the P1 scripts of the public run, or of the control run where that is not there.

    Returns
    -------
    dict or None
        None where neither run has reached chapter 5. Otherwise
        corpus, training_vs_plain (ratio of seconds), ours and plain (dict: epochs, seconds,
        scripts_per_second, average_precision on validation scripts, mean over networks).
    """
    runs = [root / "work" / name for name in ("public", "control")]
    made = [
        work for work in runs if (work / "samples.parquet").is_file() and (work / "vectors.npz").is_file()
    ]
    if not made:
        return None
    matrix, train, validation = _data(made[0])
    sides = {name: work(matrix, train, validation) for name, work in (("ours", _ours), ("plain", _plain))}
    ratio, random = training.NETWORKS["cnn_lstm"].ratio, np.random.default_rng(SEEDS[0])
    drawn = next(undersampled_epochs(train.labels, ratio=ratio, random=random))
    an_epoch = {"ours": len(drawn), "plain": len(train)}
    for name, side in sides.items():
        read = an_epoch[name] * EPOCHS[name] * len(SEEDS)
        side |= {"epochs": EPOCHS[name], "scripts_per_second": read / side["seconds"]}
    faster = sides["plain"]["seconds"] / sides["ours"]["seconds"]
    return {"corpus": made[0].name, "training_vs_plain": faster, **sides}


def _data(work: Path) -> tuple[np.ndarray, Samples, Samples]:
    """Return token vectors, training and validation scripts of a run."""
    vectors = token_vectors.load(work / "vectors.npz")
    frequent = pl.read_parquet(work / "vocabulary.parquet")["token"].head(VOCABULARY).to_list()
    encoder = Encoder(frequent, **LENGTHS)
    parts = labels.parts(pl.read_parquet(work / "samples.parquet"), "p1", per_cluster=1)
    matrix = token_vectors.matrix(vectors, encoder.vocabulary)
    return matrix, *(training.encoded(encoder, parts[part]) for part in ("train", "validation"))


def _ours(matrix: np.ndarray, train: Samples, validation: Samples) -> dict:
    trainings = [Training("cnn_lstm", matrix, train, validation, seed) for seed in SEEDS]
    settings = {"epochs": EPOCHS["ours"], "batch": BATCH}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        asked = [(one, {}) for one in trainings]
        list(training.score_all(Path(folder), asked, processes=len(SEEDS), **settings))
        seconds = time.perf_counter() - started
        models = [training.trained(Path(folder), one, **settings)[0] for one in trainings]
        return _judged(seconds, [network.predict(model, validation) for model in models], validation)


def _plain(matrix: np.ndarray, train: Samples, validation: Samples) -> dict:
    scores, seconds = [], 0.0
    for seed in SEEDS:
        network.seed_everything(seed)
        model = _plain_network(matrix)
        started = time.perf_counter()
        model.fit(
            [train.tokens, train.characters],
            train.labels.astype(np.float32),
            validation_data=([validation.tokens, validation.characters], validation.labels),
            epochs=EPOCHS["plain"],
            batch_size=BATCH,
            verbose=0,
        )
        seconds += time.perf_counter() - started
        scores.append(model.predict([validation.tokens, validation.characters], verbose=0)[:, 0])
    return _judged(seconds, scores, validation)


def _plain_network(matrix: np.ndarray):
    """Return Figure 4 as the first version of this project built it, without what makes ours fast."""
    import keras
    from keras import layers

    lengths = LENGTHS["token_length"], LENGTHS["char_length"]
    tokens, characters = (keras.Input((length,), dtype="int32") for length in lengths)
    vectors = layers.Embedding(*matrix.shape, trainable=False)
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


def _judged(seconds: float, scores: list[np.ndarray], validation: Samples) -> dict:
    precision = [average_precision_score(validation.labels, one) for one in scores]
    return {"seconds": seconds, "average_precision": float(np.mean(precision))}
